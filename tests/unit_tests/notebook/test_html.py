"""A view as HTML: what is shown, how it folds, and that no word of anybody becomes markup."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from langchain_mix.client.updates import Message, TurnResult
from langchain_mix.errors import MixAgentError, MixTextGap
from langchain_mix.notebook import html as module
from langchain_mix.notebook.html import STYLE, Look, Page, frame, gist_of, keeping_open, pretty
from langchain_mix.notebook.view import Media, Notice, Tool, View, Words

BAD = "</pre></summary><script>alert(1)</script><img src=x onerror=alert(1)>\"'`"


VOID = {"br", "hr", "img"}
KNOWN = {
    *("div", "section", "style", "script", "details", "summary", "pre", "p", "span", "strong", "em", "code", "a", "s"),
    *("figure", "figcaption", "h1", "h2", "h3", "ul", "ol", "li", "blockquote", *VOID),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
}


class Balance(HTMLParser):
    """Fails on elements that are not closed in order, and on any that nobody here writes."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.found = []

    def handle_starttag(self, tag, attrs):
        assert tag in KNOWN, tag
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parse(html):
    parser = Balance()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser.found


def render(*parts, look=None, role="assistant", label="", **fields):
    view = View()
    view.section("m", role=role, label=label).parts.extend(parts)
    view.tools = {part.id: part for part in parts if isinstance(part, Tool)}
    for name, value in fields.items():
        setattr(view, name, value)
    html = Page(look or Look(), "lcm-1").render(view)
    parse(html)
    return html


def body(html):
    return html.replace(STYLE, "").replace(keeping_open("lcm-1"), "")


def details(html):
    return [attributes for tag, attributes in parse(html) if tag == "details"]


TOOL = Tool("t", "Bash", ['{"command":"ls"}'], "succeeded", "ran", "out")


def test_parts_are_shown():
    html = body(render(Words(pieces=["**a**"]), Words(thinking=True, pieces=["hm"]), TOOL, Notice("rate", "slow")))
    for part in (
        "<strong>a</strong>",
        "Thinking",
        "hm",
        "Bash",
        "&quot;command&quot;: &quot;ls&quot;",
        "ran",
        "out",
        "slow",
    ):
        assert part in html


@pytest.mark.parametrize(
    "part",
    [
        Words(pieces=[BAD]),
        Words(thinking=True, pieces=[BAD]),
        Tool("t", BAD, [BAD], "failed", BAD, BAD),
        Tool("t", "x", ['{"a":"' + "<script>alert(1)</script>" + '"}'], "running", parts=[Words(pieces=[BAD])]),
        Tool("t", "x", [], output=BAD * 200),
        Notice(BAD, BAD),
        Media("image", BAD, BAD, BAD, BAD, BAD),
        Media("table", content=f"{BAD},x\n{BAD},y".encode()),
    ],
)
@pytest.mark.parametrize("role", ["assistant", "user", "system", "tool"])
def test_no_word_becomes_markup(part, role):
    html = render(part, role=role, label=BAD, model=BAD, error=MixAgentError(BAD, hint=BAD))
    assert html.count("<script") == 1
    assert "<img" not in html


def test_the_style_and_the_script_are_constant():
    html = render(Words(pieces=["a"]))
    assert STYLE in html
    assert keeping_open("lcm-1") in html


@pytest.mark.parametrize(("folding", "unfolded"), [("closed", [False]), ("open", [True]), ("hidden", [])])
def test_thinking_folds(folding, unfolded):
    html = render(Words(thinking=True, pieces=["hm"]), look=Look(thinking=folding))
    assert ["open" in found for found in details(html)] == unfolded
    assert ("hm" in body(html)) is bool(unfolded)


@pytest.mark.parametrize(("folding", "unfolded"), [("closed", [False]), ("open", [True]), ("hidden", [])])
def test_tools_fold(folding, unfolded):
    html = render(TOOL, look=Look(tools=folding))
    assert ["open" in found for found in details(html)] == unfolded
    assert ("Bash" in body(html)) is bool(unfolded)


def test_long_outputs_are_cut_with_a_more():
    tool = replace(TOOL, output="x" * 30)
    assert "more characters" not in render(tool, look=Look(max_output=30))
    html = render(tool, look=Look(max_output=10))
    assert f"{'x' * 10}<details" in html
    assert "… 20 more characters" in html
    assert html.count("x" * 20) == 1


def test_long_arguments_are_cut_with_a_more():
    tool = Tool("t", "Bash", ["x" * 30], "succeeded")
    assert "more characters" not in render(tool, look=Look(max_output=30))
    assert "… 20 more characters" in render(tool, look=Look(max_output=10))


def test_endless_outputs_are_left_at_the_server(monkeypatch):
    monkeypatch.setattr(module, "_MOST_CHARS", 50)
    html = render(replace(TOOL, output="x" * 200), look=Look(max_output=10))
    assert body(html).count("x") < 80
    assert "140 more characters are not shown" in html


def test_details_keep_their_names_while_parts_come():
    first = [found["data-key"] for found in details(render(Words(thinking=True, pieces=["a"])))]
    later = [found["data-key"] for found in details(render(Words(thinking=True, pieces=["a", "b"]), TOOL))]
    assert later[0] == first[0]
    assert len(set(later)) == 2


def test_a_sub_agent_is_inside_and_open_while_it_runs():
    task = Tool("t", "Task", [], "running", parts=[Words(pieces=["deep"])])
    assert "open" in details(render(task))[0]
    task.status = "succeeded"
    html = render(task)
    assert "open" not in details(html)[0]
    assert '<div class="lcm-sub"><div class="lcm-md' in html


@pytest.mark.parametrize(
    ("tool_status", "status", "words"),
    [
        ("running", "running", "running"),
        ("running", "done", "not finished"),
        ("called", "done", "called"),
        ("failed", "done", "failed"),
    ],
)
def test_states_of_tools(tool_status, status, words):
    html = body(render(replace(TOOL, status=tool_status), status=status))
    summary = html[html.index("<summary>") : html.index("</summary>")]
    assert words in summary
    assert ("lcm-spin" in summary) is (words == "running")


@pytest.mark.parametrize(("status", "words"), [("running", "running"), ("done", "✓ done"), ("stopped", "stopped")])
def test_the_line_that_tells_how_far_it_is(status, words):
    html = body(render(TOOL, status=status, elapsed=3.21, model="claude"))
    line = html[html.index('role="status"') :]
    for fact in (words, "3.2 s", "1 tool call", "claude"):
        assert fact in line
    assert ('aria-busy="true"' in html) is (status == "running")


def test_tokens_and_cost():
    view = View()
    view.section("a", tokens=(1000, 2), cost=0.5)
    view.section("b", tokens=(234, 3), cost=0.25)
    html = Page(Look(), "lcm-1").render(view)
    assert "1,234 tokens in, 5 out" in html
    assert "$0.7500" in html


def test_errors_are_told_with_their_hint():
    html = body(render(error=MixAgentError("It broke.", hint="Mend it.", sent="POST /x"), status="failed"))
    for part in ('role="alert"', "MixAgentError", "It broke.", "Mend it."):
        assert part in html
    assert "Boom" in render(error=ValueError("Boom"))


def test_a_gap_is_mended_with_the_whole_reply():
    error = MixTextGap("lost")
    error.turn = TurnResult(session_id="s", messages=[Message(text="the *whole* reply")])
    assert "the <em>whole</em> reply" in render(error=error)


def test_a_restated_text_says_so():
    words = Words()
    words.restate("all of it")
    assert "A part was lost" in render(words)


def test_a_text_that_did_not_grow_is_rendered_once(monkeypatch):
    rendered = []
    monkeypatch.setattr(module, "to_html", lambda text: rendered.append(text) or f"<p>{text}</p>")
    view, page = View(), Page(Look(), "lcm-1")
    old, new = Words(pieces=["old"]), Words(pieces=["new"])
    view.section("m").parts.extend([old, new])
    page.render(view)
    new.pieces.append("er")
    assert "<p>newer</p>" in page.render(view)
    assert rendered == ["old", "new", "newer"]


def test_a_picture_that_came_later_is_shown():
    view, page, media = View(), Page(Look(), "lcm-1"), Media("table", name="t.csv")
    view.section("m").parts.append(media)
    assert "<table>" not in page.render(view)
    media.content = b"a,b"
    assert "<table>" in page.render(view)


def test_who_speaks():
    assert ">You<" in render(Words(pieces=["a"]), role="user")
    assert ">You<" not in render(Words(pieces=["a"]), label="agent")
    assert ">agent<" in render(Words(pieces=["a"]), label="agent")


def test_formulas_are_set_in_replies_alone():
    html = body(render(Words(pieces=["$x$"]), Words(thinking=True, pieces=["$y$"]), replace(TOOL, output="$z$")))
    assert html.startswith('<div class="lcm mathjax_ignore tex2jax_ignore"')
    assert html.count("mathjax_process") == 1
    assert "mathjax_process" not in render(Words(pieces=["$x$"]), role="user")


def test_a_frame_can_stand_without_a_name():
    assert " id=" not in frame("x", label="y").replace(STYLE, "")


@pytest.mark.parametrize(
    ("arguments", "gist"),
    [
        ('{"n":1,"path":"a b","x":"y"}', "a b"),
        ('{"text":"a\\n b"}', "a b"),
        ('{"n":1}', ""),
        ("[1]", "[1]"),
        ("{bad", "{bad"),
        ("", ""),
        ('{"a":"' + "x" * 200 + '"}', "x" * 90 + "…"),
    ],
)
def test_the_gist_of_a_call(arguments, gist):
    assert gist_of(Tool("t", arguments=[arguments])) == gist


@pytest.mark.parametrize(("text", "shown"), [('{"a":1}', '{\n  "a": 1\n}'), ("{bad", "{bad"), ("ls", "ls"), ("3", "3")])
def test_json_gets_indents(text, shown):
    assert pretty(text) == shown


def test_deep_json_is_shown_as_it_is():
    text = "[" * 50_000 + "]" * 50_000
    assert pretty(text) == text


@pytest.mark.parametrize("root", ['x"', "a b", "", "ä", "x');alert(1)//"])
def test_a_script_takes_only_names(root):
    with pytest.raises(ValueError, match="no id"):
        keeping_open(root)


@pytest.mark.skipif(shutil.which("node") is None, reason="it is JavaScript")
@pytest.mark.parametrize(
    ("events", "unfolded"),
    [
        (["pointerdown", "click", "toggle"], True),
        (["click", "toggle"], True),  # A key.
        (["pointerdown"], True),  # An update comes before the mouse button is released.
        (["pointerdown", "pointerleave"], False),  # The reader thinks better of it.
        (["pointerdown", "click", "toggle", "pointerleave", "pointerdown", "click", "toggle"], False),
        (["pointerdown", "remove", "pointerleave"], True),
        ([], False),
    ],
)
def test_what_a_reader_unfolds_stays_so_in_the_next_state(events, unfolded):
    script = keeping_open("lcm-1").removeprefix("<script>").removesuffix("</script>")
    page = f"""
    var window = {{}}, listeners = {{}}, document = {{getElementById: () => root}};
    function fresh() {{
      listeners = {{}};
      return {{dataset: {{key: "0"}}, open: false, isConnected: true,
        querySelector: () => ({{addEventListener: (name, f) => (listeners[name] = f)}})}};
    }}
    var d = fresh(), root = {{id: "lcm-1", querySelectorAll: () => [d]}};
    {script}
    for (var name of {json.dumps(events)}) {{
      if (name === "toggle") d.open = !d.open;
      else if (name === "remove") d.isConnected = false;
      else listeners[name]({{pointerType: "mouse", button: 0}});
    }}
    d = fresh();
    {script}
    console.log(d.open);
    """
    ran = subprocess.run(["node", "-e", page], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(unfolded).lower()


def test_no_colour_says_it_alone():
    """Whatever is told by colour is told by a word or a sign as well."""
    for colour, sign, words in module._SIGNS.values():
        assert colour
        assert sign or words


def call(number, name="Grep", status="succeeded", **fields):
    return Tool(f"t{number}", name, [f'{{"pattern": "p{number}"}}'], status=status, **fields)


def summaries(html):
    return re.findall(r"<summary>(.*?)</summary>", html)


def test_many_calls_in_a_row_fold_into_one_line():
    bad = call(9, "Bash", "failed", output="exit 1")
    parts = [
        *map(call, range(5)),
        Words(thinking=True, pieces=["hm"]),
        call(5, "ReadText"),
        bad,
        Words(pieces=["Done."]),
    ]
    html = render(*parts)
    first = summaries(html)[0]
    assert "7 tool calls" in first
    assert "5 Grep, ReadText, Bash" in first
    assert '<span class="lcm-bad">1 failed</span>' in first
    assert html.index("Done.") > html.rindex("</details>"), "what was said stays outside"
    assert len(summaries(html)) == 9, "each call and thought is inside"


def test_few_calls_and_open_tools_do_not_fold():
    assert "tool calls</strong>" not in render(*map(call, range(3)))
    assert "tool calls</strong>" not in render(*map(call, range(9)), look=Look(tools="open"))


def test_a_call_that_runs_stays_outside_of_the_fold():
    html = render(*map(call, range(4)), call(4, "Bash", "running"), status="running")
    assert "4 tool calls</strong>" in summaries(html)[0]
    assert "Bash" in summaries(html)[-1]
    assert html.count("</details>") == 6


def test_messages_that_only_call_tools_fold_together():
    view = View()
    for number in range(6):
        view.section(f"m{number}").parts.append(call(number))
    view.section("end").parts.append(Words(pieces=["Done."]))
    view.end("done")
    html = Page(Look(), "r").render(view)
    parse(html)
    assert "6 tool calls</strong>" in summaries(html)[0]
    assert html.index("Done.") > html.rindex("</details>")


def test_a_denied_tool_has_its_own_words_and_colour():
    denied = call(1, "Write", "failed", progress="Failed Write tool after 3.2ms: permission denied")
    html = render(denied)
    assert '<span class="lcm-denied">⊘ <strong>Write</strong></span>' in html
    assert '<span class="lcm-denied">denied</span>' in html
    stored = call(1, "Write", "failed", output="The user doesn't want to proceed with this tool use. Ask.")
    assert ">denied</span>" in render(stored)
    assert ">failed</span>" in render(call(1, "Write", "failed", output="permission denied: a.md"))
    assert "2 denied" in summaries(render(denied, stored, call(2), call(3)))[0]


def test_a_diff_is_monospaced_and_coloured():
    html = render(Notice("interrupt", "Write: a.md\ndiff:\n@@ -1 +1 @@\n-<b>old\n+new\n context\ndecisions: approve"))
    assert (
        '<pre class="lcm-diff"><span class="lcm-busy">@@ -1 +1 @@</span>\n<span class="lcm-bad">-&lt;b&gt;old</span>\n'
        '<span class="lcm-good">+new</span>\n context</pre>decisions: approve' in html
    )
    assert "lcm-diff" not in render(Notice("note", "a\n- b\n+ c")).split("</style>")[1]


def test_an_open_thought_is_shown_once():
    html = render(Words(thinking=True, pieces=["hm"]), look=Look(thinking="open"))
    assert '<details data-key="0.0" class="lcm-thought" open>' in html
    assert ".lcm-thought[open]>summary .lcm-gist{display:none}" in STYLE


def test_without_styles_facts_and_lines_are_apart():
    html = render(Notice("interrupt", "one\ntwo"), call(1))
    assert "one<br>two" in html
    assert '</span><span class="lcm-dot"> · </span><span>1 tool call</span>' in html
    assert ".lcm-dot{display:none}" in STYLE


def test_colours_are_mixed_with_that_of_the_text_around():
    """So they can be read on any background; a frontend that is light though the system is dark has no mark to look for."""
    assert "currentColor" in STYLE
    assert "prefers-color-scheme" not in STYLE
    coloured = re.findall(r"color:[^;}]*#[0-9a-f]{3,6}[^;}]*", STYLE)
    assert all("color-mix(" in one for one in coloured)
