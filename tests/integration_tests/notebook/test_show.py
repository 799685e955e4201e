"""Runs of agents on a local emulator, shown live."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel

from langchain_mix import ChatMix, Mix, MixEmulator
from langchain_mix.client.updates import TurnResult
from langchain_mix.emulator import Gate, Script, say, think, turn, use
from langchain_mix.emulator.agents.base import Fail, Usage, Wait
from langchain_mix.errors import MixAgentError, MixInputError
from langchain_mix.notebook import ashow, show
from langchain_mix.notebook.checkpoint_tree import CheckpointTree
from langchain_mix.protocol.api import ALL

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
ANSWER = "The **answer** is 42.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n" + "More of it. " * 30
TABLE = b"region,units\n<script>alert(1)</script>,12\n"
SHOWN = {
    "outputs": [
        {"type": "image", "path": "chart.png", "title": "A chart"},
        {"type": "csv", "path": "table.csv", "title": "A table"},
    ]
}


def script(spelling="Show"):
    return Script(
        turn(
            [
                *think("Let me see. ", chunk=4),
                *say("I look. "),
                use("Bash", {"command": "ls"}, result="out " * 1000),
                Usage(),
            ],
            [use(spelling, SHOWN, result="shown"), Usage()],
            [*say(ANSWER, chunk=5), Usage(input_tokens=1200, output_tokens=34, cost=0.25, model="claude")],
        ),
        loop=True,
    )


@pytest.fixture
def server():
    with MixEmulator(api="0.8", agent=script()) as server:
        yield server


@pytest.fixture
def mix(server):
    with Mix(server_url=server.url) as mix:
        yield mix


@pytest.fixture
async def model(server):
    model = ChatMix(server_url=server.url, permissions="allow")
    yield model
    await model.client.aclose()


@pytest.fixture
def session(mix):
    session = mix.sessions.create(title="T")
    for name, content in (("chart.png", (FIXTURES / "chart.png").read_bytes()), ("table.csv", TABLE)):
        mix.files.upload_session_file(id=session.id, file={"file_name": name, "content": content})
    return session.id


def whole(recorded):
    """The final state tells all of it, and text once."""
    html = recorded.html
    assert len(recorded.ids) == 1
    assert recorded.updates == [False] + [True] * (len(recorded.shown) - 1)
    assert html.count("<strong>answer</strong>") == 1
    assert html.count("More of it. ") == 30 or html.count("More of it.") == 30
    for part in ("Let me see.", "I look.", "Bash", "✓ done", "1,200 tokens in, 34 out", "$0.2500", "claude"):
        assert part in html


def test_a_model(notebook, model):
    message = show(model.stream("?"))
    whole(notebook)
    assert type(message) is AIMessage
    assert message.text == "I look. " + ANSWER
    assert message.response_metadata["mix"]["session_id"]


async def test_a_model_asynchronously(notebook, model):
    message = await ashow(model.astream("?"))
    whole(notebook)
    assert message.text == "I look. " + ANSWER


def test_the_message_can_be_used_on(notebook, model):
    message = show(model.stream("?"))
    again = model.invoke([("user", "?"), message, ("user", "again?")])
    assert again.response_metadata["mix"]["session_id"] == message.response_metadata["mix"]["session_id"]


def test_an_answer_that_is_there_already(notebook, model):
    answer = model.invoke("?")
    assert show(answer) is answer
    whole(notebook)


def test_a_turn(notebook, mix, session):
    result = show(mix.turn(session, "?", permissions="allow"))
    whole(notebook)
    assert isinstance(result, TurnResult)
    assert result.text == ANSWER
    assert show(result) is result
    assert "<strong>answer</strong>" in notebook.html


async def test_a_turn_asynchronously(notebook, server, session):
    async with Mix(server_url=server.url) as mix:
        result = await ashow(mix.turn_async(session, "?", permissions="allow"), mix=mix)
    whole(notebook)
    assert isinstance(result, TurnResult)
    assert "data:image/jpeg" in notebook.html


@pytest.mark.parametrize("api", [str(version) for version in ALL])
def test_every_generation(notebook, api):
    spelling = "Show" if api in {"0.8", "next"} else "ShowMedia"
    with MixEmulator(api=api, agent=script(spelling)) as server, Mix(server_url=server.url, api=api) as mix:
        session = mix.sessions.create(title="T")
        assert show(mix.turn(session.id, "?", permissions="allow")).text == ANSWER
    assert notebook.html.count("<strong>answer</strong>") == 1
    assert "A chart" in notebook.html


def graph_of(model, saver=None):
    graph = StateGraph(MessagesState)
    graph.add_node("agent", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "agent")
    return graph.compile(checkpointer=saver)


STREAM_MODES = [
    "messages",
    "updates",
    "values",
    ["messages"],
    ["updates", "messages"],
    ["values", "messages", "updates", "custom"],
]


@pytest.mark.parametrize("subgraphs", [False, True])
@pytest.mark.parametrize("stream_mode", STREAM_MODES, ids=str)
def test_graphs(notebook, model, stream_mode, subgraphs):
    stream = graph_of(model).stream({"messages": [("user", "?")]}, stream_mode=stream_mode, subgraphs=subgraphs)
    message = show(stream)
    whole(notebook)
    assert message.text == "I look. " + ANSWER


@pytest.mark.parametrize("stream_mode", STREAM_MODES, ids=str)
def test_graphs_with_typed_parts(notebook, model, stream_mode):
    stream = graph_of(model).stream({"messages": [("user", "?")]}, stream_mode=stream_mode, version="v2")
    assert show(stream).text == "I look. " + ANSWER
    whole(notebook)


async def test_graphs_asynchronously(notebook, model):
    graph = StateGraph(MessagesState)

    async def agent(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph.add_node("agent", agent)
    graph.add_edge(START, "agent")
    stream = graph.compile().astream({"messages": [("user", "?")]}, stream_mode=["messages", "updates", "tools"])
    assert (await ashow(stream)).text == "I look. " + ANSWER
    whole(notebook)


def test_an_agent_with_a_tool_of_the_application(notebook):
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    with MixEmulator(api="0.8") as server:
        model = ChatMix(server_url=server.url)
        agent = create_agent(model, [add])
        stream = agent.stream(
            {"messages": [("user", "Use add with a=2 and b=3.")]}, stream_mode=["messages", "updates"]
        )
        message = show(stream, tools="open")
        model.client.close()
    assert "5" in message.text
    assert "<strong>add</strong>" in notebook.html
    assert "not finished" not in notebook.html


def test_an_awaitable_and_a_state(notebook, model):
    state = graph_of(model).invoke({"messages": [("user", "?")]})
    assert show(state) is state["messages"][-1]
    whole(notebook)
    assert ">You<" in notebook.html


async def test_an_awaitable(notebook, model):
    message = await ashow(model.ainvoke("?"))
    assert message.text == "I look. " + ANSWER
    whole(notebook)


def test_plain_strings(notebook, model):
    message = show((model | StrOutputParser()).stream("?"))
    assert message.text == "I look. " + ANSWER
    assert notebook.html.count("<strong>answer</strong>") == 1


class City(BaseModel):
    name: str
    people: int


def test_structured_output_is_shown_as_json_and_no_repr(capsys):
    city = City(name="Oslo", people=7)
    for output in (city, iter([city])):
        assert show(output) is None
        assert capsys.readouterr().out.startswith('[City] {\n  "name": "Oslo",\n  "people": 7\n}\ndone')


def test_structured_output_with_its_message(model, capsys):
    """As `include_raw=True` gives it: the message is one, and what was parsed is JSON."""
    raw = AIMessage("Oslo has 7.")
    assert show({"raw": raw, "parsed": City(name="Oslo", people=7), "parsing_error": None}) is raw
    written = capsys.readouterr().out
    assert written.startswith("Oslo has 7.\n[custom] {")
    assert '"name": "Oslo"' in written
    assert "content=" not in written


def test_a_graph_that_pauses(notebook):
    graph = StateGraph(MessagesState)
    graph.add_node("ask", lambda _: {"messages": [AIMessage(interrupt("May I <b>go</b>?"))]})
    graph.add_edge(START, "ask")
    app = graph.compile(checkpointer=InMemorySaver())
    at = {"configurable": {"thread_id": "t"}}
    assert show(app.stream({"messages": [("user", "?")]}, at, stream_mode=["values", "updates"])) is None
    assert notebook.html.count("May I &lt;b&gt;go&lt;/b&gt;?") == 1
    assert "paused" in notebook.html


def test_updates_are_few(notebook, server, mix, session):
    """Thousands of events, and not more than ten drawings in a second."""
    server_script = Script(turn(say("x" * 3000, chunk=1)))
    with MixEmulator(api="0.8", agent=server_script) as many, Mix(server_url=many.url) as client:
        session = client.sessions.create(title="T").id
        began = asyncio.new_event_loop()
        start = began.time()
        show(client.turn(session, "?"))
        took = began.time() - start
        began.close()
    assert len(notebook.shown) <= 10 * took + 2
    assert "x" * 3000 in notebook.html


def test_slower_updates(notebook, mix):
    with (
        MixEmulator(api="0.8", agent=Script(turn(say("x" * 3000, chunk=1)))) as many,
        Mix(server_url=many.url) as client,
    ):
        session = client.sessions.create(title="T").id
        show(client.turn(session, "?"), max_updates=0.001)
    assert len(notebook.shown) == 2
    assert "x" * 3000 in notebook.html


def test_it_is_live(notebook):
    """The beginning of a reply is shown while the agent still works on its end."""
    gate = Gate()
    shown = []

    class Watched(list):
        def append(self, state):
            super().append(state)
            if "beginning" in state[0] and not gate.is_open:
                shown.append(state[0])
                gate.open()

    notebook.shown = Watched()
    with MixEmulator(api="0.8", agent=Script(turn(["The beginning ", Wait(gate), "and the end."]))) as server:
        model = ChatMix(server_url=server.url)
        message = show(model.stream("?"))
        model.client.close()
    assert message.text == "The beginning and the end."
    assert "running" in shown[0]
    assert "the end" not in shown[0]


# Pictures and tables


def test_pictures_and_tables_come_from_the_server(notebook, mix, session):
    show(mix.turn(session, "?", permissions="allow"), mix=mix)
    html = notebook.html
    assert 'src="data:image/jpeg;base64,' in html
    assert 'alt="A chart"' in html
    assert '<td class="lcm-num">12</td>' in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert" not in html
    assert len(notebook.ids) == 1


def test_pictures_of_a_model(notebook, model, mix, session):
    show(model.stream("?"), mix=mix)
    assert 'src="data:image/jpeg;base64,' in notebook.html


def test_without_a_client_their_names_are_shown(notebook, server, mix, session):
    before = len(server.requests)
    show(mix.turn(session, "?", permissions="allow"))
    assert "data:image" not in notebook.html
    assert "chart.png" in notebook.html
    assert "pass mix=" in notebook.html
    assert not [request for request in server.requests[before:] if "/files/" in request.path]


def test_their_size(notebook, server, mix, session):
    show(mix.turn(session, "?", permissions="allow"), mix=mix, pixels=77)
    assert [request.query for request in server.requests if "chart.png" in request.path] == ["thumb=77"]


def test_their_session(notebook, server, mix, session):
    answer = ChatMix(server_url=server.url, permissions="allow")
    message = AIMessage(answer.invoke("?").content)  # Its pointer is lost.
    answer.client.close()
    show(message, mix=mix)
    assert "pass session_id=" in notebook.html
    show(message, mix=mix, session_id=session)
    assert "data:image/jpeg" in notebook.html


def test_another_server_is_not_asked(notebook, model, session):
    with MixEmulator(api="0.8") as other, Mix(server_url=other.url) as wrong:
        show(model.stream("?"), mix=wrong)
        assert not [request for request in other.requests if "/files/" in request.path]
    assert "another server" in notebook.html


def test_a_missing_file_costs_no_message(notebook, mix):
    session = mix.sessions.create(title="T").id
    assert show(mix.turn(session, "?", permissions="allow"), mix=mix).text == ANSWER
    assert "not found" in notebook.html


# Errors


FAILING = Script(turn([*say("Half of it"), Fail("provider <b>overloaded</b>")]), loop=True)


@pytest.fixture
async def failing():
    with MixEmulator(api="0.8", agent=FAILING) as server:
        model = ChatMix(server_url=server.url)
        yield model
        await model.client.aclose()


def test_an_error_is_shown_and_raised(notebook, failing):
    with pytest.raises(MixAgentError):
        show(failing.stream("?"))
    assert "Half of it" in notebook.html
    assert "&lt;b&gt;overloaded" in notebook.html
    assert "failed" in notebook.html
    assert 'role="alert"' in notebook.html


async def test_an_error_is_shown_and_raised_asynchronously(notebook, failing):
    with pytest.raises(MixAgentError):
        await ashow(failing.astream("?"))
    assert "&lt;b&gt;overloaded" in notebook.html


def test_an_interrupted_stream_is_closed(notebook):
    closed = []

    def stream():
        try:
            yield AIMessage("a")
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    with pytest.raises(KeyboardInterrupt):
        show(stream())
    assert closed
    assert "stopped" in notebook.html
    assert 'role="alert"' not in notebook.html


def test_a_display_that_fails_closes_the_stream(notebook, monkeypatch):
    closed = []

    def stream():
        try:
            yield AIMessage("a")
            yield AIMessage("b")
        finally:
            closed.append(True)

    class Broken(io.StringIO):
        def write(self, _):
            raise OSError("no screen")

    with pytest.raises(OSError, match="no screen"):
        show(stream(), mode="plain", file=Broken())
    assert closed


async def test_a_display_that_fails_closes_the_asynchronous_stream():
    closed = []

    async def stream():
        try:
            yield AIMessage("a")
            yield AIMessage("b")
        finally:
            closed.append(True)

    class Broken(io.StringIO):
        def write(self, _):
            raise OSError("no screen")

    with pytest.raises(OSError, match="no screen"):
        await ashow(stream(), mode="plain", file=Broken())
    assert closed


async def test_a_cancelled_task_cancels_the_turn(notebook):
    gate = Gate()
    with MixEmulator(api="0.8", agent=Script(turn([*say("a"), Wait(gate)]))) as server:
        async with Mix(server_url=server.url) as mix:
            session = await mix.sessions.create_async(title="T")
            task = asyncio.create_task(ashow(mix.turn_async(session.id, "?")))
            await asyncio.to_thread(gate.reached.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert any(request.path.endswith("/cancel") for request in server.requests)
    assert "stopped" in notebook.html


def test_a_stream_ends_as_what_is_shown_at_once(notebook, model):
    """The last state of a stream is that of its finished message, but for what only a message of its own has: an id."""

    def without_time(html):
        return re.sub(r"lcm-[0-9a-f]{32}|[0-9.]+ s</span>", "", html)

    message = show(model.stream("?"))
    streamed = without_time(notebook.html)
    show(message)
    assert without_time(notebook.html) == streamed


def test_the_reply_is_not_printed_below_its_display(notebook):
    """A cell that ends with `show(...)` shows the run; one that ends with the name of the reply, its repr too."""
    with MixEmulator(api="0.8", agent=script()) as server:
        shell = InteractiveShell.instance()
        shell.user_ns.update(show=show, ashow=ashow, model=ChatMix(server_url=server.url, permissions="allow"))
        printed = []
        shell.displayhook.write_output_prompt = lambda: printed.append("prompt")
        hook = sys.displayhook
        for cell, prompts in (
            ("show(model.stream('?'))", 0),
            ("_", 1),
            ("reply = show(model.stream('?'))\nreply", 1),
            ("await ashow(model.astream('?'), tools='hidden')", 0),
            ("show(model.stream('?')).text", 1),
        ):
            printed.clear()
            shell.run_cell(cell, store_history=True).raise_error()
            assert len(printed) == prompts, cell
        assert sys.displayhook is hook
        assert shell.user_ns["_1"] is shell.user_ns["_2"]
        shell.run_cell("await model.client.aclose()").raise_error()


# Outside of notebooks


def test_text_outside_of_a_notebook(model, capsys):
    message = show(model.stream("?"))
    written = capsys.readouterr().out
    assert written.count(ANSWER) == 1
    assert written.startswith("[thinking] Let me see. \nI look. \n[tool] Bash")
    assert written.rstrip().split("\n")[-1].startswith("done · ")
    assert message.text == "I look. " + ANSWER


def test_text_in_a_notebook(notebook, model):
    file = io.StringIO()
    show(model.stream("?"), file=file)
    show(model.stream("?"), mode="plain", file=file)
    assert file.getvalue().count(ANSWER) == 2
    assert notebook.shown == []


def test_html_is_asked_for(notebook, model):
    show(model.stream("?"), mode="html", file=(file := io.StringIO()))
    whole(notebook)
    assert file.getvalue() == ""


@pytest.mark.parametrize("stream_mode", STREAM_MODES, ids=str)
def test_text_of_graphs_is_written_once(model, stream_mode, capsys):
    show(graph_of(model).stream({"messages": [("user", "?")]}, stream_mode=stream_mode))
    assert capsys.readouterr().out.count(ANSWER) == 1


def test_errors_outside_of_a_notebook(failing, capsys):
    with pytest.raises(MixAgentError):
        show(failing.stream("?"))
    written = capsys.readouterr().out
    assert written.startswith("Half of it\nfailed · ")
    assert "overloaded" in written


# Options


def test_what_is_hidden(notebook, model):
    show(model.stream("?"), thinking="hidden")
    assert "Let me see." not in notebook.html
    assert "Bash" in notebook.html
    show(model.stream("?"), tools="hidden")
    assert "Let me see." in notebook.html
    assert "Bash" not in notebook.html


def test_how_much_of_outputs(notebook, model):
    show(model.stream("?"), max_output=100)
    assert "3,900 more characters" in notebook.html


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "pdf"},
        {"thinking": "yes"},
        {"tools": "no"},
        {"max_updates": 0},
        {"max_updates": 11},
        {"pixels": 15},
        {"pixels": 1025},
        {"max_output": -1},
    ],
    ids=str,
)
async def test_options_out_of_range(options):
    with pytest.raises(MixInputError, match=next(iter(options))):
        show("a", **options)
    with pytest.raises(MixInputError, match=next(iter(options))):
        await ashow("a", **options)


async def test_what_is_asynchronous_is_refused(model):
    stream = model.astream("?")
    with pytest.raises(MixInputError, match="asynchronous"):
        show(stream)
    await stream.aclose()


NO_RUNS = {
    "model": (ChatMix(), "`model.stream(...)`"),
    "nothing": (None, "`model.stream(...)`"),
    "text": ("a text", "To ask, `show(model.stream(text))`; for a session, `transcript(session_id, mix)`"),
    "number": (7, "`model.stream(...)`"),
    "method": (ChatMix().stream, "`model.stream(...)`"),
    "what has a display of its own": (CheckpointTree(thread_id="t", nodes=()), "end a cell with it, or print it"),
}


@pytest.mark.parametrize(("output", "instead"), NO_RUNS.values(), ids=NO_RUNS)
async def test_what_is_no_run_is_refused(output, instead, capsys):
    with pytest.raises(MixInputError, match=f"a run or its result, not {type(output).__name__}") as caught:
        show(output)
    assert instead in caught.value.hint
    with pytest.raises(MixInputError, match="a run or its result"):
        await ashow(output)
    assert capsys.readouterr().out == ""
