"""Markdown of an agent: markup where it helps, nothing that does harm."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.notebook import markdown as module
from langchain_mix.notebook.markdown import link, safe_url, to_html

ALLOWED = {
    *("div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "s", "code", "pre", "blockquote"),
    *("ul", "ol", "li", "hr", "br", "a", "table", "thead", "tbody", "tr", "th", "td"),
}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def tags(html):
    parser = Tags()
    parser.feed(html)
    return parser.found


def check(html):
    """Nothing but plain markup, and links into the web or to mail."""
    for tag, attributes in tags(html):
        assert tag in ALLOWED, html
        for name, value in attributes.items():
            assert name in {"class", "href", "target", "rel", "style", "start", "title", "tabindex"}, html
            if name == "style":
                assert value.startswith("text-align:")
            if name == "href":
                assert value.lower().startswith(("http://", "https://", "mailto:")), html


def test_markup():
    html = to_html("# T\n\n**b** ~~s~~ `c`\n\n| a |\n|---|\n| 1 |\n\n```py\nx < 1\n```")
    for part in (
        "<h1>T</h1>",
        "<strong>b</strong>",
        "<s>s</s>",
        "<code>c</code>",
        "<td>1</td>",
        '<span class="lcm-t-o">&lt;</span>',
    ):
        assert part in html


ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a <b onclick=x>b</b>",
    "[a](javascript:alert(1))",
    "[a](JaVaScript:alert(1))",
    "[a](java&#115;cript:alert(1))",
    "[a](vbscript:x)",
    "[a](data:text/html,<script>x</script>)",
    "[a](/lab?reset)",
    "[a](../api/shutdown)",
    "[a](//evil.example/x)",
    "[a](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "![x](https://tracker.example/x.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![x](javascript:alert(1))",
    '```html"><script>alert(1)</script>\nx\n```',
    "[a][1]\n\n[1]: javascript:alert(1)",
    '[a](https://x.example "onmouseover=alert(1)")',
    '[a](https://x.example/" onclick="alert(1))',
    "| <script>x</script> |\n|---|\n| <img src=x onerror=y> |",
    "<style>*{display:none}</style>",
    "<iframe src=https://x.example></iframe>",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_stay_text(attack):
    check(to_html(attack))


@given(st.lists(st.sampled_from([*ATTACKS, "**", "`", "\n\n", "> ", "- ", "](", "<", ">", '"', "x"]), max_size=8))
def test_no_mixture_of_attacks_does_harm(parts):
    check(to_html("".join(parts)))


@given(st.text(max_size=200))
def test_no_text_does_harm(text):
    check(to_html(text))


def test_links_open_beside_the_notebook_and_tell_nothing():
    [(tag, attributes)] = [found for found in tags(to_html("[a](https://x.example)")) if found[0] == "a"]
    assert tag == "a"
    assert attributes == {
        "href": "https://x.example",
        "target": "_blank",
        "rel": "noopener noreferrer nofollow",
    }


def test_pictures_are_links_and_are_not_loaded():
    html = to_html("![a chart](https://x.example/a.png)")
    assert "<img" not in html
    assert '<a href="https://x.example/a.png"' in html
    assert ">a chart</a>" in html


@pytest.mark.parametrize("command", ["href{javascript:x}{y}", "url{x}", "class{a}{b}", "def\\x{y}", "newcommand{x}"])
def test_formulas_that_could_link_are_not_set(command):
    assert "mathjax_process" not in to_html(f"$\\{command}$")


@pytest.mark.parametrize("formula", ["e^{i\\pi}", "\\frac{1}{2}", "\\sum_i x_i"])
def test_formulas_are_set(formula):
    assert "mathjax_process" in to_html(f"${formula}$")


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://x.example/a", True),
        ("HTTP://x.example", True),
        ("mailto:a@b.example", True),
        (" https://x.example ", True),
        ("https:///x", False),
        ("http:", False),
        ("x.png", False),
        ("javascript://x.example/%0aalert(1)", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_safe_urls(url, safe):
    assert bool(safe_url(url)) is safe


def test_a_link_that_leads_nowhere_safe_is_text():
    assert link("javascript:x", "<b>") == "&lt;b&gt; (javascript:x)"


def test_code_is_highlighted_in_its_language():
    html = to_html("```python\ndef tea(): return '<b>'  # hot\n```")
    assert '<span class="lcm-t-k">def</span>' in html
    assert '<span class="lcm-t-c1"># hot</span>' in html
    assert "&lt;b&gt;" in html


@pytest.mark.parametrize("language", ["", "nonsense", "<script>"])
def test_code_in_no_known_language_is_as_it_is(language):
    html = to_html(f"```{language}\n<b> x\n```")
    assert "&lt;b&gt; x" in html
    assert "lcm-t-" not in html
    assert "<script" not in html


def test_long_code_is_not_read_again_and_again(monkeypatch):
    monkeypatch.setattr(module, "_MOST_CODE", 10)
    assert "lcm-t-" not in to_html("```python\nx = 'long enough'\n```")


def test_a_wide_table_scrolls():
    html = to_html("|a|b|\n|-|-|\n|1|2|")
    assert html.count('<div class="lcm-grid" tabindex="0"><table>') == 1
    assert html.endswith("</table>\n</div></div>")
