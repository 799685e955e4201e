"""HTML cut into tags and texts, in time that grows with its length alone.

Owns: where markup begins and ends, by the rules of the WHATWG tokenizer as far as text needs them.
Refuses to know: what tags mean. The parser of the standard library takes quadratic time on broken markup.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Final, Literal, NamedTuple

_NAME: Final = re.compile(r"[a-zA-Z][^\s/>]*")
_TAG_PART: Final = re.compile(r">|=\s*([\"'])")
_RAW: Final = frozenset({"script", "style", "textarea", "title", "iframe", "noembed", "noframes", "xmp"})
_RAW_ENDS: Final = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in _RAW}


class Token(NamedTuple):
    """A piece of markup.

    Attributes:
        kind: What it is.
        value: The text with its entities, or the tag's name in lower case.
        start: Where it begins, in characters.
        attributes: What stands in the tag behind its name.
    """

    kind: Literal["text", "start", "end"]
    value: str
    start: int
    attributes: str = ""


def tokens_of(html: str) -> Iterator[Token]:
    """Cuts HTML. What the standard drops at an early end, such as a tag that is never closed, is dropped here too.

    Args:
        html: The document or a piece of one.

    Yields:
        Texts and tags, in order; comments and declarations are left out.
    """
    index = 0
    while index < len(html):
        mark = html.find("<", index)
        if mark != index:
            mark = len(html) if mark < 0 else mark
            yield Token("text", html[index:mark], index)
            index = mark
        elif html.startswith("<!--", index):
            index = _behind(html, "-->", index + 4)
        elif html.startswith("<![CDATA[", index) and (end := html.find("]]>", index)) > 0:
            # In XHTML, SVG and MathML this is text.
            yield Token("text", html[index + 9 : end].replace("&", "&amp;"), index)
            index = end + 3
        elif html.startswith(("<!", "<?"), index):
            index = _behind(html, ">", index + 2)
        elif name := _NAME.match(html, index + 1):
            end = _tag_end(html, name.end())
            if end:
                token = Token("start", name[0].lower(), index, html[name.end() : end - 1])
                yield token
                end = yield from _raw(html, token.value, end)
            index = end or len(html)
        elif html.startswith("</", index):
            name = _NAME.match(html, index + 2)
            end = _tag_end(html, name.end()) if name else _behind(html, ">", index + 2)
            if name and end:
                yield Token("end", name[0].lower(), index)
            index = end or len(html)
        else:
            yield Token("text", "<", index)
            index += 1


def _raw(html: str, name: str, index: int) -> Generator[Token, None, int]:
    """What some tags hold is text up to their end, whatever it looks like. Returns where to go on."""
    if name not in _RAW:
        return index
    found = _RAW_ENDS[name].search(html, index)
    end = found.start() if found else len(html)
    if end > index:
        yield Token("text", html[index:end], index)
    return end


def _tag_end(html: str, index: int) -> int:
    """Where a tag ends; 0 if it does not. A `>` in a quoted value ends none."""
    while part := _TAG_PART.search(html, index):
        if part[1] is None:
            return part.end()
        close = html.find(part[1], part.end())
        if close < 0:
            return 0
        index = close + 1
    return 0


def _behind(html: str, mark: str, index: int) -> int:
    found = html.find(mark, index)
    return len(html) if found < 0 else found + len(mark)
