"""Regular expressions matched in time linear in the text, as the server's own language does.

Owns: the automaton of a pattern.
Refuses to know: files, and what the groups of a pattern hold.

Python's `re` backtracks, and holds the interpreter lock while it does: one hostile pattern would stop the whole server,
and no timer could end it. Here every character costs at most the size of the pattern, so a deadline can be kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from langchain_mix.emulator.agents.tools.pattern_syntax import (
    Assertion,
    AssertKind,
    Char,
    CharTest,
    Choice,
    Node,
    PatternError,
    Repeat,
    is_word,
    parse,
)

__all__ = ["Pattern", "PatternError", "glob_pattern", "literal_source"]

MAX_STEPS = 5000
MAX_WORK = 20 * MAX_STEPS
MAX_CACHED_MOVES = 50_000


@dataclass(slots=True)
class _Step:
    """One place of the automaton: it takes a character, or checks an assertion, or only branches."""

    test: CharTest | None = None
    assertion: AssertKind | None = None
    after: tuple[int, ...] = ()


@dataclass(slots=True)
class _State:
    """A set of places that were reached together, and the kind of character before them."""

    places: frozenset[int]
    before: str
    moves: dict[str, _State | None] = field(default_factory=dict)
    accepts: bool | None = None


class Pattern:
    """A compiled pattern. It tells whether a text contains a match."""

    def __init__(self, source: str) -> None:
        """Compiles a pattern.

        Args:
            source: In RE2's syntax.

        Raises:
            PatternError: If it is malformed or too large.
        """
        self._work = 0
        self._steps: list[_Step] = [_Step()]  # Place 0 is the end of the pattern.
        self._entry = self._emit(parse(source), 0)
        self._states: dict[tuple[frozenset[int], str], _State] = {}
        self._moves = 0
        self._start = self._state(frozenset((self._entry,)), "start")

    def search(self, text: str) -> bool:
        """Tells whether the pattern matches anywhere in the text."""
        state: _State = self._start
        for char in text:
            try:
                following = state.moves[char]
            except KeyError:
                following = self._advance(state, char)
            if following is None:
                return True
            state = following
        if state.accepts is None:
            state.accepts = 0 in self._expand(state, "")
        return state.accepts

    def _advance(self, state: _State, char: str) -> _State | None:
        """Computes one move. None is the move into a match."""
        reached = self._expand(state, char)
        following: _State | None = None
        if 0 not in reached:
            places = {self._entry}
            for place in reached:
                step = self._steps[place]
                if step.test is not None and step.test(char):
                    places.update(step.after)
            following = self._state(frozenset(places), "word" if is_word(char) else "other")
        state.moves[char] = following
        self._moves += 1
        if self._moves > MAX_CACHED_MOVES:
            self._states.clear()
            self._moves = 0
            self._start = self._state(frozenset((self._entry,)), "start")
        return following

    def _state(self, places: frozenset[int], before: str) -> _State:
        return self._states.setdefault((places, before), _State(places, before))

    def _expand(self, state: _State, char: str) -> set[int]:
        """Follows branches, and assertions that hold between the last character and `char` (empty at the end)."""
        boundary = (state.before == "word") != (char != "" and is_word(char))
        holds: dict[AssertKind, bool] = {
            "start": state.before == "start",
            "end": char == "",
            "boundary": boundary,
            "no_boundary": not boundary,
        }
        reached: set[int] = set()
        waiting = list(state.places)
        while waiting:
            place = waiting.pop()
            if place in reached:
                continue
            reached.add(place)
            step = self._steps[place]
            if step.test is None and (step.assertion is None or holds[step.assertion]):
                waiting.extend(step.after)
        return reached

    def _add(self, step: _Step) -> int:
        if len(self._steps) >= MAX_STEPS:
            raise PatternError("the pattern is too large")
        self._steps.append(step)
        return len(self._steps) - 1

    def _emit(self, node: Node, after: int) -> int:
        """Adds a tree in front of a place; gives the place where it begins."""
        self._work += 1  # Repeated empty groups add no step, yet cost time.
        if self._work > MAX_WORK:
            raise PatternError("the pattern is too large")
        match node:
            case Char(test):
                return self._add(_Step(test=test, after=(after,)))
            case Assertion(kind):
                return self._add(_Step(assertion=kind, after=(after,)))
            case Choice(options):
                return self._add(_Step(after=tuple(self._emit(option, after) for option in options)))
            case Repeat():
                return self._emit_repeat(node, after)
            case _:
                for part in reversed(node.parts):
                    after = self._emit(part, after)
                return after

    def _emit_repeat(self, node: Repeat, after: int) -> int:
        if node.high is None:
            loop = self._add(_Step())
            self._steps[loop].after = (self._emit(node.part, loop), after)
            entry = loop
        else:
            entry = after
            for _ in range(node.high - node.low):
                entry = self._add(_Step(after=(self._emit(node.part, entry), after)))
        for _ in range(node.low):
            entry = self._emit(node.part, entry)
        return entry


def literal_source(text: str) -> str:
    """Writes a text as a pattern that matches exactly it."""
    return "".join(c if c.isalnum() or c == "_" else f"\\{c}" if c.isascii() and c.isprintable() else c for c in text)


_GLOB = {"**/": "(?:[\\s\\S]*/)?", "**": "[\\s\\S]*", "*": "[^/]*", "?": "[^/]"}


def glob_pattern(glob: str) -> Pattern:
    """Compiles a file name pattern: `*`, `?`, `**`, `[a-z]`, `{a,b}`.

    Args:
        glob: For a path with `/` between its parts.

    Returns:
        A pattern for the whole path.

    Raises:
        PatternError: If brackets or braces do not close.
    """
    out: list[str] = []
    at = depth = 0
    while at < len(glob):
        wild = next((w for w in _GLOB if glob.startswith(w, at)), None)
        if wild is not None:
            out.append(_GLOB[wild])
            at += len(wild)
            continue
        char = glob[at]
        at += 1
        if char == "[":
            stop = glob.find("]", at + 1)
            if stop < 0:
                raise PatternError("missing `]`")
            body = glob[at:stop].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[^{body[1:]}]" if body[:1] in ("!", "^") else f"[{body}]")
            at = stop + 1
        elif char in "{}," and (char == "{" or depth):
            depth += {"{": 1, "}": -1, ",": 0}[char]
            out.append({"{": "(?:", "}": ")", ",": "|"}[char])
        else:
            out.append(literal_source(char))
    if depth:
        raise PatternError("missing `}`")
    return Pattern(f"\\A(?:{''.join(out)})\\z")
