"""Stop sequences, found on this side of the wire: Mix knows none.

Owns: where a reply ends because of them, however its text arrives in pieces.
Refuses to know: turns; whoever streams one cancels it when a cutter has stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from langchain_mix.errors import MixInputError


def stop_texts(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Reads what users pass as `stop`.

    Args:
        value: A text, several, or None for none.

    Returns:
        The texts, each once.

    Raises:
        MixInputError: One is empty or no text.
    """
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else list(value)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise MixInputError(f"`stop` has {text!r}.", hint="Stop sequences are texts that are not empty.")
    return tuple(dict.fromkeys(texts))


class StopCutter:
    """Cuts a text at the first stop sequence that is complete.

    Sequences are not looked for across messages: make a new cutter for each, or `flush` the old one in between.
    What is shown does not depend on how the text was cut into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """Starts with an empty text.

        Args:
            stops: The sequences, none of them empty. Without any, every text passes at once.
        """
        self._stops = tuple(stops)
        self._longest = max(map(len, self._stops), default=1) - 1
        self._held = ""
        self._stop: str | None = None

    @property
    def stopped_by(self) -> str | None:
        """The sequence that ended the text, or None while none has."""
        return self._stop

    def feed(self, text: str) -> tuple[str, bool]:
        """Takes the next piece of the text.

        Args:
            text: The piece.

        Returns:
            What can be shown now, and whether the text ends here. What may be the beginning of a sequence is held back
            until the next piece or `flush`. Once ended, nothing more is shown.
        """
        if self._stop is not None:
            return "", True
        if not self._stops:
            return text, False
        text = self._held + text
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            # The sequence that is complete first ends the text, as it does where models are run; of those that are
            # complete at the same place, the longest.
            _, at, self._stop = min(found)
            self._held = ""
            return text[:at], True
        keep = self._beginning_at(text)
        self._held = text[keep:]
        return text[:keep], False

    def flush(self) -> str:
        """Ends the text without a sequence.

        Returns:
            What was held back.
        """
        held, self._held = self._held, ""
        return held

    def _beginning_at(self, text: str) -> int:
        """Where the longest end of the text begins that may become a sequence."""
        for at in range(max(len(text) - self._longest, 0), len(text)):
            if any(stop.startswith(text[at:]) for stop in self._stops):
                return at
        return len(text)
