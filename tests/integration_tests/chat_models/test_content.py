"""One reply, however it is asked for: blocks, tool outputs, usage, metadata, and a message that can be sent again."""

from __future__ import annotations

import json
import operator
from functools import reduce
from itertools import product
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, merge_message_runs, messages_from_dict, messages_to_dict
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.tracers.schemas import Run
from pydantic import ValidationError

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator import DropEvent, Script, TailAfterComplete, say, think, turn, use
from langchain_mix.pointer import KEY, read_pointer
from langchain_mix.protocol.api import ALL, CAPABILITIES, ApiVersion
from tests.in_turn import in_turn

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
]

APIS = [str(v) for v in ALL]
WAYS = (
    "invoke",
    "ainvoke",
    "stream",
    "astream",
    "astream_events v2",
    "stream_events v3",
    "astream_events v3",
    "batch",
    "abatch",
    "graph",
    "async graph",
)
WHOLE = "Erst: 日本語 🎉. Dann: naïve. Ende — 👩‍👩‍👧."


class Bridged(ChatMix):
    """ChatMix as a core without the hooks for native events sees it."""

    _stream_chat_model_events = None
    _astream_chat_model_events = None


def rich(spelling: str) -> Script:
    """All there is: thoughts, text and tools interleaved, a failed tool, media shown, a sub-agent."""
    show = use(
        spelling,
        {
            "outputs": [
                {"type": "image", "path": "a.png", "title": "A"},
                {"type": "pdf", "path": "https://x.org/b.pdf"},
                {"type": "gsap_animation", "config": "{}"},
            ]
        },
        result="shown",
        id="s",
    )
    return Script(
        turn(
            [
                *think("Hm, "),
                *think("ja. "),
                *say("Erst: 日本語 🎉. ", chunk=4),
                use("Grep", {"pattern": "é"}, result="a:1", id="g"),
            ],
            [
                *think("So."),
                *say("Dann: naïve. "),
                use("Glob", {"pattern": "*"}, failure="no such place", id="f"),
                show,
            ],
            [use("Task", {"description": "d", "prompt": "Look!", "subagent_type": "general-purpose"}, id="t")],
            [*think("Gut."), *say("Ende — 👩‍👩‍👧.", chunk=7)],
        ),
        loop=True,
        subagent=[turn(["NEVER SHOWN", use("Grep", {"pattern": "y"}, result="q", id="inner")], "NEVER EITHER")],
    )


def spelling(api: str) -> str:
    return "Show" if api in {"0.8", "next"} else "ShowMedia"


def shape(reply: AIMessage) -> dict[str, Any]:
    """A reply without what differs between two turns: ids, and how long its tools took."""
    names: dict[str, str] = {}
    blocks = []
    for block in reply.content_blocks:
        kept = {k: v for k, v in block.items() if k not in {"extras", "index", "id"}}
        # Servers add to a scripted call's id where a session has it already, so that it is known by its position.
        if block["type"] == "server_tool_call":
            names[block["id"]] = f"call {len(names)}"
            kept["id"] = names[block["id"]]
        if block["type"] == "server_tool_result":
            kept["tool_call_id"] = names[block["tool_call_id"]]
        blocks.append(kept)
    metadata = {k: v for k, v in reply.response_metadata.items() if k != "output_version"}
    told = {
        k: v for k, v in metadata.pop(KEY).items() if k not in {"session_id", "message_id", "user_message_id", "digest"}
    }
    return {
        "blocks": blocks,
        "calls": (reply.tool_calls, reply.invalid_tool_calls),
        "usage": reply.usage_metadata,
        "metadata": metadata,
        "mix": told,
    }


def runs_of(run: Run) -> Any:
    """A run without what differs between two turns, with all that are below it."""
    below = sorted((runs_of(child) for child in run.child_runs), key=repr)  # Tools may run side by side.
    told: dict[str, Any] = {"kind": run.run_type, "failed": run.error is not None, "below": below}
    if run.run_type == "tool":
        result = run.outputs.get("output") if run.outputs else None
        told |= {"name": run.name.replace("_", "").lower(), "inputs": run.inputs, "result": None}
        if result is not None:
            stands_in = result.additional_kwargs == {"mix_result": "progress"}  # It says how long the tool took.
            progress = (result.artifact or {}).get("progress", "")
            content = (result.content == progress, bool(progress)) if stands_in else result.content
            told["result"] = (result.name.replace("_", "").lower(), result.status, content)
    elif run.run_type == "llm":
        (generations,) = run.outputs["generations"]
        message = generations[0]["message"]["kwargs"]
        metadata = run.extra["metadata"]
        told |= {
            "text": generations[0]["text"],
            "usage": message["usage_metadata"],
            "cost": metadata.get("usage_metadata", {}).get("total_cost"),
            "model": metadata["ls_model_name"],
            "answered": message["response_metadata"]["model_name"],
        }
    else:
        told |= {"name": run.name}
    return told


def crossed() -> list[Any]:
    """Three generations between which turns differ most, and both versions of the output; the rest on demand."""
    usual = {("0.5", "v1"), ("0.7", "v0"), ("0.8", "v1")}
    return [
        pytest.param(one, id="-".join(one), marks=[] if one in usual else pytest.mark.exhaustive)
        for one in product(APIS, ("v0", "v1"))
    ]


@pytest.mark.parametrize("scenario", crossed())
async def test_every_way_gives_the_same_message_runs_and_usage(scenario, ways, make_tracer):
    api, version = scenario
    got, traced = [], []
    with MixEmulator(api=api, agent=rich(spelling(api)), queue_size=1000) as server:
        model = ChatMix(server_url=server.url, output_version=version)
        for way, ask in ways.items():
            tracer = make_tracer()
            got += [(way, reply) for reply in await ask(model, "Wo?", {"callbacks": [tracer]})]
            traced.append((way, tracer))
    expected = shape(got[0][1])
    for way, reply in got:
        assert isinstance(reply, AIMessage), way
        assert shape(reply) == expected, way
        assert reply.text == WHOLE, way
        pointer = read_pointer(reply.response_metadata)
        if CAPABILITIES[server.api].message_ids:  # Those before name a message once it is stored.
            assert not reply.id.startswith("lc_"), way
        assert pointer.digest, way
    blocks_are_whole(expected["blocks"], api)
    assert expected["usage"]["total_tokens"] > 0
    assert expected["metadata"]["model_provider"] == "mix"
    models = {way: [run for run in tracer.runs() if run.run_type == "llm"] for way, tracer in traced}
    runs = runs_of(models["invoke"][0])
    for way, tracer in traced:
        assert tracer.started == tracer.ended == len(tracer.runs()), way
        assert len(models[way]) == (2 if "batch" in way else 1), way
        for run in models[way]:
            assert runs_of(run) == runs, way
    assert (runs["text"], runs["failed"], runs["usage"]) == (WHOLE, False, expected["usage"])
    assert runs["cost"] == expected["mix"].get("cost")
    assert runs["model"] == runs["answered"] == expected["metadata"]["model_name"]
    tools_are_runs(runs["below"], api)
    results = [r.outputs["output"] for r in models["invoke"][0].child_runs if r.outputs and r.error is None]
    called = {block["id"] for block in got[0][1].content_blocks if block["type"] == "server_tool_call"}
    assert len(results) == 3
    assert {result.tool_call_id for result in results} < called


def tools_are_runs(runs: list[Any], api: str) -> None:
    able = CAPABILITIES[ApiVersion(api)]
    by_name = {run["name"]: run for run in runs}
    assert sorted(by_name) == sorted(["grep", "glob", spelling(api).lower(), "task"])
    assert [name for name, run in by_name.items() if run["failed"]] == ["glob"]
    assert by_name["grep"]["inputs"] == {"pattern": "é"}
    assert by_name["grep"]["result"] == ("grep", "success", "a:1" if able.tool_results else (True, True))
    if able.subagents:
        (subagent,) = by_name["task"]["below"]
        assert (subagent["kind"], subagent["name"], subagent["failed"]) == ("chain", "subagent", False)
        assert [(run["kind"], run["name"], run["inputs"]) for run in subagent["below"]] == [
            ("tool", "grep", {"pattern": "y"})
        ]


def blocks_are_whole(blocks: list[dict[str, Any]], api: str) -> None:
    kinds = [block["type"] for block in blocks]
    assert [k for k in kinds if k in {"reasoning", "text"}] == [
        "reasoning",
        "text",
        "reasoning",
        "text",
        "reasoning",
        "text",
    ]
    assert kinds[-2:] == ["reasoning", "text"]
    assert kinds.index("server_tool_call") == 2
    assert [k for k in kinds if k in {"image", "file", "non_standard"}] == ["image", "file", "non_standard"]
    assert kinds.index("image") > kinds.index("server_tool_result")
    calls = {b["id"]: b for b in blocks if b["type"] == "server_tool_call"}
    results = {b["tool_call_id"]: b for b in blocks if b["type"] == "server_tool_result"}
    names = [c["name"].replace("_", "").lower() for c in calls.values()]  # Each generation spells them its way.
    assert names == ["grep", "glob", spelling(api).lower(), "task"]
    able = CAPABILITIES[ApiVersion(api)]
    done = list(calls) if able.subagents else list(calls)[:3]
    assert [results[i]["status"] for i in done] == ["success", "error", "success", "success"][: len(done)]
    if able.tool_results:
        assert results["call 0"]["output"] == "a:1"
        assert "NEVER EITHER" in results["call 3"]["output"], "what a sub-agent says is its Task's result"
    assert "NEVER SHOWN" not in str(blocks)


@pytest.mark.parametrize("api", ["0.6", "0.7"])  # From 0.8 on the bridge overwrites a block with its later piece.
async def test_without_the_native_hooks_the_reply_is_the_same(api, ways):
    with MixEmulator(api=api, agent=rich("ShowMedia"), queue_size=1000) as server:
        expected = shape(ChatMix(server_url=server.url).invoke("Wo?"))
        for name in ("stream_events v3", "astream_events v3"):
            (reply,) = await ways[name](Bridged(server_url=server.url), "Wo?", {})
            assert shape(reply) == expected, name


@pytest.mark.parametrize("api", APIS)
async def test_a_reply_can_be_sent_again_whatever_it_holds(api):
    with MixEmulator(api=api, agent=rich(spelling(api)), queue_size=1000) as server:
        model = ChatMix(server_url=server.url)
        talk: list[Any] = [HumanMessage("Wo?")]
        for ask in (
            model.invoke,
            lambda messages: message_chunk_to_message(reduce(operator.add, model.stream(messages))),
            lambda messages: reduce(operator.add, model.stream(messages)),
            lambda messages: model.stream_events(messages, version="v3").output,
        ):
            talk += [ask(talk), HumanMessage("Und?")]
        sessions = {read_pointer(m.response_metadata).session_id for m in talk if m.type in {"ai", "AIMessageChunk"}}
        assert len(sessions) == 1, "the conversation goes on where it is"
        users = [r["userInput"] for r in server.state.rows.messages(sessions.pop()) if r["role"] == "user"]
        assert users == ["Wo?", "Und?", "Und?", "Und?"]


@pytest.mark.parametrize("scenario", in_turn(list(WAYS), APIS))
async def test_an_empty_reply_is_a_reply(scenario, ways):
    way, api = scenario
    with MixEmulator(api=api, agent=Script(turn([]), loop=True)) as server:
        reply, *_ = await ways[way](ChatMix(server_url=server.url), "Hi", {})
        assert reply.text == ""
        assert reply.content_blocks == []
        assert reply.response_metadata["finish_reason"] == "stop"
        assert read_pointer(reply.response_metadata).session_id


@pytest.mark.parametrize("scenario", in_turn(list(WAYS), ["0.5", "0.6", "0.7", "0.8"]))
async def test_thoughts_and_tools_alone_are_a_reply(scenario, ways):
    way, api = scenario
    agent = Script(turn([*think("Hm."), use("Grep", {"pattern": "x"}, result="r", id="g")], []), loop=True)
    with MixEmulator(api=api, agent=agent) as server:
        reply, *_ = await ways[way](ChatMix(server_url=server.url), "Hi", {})
        assert [b["type"] for b in reply.content_blocks] == ["reasoning", "server_tool_call", "server_tool_result"]


BROKEN = ["", "[]", "nonsense", '{"pattern": "x', '"text"', "null"]


@pytest.mark.parametrize("scenario", in_turn(list(WAYS), BROKEN))
async def test_arguments_that_are_no_object_are_shown_as_they_are(scenario, ways):
    way, raw = scenario
    agent = Script(turn([use("Grep", raw_input=raw, result="r", id="g")], "Done."), loop=True)
    with MixEmulator(api="0.8", agent=agent) as server:
        for reply in await ways[way](ChatMix(server_url=server.url), "Hi", {}):
            call = reply.content_blocks[0]
            assert call["type"] == "server_tool_call"
            assert call["args"] == {}
            assert call.get("extras", {}).get("input", "") == raw
            assert reply.text == "Done."


@pytest.mark.parametrize(
    ("api", "mib"),
    [("0.8", 1), *(pytest.param(api, 16, marks=pytest.mark.exhaustive) for api in ("0.6", "0.8"))],
)
async def test_mibs_of_text(api, mib):
    text = "äbcdefg\n" * ((mib << 20) // 9 + 1)
    with MixEmulator(api=api, agent=Script(say(text, chunk=1 << 20), loop=True)) as server:
        model = ChatMix(server_url=server.url)
        assert model.invoke("Hi").text == text
        chunks = [chunk async for chunk in model.astream("Hi")]
        assert "".join(c.text for c in chunks) == text


VERSIONS = {
    "v0 before v1 of the environment": ("v0", "v1", "v0"),
    "v1 before v0 of the environment": ("v1", "v0", "v1"),
    "v1 of the environment": (None, "v1", "v1"),
    "v0 of the environment": (None, "v0", "v0"),
    "none": (None, None, "v0"),
    "another provider's of the environment": (None, "responses/v1", "v0"),
}
"""The field, the environment's variable, and the form that follows."""


def is_plain_text_in(version: str, way: str, reply: AIMessage) -> None:
    # LangChain gives the message of its newest events in the form "v1", whatever a model is set to.
    wanted = "v1" if "events v3" in way else version
    assert isinstance(reply.content, str if wanted == "v0" else list), way
    assert (reply.response_metadata.get("output_version") == "v1") == (wanted == "v1"), way
    assert reply.text == "Plain text.", way
    (block,) = reply.content_blocks
    assert (block["type"], block["text"]) == ("text", "Plain text."), way


@pytest.mark.parametrize("scenario", in_turn(list(VERSIONS), list(WAYS)))
async def test_output_versions(scenario, monkeypatch, ways):
    given, way = scenario
    field, environment, version = VERSIONS[given]
    monkeypatch.delenv("LC_OUTPUT_VERSION", raising=False)
    if environment is not None:
        monkeypatch.setenv("LC_OUTPUT_VERSION", environment)
    with MixEmulator(api="0.8", agent=Script("Plain text.", loop=True)) as server:
        model = ChatMix(server_url=server.url, output_version=field)
        assert model.content_version() == version
        for reply in await ways[way](model, "Wo?", {}):
            is_plain_text_in(version, way, reply)
        assert ChatMix(server_url=server.url).content_version() == ("v0" if environment != "v1" else "v1")


@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_every_way_gives_the_form_that_is_wanted(version, every_way):
    with MixEmulator(api="0.8", agent=Script("Plain text.", loop=True)) as server:
        async for way, reply in every_way(ChatMix(server_url=server.url, output_version=version), "Wo?"):
            is_plain_text_in(version, way, reply)


def test_a_reply_with_more_than_text_is_a_list_of_blocks():
    agent = Script(turn(["Look. ", use("Grep", {"pattern": "x"}, result="r", id="g")], "Seen."), loop=True)
    with MixEmulator(api="0.8", agent=agent) as server:
        model = ChatMix(server_url=server.url, output_version="v0")
        reply, chunks = model.invoke("Hi"), list(model.stream("Hi"))
    assert [block["type"] for block in reply.content] == ["text", "server_tool_call", "server_tool_result", "text"]
    assert chunks[0].content == "Look. ", "a `str` until there is more"
    assert all(isinstance(chunk.content, str | list) for chunk in chunks)
    assert reduce(operator.add, chunks).text == reply.text == "Look. Seen."


def test_an_unknown_output_version_is_refused():
    with pytest.raises(ValidationError, match="There is no output_version='v2'"):
        ChatMix(output_version="v2")


@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_finished_messages_carry_no_index(version):
    agent = Script(turn([*think("a"), "one"]), loop=True)
    with MixEmulator(api="0.8", agent=agent) as server:
        model = ChatMix(server_url=server.url, output_version=version)
        for ask in (model.invoke, lambda text: model.invoke(text, stream=True), model.ainvoke):
            replies = [ask(text) for text in ("a", "b")]
            first, second = [reply if isinstance(reply, AIMessage) else await reply for reply in replies]
            assert not any("index" in block for reply in (first, second) for block in reply.content)
            (merged,) = merge_message_runs([first, second])
            assert [block.get("text", block.get("reasoning")) for block in merged.content] == ["a", "one", "a", "one"]


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_stored_messages_of_both_forms_go_on_in_their_session(version):
    agent = Script(turn([*think("a"), "one"]), turn(["two"]), turn(["three"]))
    with MixEmulator(api="0.8", agent=agent) as server:
        model = ChatMix(server_url=server.url, output_version=version)
        other = ChatMix(server_url=server.url, output_version="v1" if version == "v0" else "v0")
        talk: list[Any] = [HumanMessage("Hi")]
        for ask in (model, other, model):
            talk = messages_from_dict(json.loads(json.dumps(messages_to_dict([*talk, ask.invoke(talk)]))))
            talk.append(HumanMessage("And?"))
    assert len({read_pointer(m.response_metadata).session_id for m in talk if m.type == "ai"}) == 1


LACKING = {
    "a piece lost": lambda: DropEvent("content", nth=3, count=1),
    "all text lost": lambda: DropEvent("content", count=None),
    "everything lost": lambda: DropEvent(count=None),
    "a late tail": lambda: TailAfterComplete(n=2),
}


@pytest.mark.parametrize("scenario", in_turn(list(LACKING), ["0.6", "0.7", "0.8"]))
async def test_what_the_stream_lacks_is_in_the_reply(scenario):
    lost, api = scenario
    agent = Script(
        turn(
            [*think("Hm."), *say("Let me look at it. "), use("Grep", {"pattern": "x"}, result="41", id="g")],
            "It is forty-two.",
        ),
        loop=True,
    )
    with MixEmulator(api=api, agent=agent, heartbeat=0.05) as server:
        model = ChatMix(server_url=server.url)
        talk = [HumanMessage("Hi")]
        for ask in (model.invoke, model.ainvoke):
            server.faults.add(LACKING[lost]())
            reply = ask(talk)
            reply = reply if isinstance(reply, AIMessage) else await reply
            server.faults.clear()
            assert reply.text == "Let me look at it. It is forty-two."
            assert [b["args"] for b in reply.content_blocks if b["type"] == "server_tool_call"] == [{"pattern": "x"}]
            assert read_pointer(reply.response_metadata).digest
            again = model.invoke([*talk, reply, HumanMessage("And?")])
            ids = [read_pointer(m.response_metadata).session_id for m in (reply, again)]
            assert ids[0] == ids[1]
