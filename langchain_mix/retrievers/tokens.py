"""Text to search terms, the same way for documents and for queries.

Owns: which terms a text has, in every script. Refuses to know: how much terms count (`ranking.py`) and what a file is.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from langchain_mix.extras import extra

_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0730-\u074a\u07a6-\u07b0\u0900-\u0903\u093a-\u094f\u0951-\u0957"
    "\u0962\u0963\u0981-\u0983\u09bc-\u09d7\u0a01-\u0a03\u0a3c-\u0a51\u0a70\u0a71\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03"
    "\u0b3c-\u0b57\u0b82\u0bbe-\u0bd7\u0c00-\u0c04\u0c3c-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6\u0d00-\u0d03\u0d3b-\u0d57"
    "\u0d82\u0d83\u0dca-\u0ddf\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u0f71-\u0f84\u0f90-\u0fbc"
    "\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u17b4-\u17d3"
    "\u3099\u309a"
)
"""Marks that belong to the letter before them, such as vowel signs; `re` takes them for the end of a word."""

_UNSPACED: Final = (
    "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Kana
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u0edc-\u0edf"  # Thai, Lao
    "\u1000-\u103f\u1050-\u109d\u1780-\u17d3"  # Burmese, Khmer
)
"""Scripts that put no spaces between words."""

_PIECE: Final = re.compile(
    rf"(?:(?<![\w.])\.(?=[A-Za-z]))?[\w{_MARKS}]+(?:[.\-/:'\u2019][\w{_MARKS}]+)*"
    r"(?:\+\+(?![A-Za-z_+])|(?<!\w{3})[#*](?![\w#*]))?"
)
"""A word, or a name of code or of a file: words that one sign joins. Signs at an end that make another name of it
belong to it: the dot of `.net`, the end of `c++`, and those of names as short as `c#`, `f#` and `a*`."""
_HYPHENATED: Final = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010]\r?\n[ \t]*(?=[^\W\d_])")
"""The hyphen of a word that goes on in the next line."""
_SCRIPTS: Final = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<hangul>[\uac00-\ud7a3]+)")
_CLUSTER: Final = re.compile(rf".[{_MARKS}]*")
_PARTS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_OTHER_PARTS: Final = re.compile(rf"(?:[^\W\d_]|[{_MARKS}])+|\d+")
_SIGNS: Final = ".+#*"
_JOINTS: Final = re.compile("[.\\-/:'\u2019]")
_VOWEL: Final = re.compile("[aeiouy]")

_LONGEST: Final = 64
"""Characters of a term. What is longer is no word but data in letters; its beginning is the term."""

_STROKES: Final = str.maketrans(
    {
        "\u0131": "i",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "ħ": "h",
        "ŧ": "t",
        "\u03c2": "\u03c3",
    }
)
"""Letters that differ from another by a stroke or a form only, which Unicode does not take apart."""

_INVISIBLE: Final = dict.fromkeys(map(ord, "\u00ad\u034f\u061c\u0640\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"), None)
"""Characters that change how a word looks, not which word it is: joiners, soft hyphens, the stretch of Arabic."""

_HEBREW_AND_ARABIC_POINTS: Final = range(10, 37)
_ACCENTS: Final = range(202, 235)
"""Classes of marks that readers leave out at will. Vowel signs of Indic scripts and voiced kana have others."""


def terms_of(text: str, stemming: str | None = None) -> list[str]:
    """Splits a text into search terms, in order and with repetitions.

    Upper and lower case, width, accents and plurals make no difference. A name such as `readFile`, `read_file` or
    `os.path` gives its words and itself; `C#`, `C++`, `.NET` and `A*` give the letter or word, and themselves. Scripts
    without spaces give pairs of characters, Han single ones as well. `stemming` is the language of PyStemmer whose
    endings are taken off; None for the commonest ones of English.
    """
    if "\n" in text:
        text = _HYPHENATED.sub("-", text)  # Found as two words and as one, like every word with a hyphen.
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_INVISIBLE).replace("\u266f", "#")
    found: list[str] = []
    for piece in _PIECE.findall(text):
        found += _terms_of_piece(piece, stemming)
    return found


def stemming_languages() -> tuple[str, ...]:
    """Returns the languages that PyStemmer knows.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    with extra("stemming", part="`stemming`"):
        import Stemmer  # type: ignore[import-not-found]  # noqa: PLC0415  # An extra; it has no types.
    return tuple(Stemmer.algorithms())


def _with_signs(piece: str, stemming: str | None) -> tuple[str, ...]:
    """Returns the terms of the words in a piece, and one more of the word with its signs."""
    words = piece.strip(_SIGNS)
    terms = _terms_of_piece(words, stemming)
    parts = _JOINTS.split(words)
    first, last = piece[: piece.index(words)], piece[len(piece) - len(piece.lstrip(".")) + len(words) :]
    signed = [first + _fold(parts[0])] * bool(first) + [_fold(parts[-1]) + last] * bool(last)
    return (*terms, *(term[:_LONGEST] for term in signed))


@lru_cache(maxsize=1 << 16)
def _terms_of_piece(piece: str, stemming: str | None) -> tuple[str, ...]:
    if piece[0] == "." or piece[-1] in _SIGNS:
        return _with_signs(piece, stemming)
    if piece.isascii():
        return _terms_of_name(piece, stemming)
    found: list[str] = []
    end = 0
    for run in _SCRIPTS.finditer(piece):
        found += _terms_of_name(piece[end : run.start()], stemming)
        found += _unspaced(run[0]) if run["unspaced"] else _hangul(run[0])
        end = run.end()
    found += _terms_of_name(piece[end:], stemming)
    return tuple(term[:_LONGEST] for term in found if term)  # An accent without a letter leaves nothing.


def _terms_of_name(name: str, stemming: str | None) -> tuple[str, ...]:
    if name.isascii() and name.isalpha() and (name[1:].islower() or name.isupper()):
        return (_term_of(name, stemming),)
    bare = name.removesuffix("'s").removesuffix("\u2019s")
    pattern = _PARTS if bare.isascii() else _OTHER_PARTS
    parts = pattern.findall(bare)
    terms = [_term_of(part, stemming) for part in parts]
    if len(parts) > 1 and "'" not in bare and "\u2019" not in bare:
        # `readFile` finds `read_file` as well; the points in 3.14 and in dates are part of them.
        numbers = all(part.isdigit() for part in parts)
        terms.append(_fold(bare)[:_LONGEST] if numbers else _term_of("".join(parts), stemming))
    return tuple(terms)


def _term_of(word: str, stemming: str | None) -> str:
    """Returns a word without its ending. The stems of a language are found before accents are dropped: they matter."""
    if stemming is None:
        return _stem(_fold(word)[:_LONGEST])
    return _fold(_STEMMERS.of(stemming).stemWord(word.casefold()[:_LONGEST]))


class _Stemmers(threading.local):
    """Holds the stemmers of one thread: a stemmer must not be used by two threads."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def of(self, language: str) -> Any:
        if language not in self._made:
            import Stemmer  # noqa: PLC0415  # An extra, which was found when the retriever was made.

            self._made[language] = Stemmer.Stemmer(language, 0)  # Terms of pieces are cached here.
        return self._made[language]


_STEMMERS: Final = _Stemmers()


def _fold(text: str) -> str:
    folded = text.casefold()
    if folded.isascii():
        return folded
    kept = (c for c in unicodedata.normalize("NFKD", folded) if not _is_optional(c))
    return unicodedata.normalize("NFC", "".join(kept)).translate(_STROKES)


def _is_optional(character: str) -> bool:
    kind = unicodedata.combining(character)
    return kind in _ACCENTS or kind in _HEBREW_AND_ARABIC_POINTS


def _stem(word: str) -> str:
    """Takes off the commonest endings of English; what is left need not be a word, only the same for all forms."""
    if len(word) <= 3 or not word.isascii():  # noqa: PLR2004  # Shorter ones are no forms of another word.
        return word
    return _without_e(_without_form(_without_plural(word)))


def _without_plural(word: str) -> str:
    if not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]  # noqa: PLR2004  # `ties` is no form of `ty`.
    return word[:-2] if word.endswith(("sses", "xes", "shes")) else word[:-1]


def _without_form(word: str) -> str:
    stem = next((word.removesuffix(ending) for ending in ("ing", "ed") if word.endswith(ending)), word)
    if stem == word or len(stem) < 3 or not _VOWEL.search(stem):  # noqa: PLR2004  # `ring` and `bed` are whole words.
        return word
    return stem[:-1] if stem[-1] == stem[-2] and stem[-1] not in "lsz" else stem


def _without_e(word: str) -> str:
    return word[:-1] if len(word) > 4 and word.endswith("e") else word  # noqa: PLR2004  # `note` is no form of `not`.


def _unspaced(run: str) -> Iterator[str]:
    clusters = _CLUSTER.findall(run)
    yield from _pairs(clusters)
    yield from (c for c in clusters if len(clusters) == 1 or unicodedata.name(c[0], "").startswith("CJK"))


def _hangul(word: str) -> Iterable[str]:
    # Endings are written without a space: pairs find the word in them.
    return [word, *(pair for pair in _pairs(word) if pair != word)]


def _pairs(characters: Iterable[str]) -> Iterator[str]:
    return (first + second for first, second in pairwise(characters))
