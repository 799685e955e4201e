"""Words of a question that are worth searching for.

Owns: cutting text into words in any script, English stop words, and a rough stem.
Refuses to know: files and answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")
_ENDINGS = ("ies", "es", "s")
_LONG = 4

_STOP_TEXT = """
a about above according after again all also am an and any are aren as at be because been before being below
between both but by can contain contains could describe did directory do doc docs document documents does
doing don down during each every explain few file files find folder for from further get give had has have
having he her here hers him his how i if in into is it its itself just know let like ll look many may me
mention mentioned mentions might more most much must my need no nor not now of off on once only or other our
out over own please re s said same say says search session she should show so some such t tell than that the
their them then there these they this those through to too under until up upload uploaded uploads us ve very
want was we were what whats when where which while who whom whose why will with would you your
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())


def words(text: str) -> list[str]:
    """Cuts a text into case-folded words. Runs of a script without spaces become overlapping pairs of characters."""
    return [part for match in _WORD.finditer(text) for part in _parts(match[0].casefold())]


def _parts(word: str) -> Iterator[str]:
    at = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > at:
            yield word[at : run.start()]
        yield from (run[0][i : i + 2] for i in range(max(1, len(run[0]) - 1)))
        at = run.end()
    if at < len(word):
        yield word[at:]


def stem(word: str) -> str:
    """Takes an English plural's ending off, so that both forms are found by their common beginning."""
    for ending in _ENDINGS:
        if len(word) > _LONG and word.endswith(ending) and not word.endswith("ss"):
            return word.removesuffix(ending)
    return word


def stems(text: str) -> set[str]:
    """Gives the stems of all words of a text."""
    return {stem(word) for word in words(text)}


def salient(text: str) -> list[str]:
    """Gives the stems of the words that carry a question, in order, each once."""
    kept = (stem(word) for word in words(text) if word not in STOP_WORDS and (len(word) > 1 or word.isdigit()))
    return list(dict.fromkeys(kept))
