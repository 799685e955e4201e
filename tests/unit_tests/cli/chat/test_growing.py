"""Growing text: what was printed is never wrong later."""

from __future__ import annotations

import io
import random

import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from rich.markdown import Markdown

from langchain_mix.cli.chat import growing as module
from langchain_mix.cli.chat.growing import GrowingText, settled_markdown

DOCUMENT = """# Title

A paragraph that
goes on.

- one
- two

  still two
- three

```python
def f():

    return "# no title"
```

| a | b |
|---|---|
| 1 | 2 |

> quoted
> twice

1. first
2. second

Last words"""


def pieces(text, seed):
    chance = random.Random(seed)
    while text:
        size = chance.randint(1, 12)
        yield text[:size]
        text = text[size:]


@pytest.mark.parametrize("seed", range(20))
def test_all_parts_together_are_the_text(seed):
    growing = GrowingText(markdown=True)
    parts = [growing.add(piece) for piece in pieces(DOCUMENT, seed)]
    assert any(parts), "something settles before the end"
    assert "".join(parts) + growing.finish() == DOCUMENT
    assert growing.rest == ""


@pytest.mark.parametrize("seed", range(20))
def test_parts_have_the_same_blocks_as_the_whole(seed):
    def blocks(text):
        return [(t.type, t.content) for t in MarkdownIt().enable("table").parse(text) if t.level == 0]

    growing = GrowingText(markdown=True)
    parts = [p for p in (growing.add(piece) for piece in pieces(DOCUMENT, seed)) if p]
    parts.append(growing.finish())
    assert [b for part in parts for b in blocks(part)] == blocks(DOCUMENT)


def test_a_numbered_list_goes_on_with_its_number():
    out = io.StringIO()
    growing = GrowingText(markdown=True)
    for line in ("1. a\n", "\n", "2. b\n", "\n", "Text\n"):
        settled = growing.add(line)
        if settled:
            Console(file=out, width=40).print(Markdown(settled))
    assert "1 a" in out.getvalue()
    assert "2 b" in out.getvalue()


def test_nothing_settles_while_a_block_may_go_on():
    assert settled_markdown("one\n\ntw") == 0
    assert settled_markdown("```\na\n\nb\n\nc\n") == 0
    assert settled_markdown("one\n\ntwo\n") == len("one\n\n")


def test_other_text_settles_line_by_line():
    growing = GrowingText(markdown=False)
    assert growing.add("ab") == ""
    assert growing.add("c\nde\nf") == "abc\nde\n"
    assert growing.rest == "f"


def test_escapes_are_harmless_even_in_two_pieces():
    growing = GrowingText(markdown=True)
    growing.add("a\x1b")
    growing.add("[2Jb\r")
    growing.add("\nc")
    assert growing.finish() == "a\\x1b[2Jb\nc"


@pytest.mark.parametrize(("head", "line"), [("", "- an item of a list\n"), ("```\n", "x = 1\n"), ("", "> quoted\n")])
def test_a_long_block_is_read_a_few_times(head, line, monkeypatch):
    read = []
    monkeypatch.setattr(module, "settled_markdown", lambda text: read.append(len(text)) or settled_markdown(text))
    growing = GrowingText(markdown=True)
    growing.add(head)
    for _ in range(500):
        assert growing.add(line) == ""
    assert sum(read) < 20 * 500 * len(line)
    assert growing.finish() == head + 500 * line


def test_what_follows_a_long_block_settles_it():
    growing = GrowingText(markdown=True)
    parts = [growing.add("- an item\n") for _ in range(500)]
    parts += [growing.add(f"\nParagraph {number}.\n") for number in range(100)]
    assert "".join(parts).startswith("- an item\n" * 500 + "\nParagraph 0.\n")


def test_thinking_settles_line_by_line_however_long_a_line_is():
    growing = GrowingText(markdown=False)
    assert growing.add("a\n" + "b" * 1000) == "a\n"
    assert growing.add("\n") == "b" * 1000 + "\n"
