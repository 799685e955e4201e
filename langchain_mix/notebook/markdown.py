"""Markdown that an agent wrote, as HTML that does no harm.

Owns: what of it becomes markup. Refuses to know: its place in the page.

HTML in it stays text. Links lead to the web or to mail, never into the notebook server, and open in another tab.
Pictures are links too: a page that loads them would report to their server what the agent has read.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from functools import cache
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_LINK: Final = {"target": "_blank", "rel": "noopener noreferrer nofollow"}
# Formulas are set by MathJax, which has commands that make links, styles and new commands.
_UNSAFE_FORMULA: Final = re.compile(
    r"\\(href|url|class|style|cssId|data|html\w*|require|unicode|def|let|[gex]def|(re)?new\w*|csname|catcode|mmlToken)\b"
)
_MOST_CODE: Final = 20_000
_FORMULAS: Final = "tex2jax_process mathjax_process"


def safe_url(url: str) -> str:
    """The URL if it leads to the web or to mail, else an empty text."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return ""
    if parts.scheme.lower() not in _SCHEMES or not (parts.netloc or parts.scheme.lower() == "mailto"):
        return ""
    return url.strip()


def link(url: str, text: str) -> str:
    """A link as HTML, or the text and the URL where that leads nowhere safe."""
    if not (target := safe_url(url)):
        return escape(f"{text} ({url})" if url != text else text)
    attributes = "".join(f' {name}="{value}"' for name, value in _LINK.items())
    return f'<a href="{escape(target)}"{attributes}>{escape(text)}</a>'


def to_html(text: str) -> str:
    """Renders CommonMark with tables and strikethrough, perhaps not complete yet, as HTML in one `div`."""
    formulas = "" if _UNSAFE_FORMULA.search(text) else f" {_FORMULAS}"
    return f'<div class="lcm-md{formulas}">{_parser().render(text)}</div>'


@cache
def _parser() -> MarkdownIt:
    options = {"html": False, "linkify": False, "highlight": highlighted}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough"])
    parser.renderer = _Renderer(parser)
    return parser


def highlighted(code: str, language: str, _attributes: str = "") -> str:
    """Marks up code, all of it escaped. Empty for an unknown language, and for code that would take too long."""
    # Loaded for the first code; Pygments has no types.
    from pygments import highlight  # type: ignore[import-untyped]  # noqa: PLC0415
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]  # noqa: PLC0415
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]  # noqa: PLC0415
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]  # noqa: PLC0415

    if not language or len(code) > _MOST_CODE:
        return ""
    try:
        lexer = get_lexer_by_name(language.lower(), stripnl=False)
    except ClassNotFound:
        return ""
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True, classprefix="lcm-t-")))


class _Renderer(RendererHTML):
    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return f'<div class="lcm-grid" tabindex="0">{self.renderToken(tokens, idx, options, env)}'

    def table_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return f"{self.renderToken(tokens, idx, options, env)}</div>"

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        token = tokens[idx]
        url = safe_url(str(token.attrGet("href") or ""))
        token.attrs = {"href": url, **_LINK} if url else {}
        return self.renderToken(tokens, idx, options, env)

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        del options, env  # What the library passes to every rule.
        url, text = str(tokens[idx].attrGet("src") or ""), tokens[idx].content or "picture"
        return link(url, text) if safe_url(url) else escape(text)
