"""What is wrong with a cassette, or with code that asks it for something else than was recorded.

Owns: the error. Refuses to know: when it is raised.
"""

from __future__ import annotations

from langchain_mix.errors import Acted


class CassetteError(AssertionError):
    """A cassette cannot be read, does not hold what is asked for, or must not be written.

    It is no `MixError`: code under test may handle those, by trying again or by looking what became of a message, and a
    replay would go on for seconds before it failed for another reason.

    Attributes:
        message: What went wrong.
        sent: The request, as method and path; empty if there was none.
        acted: Whether a server may have acted on it. None was asked.
        hint: What to do next.
    """

    def __init__(self, message: str = "", *, sent: str = "", hint: str = "") -> None:
        """Describes what happened.

        Args:
            message: What went wrong, in one sentence.
            sent: Method and path of the request.
            hint: What to do next.
        """
        super().__init__(message)
        self.message = message
        self.sent = sent
        self.acted: Acted = "no"
        self.hint = hint

    def __str__(self) -> str:
        """What went wrong and what to do, in one line."""
        return " ".join(part for part in (self.message, self.hint) if part)
