"""Sessions of a local emulator, to be looked at."""

from __future__ import annotations

import pytest

from langchain_mix import Mix, MixEmulator
from langchain_mix.emulator import Script, say, think, turn, use
from langchain_mix.emulator.agents.base import Fail, Usage
from langchain_mix.errors import MixNotFoundError
from langchain_mix.notebook import atranscript, transcript
from langchain_mix.protocol.api import ALL

BAD = "<script>alert(1)</script>\x1b[2J"
SCRIPT = Script(
    turn(
        [*think("hm"), *say("I look."), use("Bash", {"command": "ls"}, result="out " * 1000)],
        [*say(f"**Done** {BAD}"), Usage(input_tokens=1200, output_tokens=34, cost=0.25, model="claude")],
    ),
    turn([*say("Half"), Fail("broken")]),
)


def filled(mix):
    session = mix.sessions.create(title=f"T {BAD}").id
    mix.turn(session, f"Question {BAD}", permissions="allow").run()
    return session


@pytest.fixture(params=[str(version) for version in ALL])
def server(request):
    with MixEmulator(api=request.param, agent=SCRIPT) as server:
        yield server


@pytest.fixture
def mix(server):
    with Mix(server_url=server.url, api=str(server.api)) as mix:
        yield mix


def test_a_session(mix, server):
    session = filled(mix)
    found = transcript(session, mix)
    html = found._repr_html_()
    for part in (
        session,
        ">You<",
        "Question &lt;script",
        "hm",
        "I look.",
        "ash</strong>",
        "<strong>Done</strong>",
        "$0.2500",
    ):
        assert part in html
    assert "<script" not in html
    assert ("out out" in html) is (str(server.api) in {"0.8", "next"})
    assert "lcm-spin" not in html.split("</style>")[1]


def test_text(mix):
    found = transcript(filled(mix), mix)
    text = repr(found)
    assert "\x1b" not in text
    assert "     user | Question" in text
    assert "assistant | [thinking] hm" in text
    assert "assistant | [tool] bash" in text.casefold()


def test_text_has_the_outputs_of_tools(mix, server):
    found = transcript(filled(mix), mix, max_output=11)
    given = str(server.api) in {"0.8", "next"}
    lines = repr(found).split("\n")
    assert ("          | [tool] Bash succeeded" in lines) is given
    assert ("          | [tool] Bash gave: out out out… (3,988 more characters)" in lines) is given
    assert ("gave" in repr(found)) is given


async def test_asynchronously(mix):
    session = filled(mix)
    assert repr(await atranscript(session, mix, thinking="hidden")) == repr(transcript(session, mix, thinking="hidden"))
    await mix.aclose()


@pytest.mark.parametrize(("option", "word"), [("thinking", "hm"), ("tools", "bash")])
def test_what_is_hidden(mix, option, word):
    session = filled(mix)
    for found, shown in ((transcript(session, mix), True), (transcript(session, mix, **{option: "hidden"}), False)):
        # Mix before 0.6.5 spells the tool in lower case.
        assert (word in found._repr_html_().split("</style>")[1].casefold()) is shown
        assert (word in repr(found).casefold()) is shown
    unfolded = transcript(session, mix, **{option: "open"})._repr_html_()
    assert "<details" in unfolded
    assert " open>" in unfolded


def test_how_much_of_outputs():
    with MixEmulator(api="0.8", agent=SCRIPT) as server, Mix(server_url=server.url) as mix:
        assert "3,900 more characters" in transcript(filled(mix), mix, max_output=100)._repr_html_()


def test_a_turn_that_failed_says_so(mix):
    session = filled(mix)
    with pytest.raises(Exception, match="broken"):
        mix.turn(session, "again", permissions="allow").run()
    assert "ended" in transcript(session, mix)._repr_html_()


def test_no_such_session(mix):
    with pytest.raises(MixNotFoundError):
        transcript("00000000-0000-0000-0000-000000000000", mix)
