"""Runs of tools: what handlers see, where runs hang, and that every run is closed."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, AsyncCallbackManager, BaseCallbackHandler, CallbackManager
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda

from langchain_mix.chat_models.callbacks import AsyncTurnCallbacks, TurnCallbacks
from langchain_mix.errors import MixAgentError, MixTurnCancelled
from langchain_mix.protocol.api import ApiKnowledge, ApiVersion
from langchain_mix.protocol.turn.updates import (
    Progress,
    SubagentUpdate,
    TextDelta,
    ToolCalled,
    ToolCallStarted,
    ToolFinished,
    ToolOutput,
    ToolRunning,
)

ONE_TOOL = [
    ToolCallStarted("T1", "Bash", "M1"),
    ToolCalled("T1", "Bash", '{"command":"ls"}', "M1"),
    ToolRunning("T1", "Bash", "Executing Bash tool"),
    ToolFinished("T1", "Bash", success=True, progress="Completed Bash tool in 1s"),
    TextDelta("M2", "Done."),
    ToolOutput("T1", "a.txt", is_error=False),
]

TASK = [
    ToolCalled("T", "Task", '{"description":"look","prompt":"Look!"}', "M1"),
    ToolRunning("T", "Task", ""),
    SubagentUpdate("T", TextDelta("S1", "Let me look.")),
    SubagentUpdate("T", ToolCalled("N", "Glob", '{"pattern":"*"}', "S1")),
    SubagentUpdate("T", ToolRunning("N", "Glob", "")),
    SubagentUpdate("T", ToolFinished("N", "Glob", success=True, progress="found")),
    SubagentUpdate("T", TextDelta("S2", "One ")),
    SubagentUpdate("T", TextDelta("S2", "file.")),
]
TASK_OVER = ToolFinished("T", "Task", success=True, progress="Completed Task tool")


class Log:
    """Writes down runs: their starts with parent and name, their ends with output or error."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.names: dict[Any, str] = {}
        self.kwargs: list[dict[str, Any]] = []

    def start(self, kind, serialized, inputs, runs, kwargs):
        run_id, parent_run_id = runs
        self.names[run_id] = (serialized or {}).get("name") or kwargs.get("name") or kind
        self.kwargs.append(kwargs)
        self.seen.append((f"{kind} start", self.names[run_id], self.names.get(parent_run_id, parent_run_id), inputs))

    def end(self, kind, run_id, what):
        self.seen.append((f"{kind} end", self.names.pop(run_id), what))

    def error(self, kind, run_id, error):
        self.seen.append((f"{kind} error", self.names.pop(run_id), error))

    @property
    def shape(self):
        return [" ".join(entry[:2]) for entry in self.seen]


class Recorder(BaseCallbackHandler, Log):
    def on_chat_model_start(self, serialized, messages, *, run_id, parent_run_id=None, **kwargs):
        self.names[run_id] = "llm"

    def on_tool_start(self, serialized, input_str, *, run_id, parent_run_id=None, inputs=None, **kwargs):
        self.start("tool", serialized, (input_str, inputs), (run_id, parent_run_id), kwargs)

    def on_tool_end(self, output, *, run_id, **kwargs):
        self.end("tool", run_id, output.content)

    def on_tool_error(self, error, *, run_id, **kwargs):
        self.error("tool", run_id, error)

    def on_chain_start(self, serialized, inputs, *, run_id, parent_run_id=None, **kwargs):
        self.start("chain", serialized, inputs, (run_id, parent_run_id), kwargs)

    def on_chain_end(self, outputs, *, run_id, **kwargs):
        self.end("chain", run_id, outputs)

    def on_chain_error(self, error, *, run_id, **kwargs):
        self.error("chain", run_id, error)


class AsyncRecorder(AsyncCallbackHandler, Log):
    async def on_chat_model_start(self, serialized, messages, *, run_id, parent_run_id=None, **kwargs):
        self.names[run_id] = "llm"

    async def on_tool_start(self, serialized, input_str, *, run_id, parent_run_id=None, inputs=None, **kwargs):
        self.start("tool", serialized, (input_str, inputs), (run_id, parent_run_id), kwargs)

    async def on_tool_end(self, output, *, run_id, **kwargs):
        self.end("tool", run_id, output.content)

    async def on_tool_error(self, error, *, run_id, **kwargs):
        self.error("tool", run_id, error)

    async def on_chain_start(self, serialized, inputs, *, run_id, parent_run_id=None, **kwargs):
        self.start("chain", serialized, inputs, (run_id, parent_run_id), kwargs)

    async def on_chain_end(self, outputs, *, run_id, **kwargs):
        self.end("chain", run_id, outputs)

    async def on_chain_error(self, error, *, run_id, **kwargs):
        self.error("chain", run_id, error)


def model_run(*handlers, **more):
    manager = CallbackManager.configure(list(handlers), **more)
    return manager.on_chat_model_start({}, [[HumanMessage("hi")]])[0]


async def async_model_run(*handlers):
    manager = AsyncCallbackManager.configure(list(handlers))
    return (await manager.on_chat_model_start({}, [[HumanMessage("hi")]]))[0]


def expected(failure):
    return pytest.raises(type(failure)) if failure else nullcontext()


def play(updates, failure=None):
    """Plays a turn to a handler in sync code."""
    log = Recorder()
    with expected(failure) as raised, TurnCallbacks(model_run(log)) as runs:
        for update in updates:
            runs.handle(update)
        if failure:
            raise failure
    assert raised is None or raised.value is failure
    return log


async def aplay(updates, failure=None, handler=AsyncRecorder):
    """Plays a turn to a handler in async code."""
    log = handler()
    with expected(failure) as raised:
        async with AsyncTurnCallbacks(await async_model_run(log)) as runs:
            for update in updates:
                await runs.handle(update)
            if failure:
                raise failure
    assert raised is None or raised.value is failure
    return log


@pytest.fixture(params=["sync", "async", "async, sync handler"])
def played(request):
    def run(updates, failure=None):
        if request.param == "sync":
            return play(updates, failure)
        return asyncio.run(aplay(updates, failure, AsyncRecorder if request.param == "async" else Recorder))

    return run


def test_a_tool_is_a_run_under_the_models_run(played):
    log = played(ONE_TOOL)
    assert log.seen == [
        ("tool start", "Bash", "llm", ('{"command":"ls"}', {"command": "ls"})),
        ("tool end", "Bash", "Completed Bash tool in 1s"),
    ]
    assert log.kwargs[0]["tool_call_id"] == "T1"
    assert log.kwargs[0]["name"] == "Bash"


def test_a_run_starts_when_the_tool_runs(played):
    assert played(ONE_TOOL[:2], ValueError()).seen == []
    assert played(ONE_TOOL[:3], ValueError()).shape == ["tool start Bash", "tool error Bash"]


def test_a_tool_that_was_never_told_to_run_starts_when_it_has_run(played):
    assert played([ONE_TOOL[1], ONE_TOOL[3]]).shape == ["tool start Bash", "tool end Bash"]


def test_a_tool_whose_events_were_lost_has_its_run_all_the_same(played):
    assert played([ONE_TOOL[1], ONE_TOOL[5]]).seen[1:] == [("tool end", "Bash", "a.txt")]
    assert played([ONE_TOOL[1]]).seen[1:] == [("tool end", "Bash", "")]
    log = played([ONE_TOOL[1], ToolOutput("T1", "no such file", is_error=True)])
    assert log.shape == ["tool start Bash", "tool error Bash"]
    assert log.seen[1][2].message == "no such file"


def test_an_output_that_is_known_in_time_is_the_output(played):
    log = played([*ONE_TOOL[:3], ONE_TOOL[5], ONE_TOOL[3]])
    assert log.seen[1:] == [("tool end", "Bash", "a.txt")]


def test_a_result_that_follows_ends_the_run_that_waits_for_it():
    log = Recorder()
    with TurnCallbacks(model_run(log), detected=ApiKnowledge({ApiVersion.V0_8})) as runs:
        for update in ONE_TOOL[:4]:
            runs.handle(update)
        assert log.shape == ["tool start Bash"]
        runs.handle(ONE_TOOL[5])
        assert log.seen[1:] == [("tool end", "Bash", "a.txt")]


@pytest.mark.parametrize("failure", [None, MixAgentError("broken", acted="yes")])
def test_a_run_that_waits_in_vain_ends_well_with_the_progress(failure):
    log = Recorder()
    with expected(failure), TurnCallbacks(model_run(log), detected=ApiKnowledge({ApiVersion.V0_8})) as runs:
        for update in ONE_TOOL[:4]:
            runs.handle(update)
        if failure:
            raise failure
    assert log.seen[1:] == [("tool end", "Bash", "Completed Bash tool in 1s")]


def test_a_run_that_fails_ends_at_once():
    log = Recorder()
    with TurnCallbacks(model_run(log), detected=ApiKnowledge({ApiVersion.V0_8})) as runs:
        runs.handle(ToolFinished("T1", "Bash", success=False, progress="no"))
        assert log.shape == ["tool start Bash", "tool error Bash"]


def test_a_run_ends_once(played):
    assert played([*ONE_TOOL, *ONE_TOOL]).shape == ["tool start Bash", "tool end Bash"]


def test_a_failed_tool_is_a_failed_run(played):
    log = played([*ONE_TOOL[:3], ToolFinished("T1", "Bash", success=False, progress="Failed Bash tool after 1s: no")])
    assert log.shape == ["tool start Bash", "tool error Bash"]
    assert isinstance(log.seen[1][2], MixAgentError)
    assert log.seen[1][2].message == "Failed Bash tool after 1s: no"


def test_arguments_that_are_no_object_are_shown_as_they_are(played):
    log = played([ToolCalled("T1", "Bash", "[1", "M1"), ToolRunning("T1", "Bash", "")])
    assert log.seen[0][3] == ("[1", {"input": "[1"})


def test_a_call_that_was_lost_has_a_run_without_name(played):
    log = played([ToolRunning("T1", "", ""), ToolFinished("T1", "", success=True, progress="ok")])
    assert log.seen == [("tool start", "tool", "llm", ("{}", {})), ("tool end", "tool", "ok")]


def test_parallel_tools_end_as_they_end(played):
    updates = [ToolCalled(i, i, "{}", "M") for i in ("A", "B")]
    updates += [ToolRunning(i, i, "") for i in ("A", "B")]
    updates += [ToolFinished(i, i, success=True, progress="") for i in ("B", "A")]
    assert played(updates).shape == ["tool start A", "tool start B", "tool end B", "tool end A"]


def test_a_subagent_is_a_run_under_its_task_and_its_tools_under_it(played):
    log = played([*TASK, TASK_OVER])
    inputs = {"description": "look", "prompt": "Look!"}
    assert log.seen == [
        ("tool start", "Task", "llm", (TASK[0].input, inputs)),
        ("chain start", "subagent", "Task", inputs),
        ("tool start", "Glob", "subagent", ('{"pattern":"*"}', {"pattern": "*"})),
        ("tool end", "Glob", "found"),
        ("chain end", "subagent", {"output": "One file."}),
        ("tool end", "Task", "Completed Task tool"),
    ]


def test_a_subagent_whose_task_was_not_told_to_run_has_its_run(played):
    log = played([SubagentUpdate("T", TextDelta("S1", "Hi")), TASK_OVER])
    assert log.shape == ["tool start Task", "chain start subagent", "chain end subagent", "tool end Task"]


def test_what_a_subagent_says_after_its_task_starts_nothing(played):
    late = SubagentUpdate("T", ToolRunning("L", "Late", ""))
    assert "tool start Late" not in played([*TASK, TASK_OVER, late]).shape


def test_a_subagents_failure_is_its_own(played):
    failed = ToolFinished("T", "Task", success=False, progress="Failed Task tool")
    error = SubagentUpdate("T", Progress("subagent_error", {"error": "no tokens left"}))
    log = played([*TASK[:5], error, failed])
    assert log.shape[3:] == ["tool error Glob", "chain error subagent", "tool error Task"]
    assert [e[2].message for e in log.seen[3:]] == ["Failed Task tool", "no tokens left", "Failed Task tool"]


def test_a_task_that_ends_well_closes_what_its_subagent_left(played):
    log = played([*TASK[:5], TASK_OVER])
    assert log.shape[3:] == ["tool end Glob", "chain end subagent", "tool end Task"]


def test_parallel_subagents_are_told_apart(played):
    updates = [SubagentUpdate(t, ToolCalled(f"N{t}", f"tool{t}", "{}", "S")) for t in ("A", "B")]
    updates = [ToolCalled(t, t, "{}", "M") for t in ("A", "B")] + updates
    updates += [SubagentUpdate(t, ToolRunning(f"N{t}", "", "")) for t in ("B", "A")]
    updates += [SubagentUpdate(t, TextDelta("S", f"text {t}")) for t in ("A", "B")]
    updates += [ToolFinished(t, t, success=True, progress="") for t in ("B", "A")]
    log = played(updates)
    nested = [e for e in log.seen if e[0] == "tool start" and e[1].startswith("tool")]
    assert [(e[1], e[2]) for e in nested] == [("toolB", "subagent"), ("toolA", "subagent")]
    assert [e[2] for e in log.seen if e[0] == "chain end"] == [{"output": "text B"}, {"output": "text A"}]
    assert log.names == {k: v for k, v in log.names.items() if v == "llm"}


@pytest.mark.parametrize("failure", [ValueError("broken"), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_every_run_is_closed_when_the_turn_fails_the_innermost_first(failure):
    for log in (play(TASK[:5], failure), asyncio.run(aplay(TASK[:5], failure))):
        assert log.shape[3:] == ["tool error Glob", "chain error subagent", "tool error Task"]
        assert all(e[2] is failure for e in log.seen[3:])
        assert list(log.names.values()) == ["llm"]


def chunks(runs):
    with runs:
        for update in ONE_TOOL[:3]:
            runs.handle(update)
            yield update


async def achunks(runs):
    async with runs:
        for update in ONE_TOOL[:3]:
            await runs.handle(update)
            yield update


async def test_every_run_is_closed_when_the_reply_is_given_up():
    log, alog = Recorder(), AsyncRecorder()
    stream, astream = chunks(TurnCallbacks(model_run(log))), achunks(AsyncTurnCallbacks(await async_model_run(alog)))
    for _ in range(3):
        next(stream)
        await anext(astream)
    stream.close()
    await astream.aclose()
    for one in (log, alog):
        assert one.shape == ["tool start Bash", "tool error Bash"]
        assert isinstance(one.seen[1][2], MixTurnCancelled)
        assert isinstance(one.seen[1][2].__cause__, GeneratorExit)


async def test_a_run_whose_start_is_cancelled_is_closed():
    class Slow(AsyncRecorder):
        async def on_tool_start(self, *args, **kwargs):
            started.set()
            await go_on.wait()
            await super().on_tool_start(*args, **kwargs)

    async def turn():
        async with AsyncTurnCallbacks(run) as runs:
            await runs.handle(ONE_TOOL[2])

    log, started, go_on = Slow(), asyncio.Event(), asyncio.Event()
    run = await async_model_run(log)
    task = asyncio.create_task(turn())
    await started.wait()
    task.cancel()
    asyncio.get_running_loop().call_soon(go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log.shape == ["tool start Bash", "tool error Bash"]
    assert isinstance(log.seen[1][2], asyncio.CancelledError)


@pytest.mark.parametrize("ended", [True, False])
async def test_a_handler_that_raises_hides_no_other_run(ended):
    class Strict(Recorder):
        raise_error = True

        def on_tool_end(self, output, **kwargs):
            super().on_tool_end(output, **kwargs)
            raise LookupError("the handler's own")

        def on_tool_error(self, error, **kwargs):
            super().on_tool_error(error, **kwargs)
            raise LookupError("the handler's own")

    updates = [ToolRunning(i, i, "") for i in ("A", "B")]
    log = Strict()
    with pytest.raises(LookupError), TurnCallbacks(model_run(log)) as runs:
        for update in updates:
            runs.handle(update)
        if not ended:
            raise ValueError
    alog = Strict()
    with pytest.raises(LookupError):
        async with AsyncTurnCallbacks(await async_model_run(alog)) as aruns:
            for update in updates:
                await aruns.handle(update)
            if not ended:
                raise ValueError
    for one in (log, alog):
        assert list(one.names.values()) == ["llm"]
        assert len(one.shape) == 4


def test_closing_twice_closes_once():
    log = Recorder()
    runs = TurnCallbacks(model_run(log))
    runs.handle(ONE_TOOL[2])
    runs.close()
    runs.close(ValueError())
    assert log.shape == ["tool start Bash", "tool end Bash"]


def test_nobody_is_told_when_switched_off():
    log = Recorder()
    with TurnCallbacks(model_run(log), tool_runs=False) as runs:
        for update in ONE_TOOL:
            runs.handle(update)
    assert log.seen == []


async def test_without_the_models_run_runs_hang_under_the_run_around_it():
    def node(_):
        with TurnCallbacks() as runs:
            for update in ONE_TOOL:
                runs.handle(update)

    async def anode(_):
        async with AsyncTurnCallbacks() as runs:
            for update in ONE_TOOL:
                await runs.handle(update)

    log, alog = Recorder(), Recorder()
    RunnableLambda(node).with_config(run_name="node").invoke(1, {"callbacks": [log]})
    await RunnableLambda(anode).with_config(run_name="node").ainvoke(1, {"callbacks": [alog]})
    for one in (log, alog):
        assert one.shape == ["chain start node", "tool start Bash", "tool end Bash", "chain end node"]
        assert one.seen[1][2] == "node"


async def test_without_any_run_nobody_is_told():
    log = Recorder()
    from langchain_core.tracers.context import register_configure_hook

    hook = ContextVar("hook", default=None)
    register_configure_hook(hook, inheritable=True)
    hook.set(log)  # As global tracing does: handlers, but no run that a tool could belong to.
    with TurnCallbacks() as runs:
        runs.handle(ONE_TOOL[2])
    async with AsyncTurnCallbacks() as aruns:
        await aruns.handle(ONE_TOOL[2])
    assert log.seen == []


def test_a_tool_has_the_tags_and_metadata_of_the_run_but_not_the_models_own():
    class Meta(Recorder):
        def on_tool_start(self, *args, **kwargs):
            self.meta = (kwargs["tags"], kwargs["metadata"])
            super().on_tool_start(*args, **kwargs)

    log = Meta()
    run = model_run(
        log,
        inheritable_tags=["mine", "seq:step:2"],
        inheritable_metadata={"langgraph_node": "n", "ls_provider": "mix", "ls_model_type": "chat"},
    )
    with TurnCallbacks(run) as runs:
        runs.handle(ONE_TOOL[2])
    assert log.meta == (["mine"], {"langgraph_node": "n"})


def test_handlers_of_the_model_alone_see_its_subagents_too():
    log = Recorder()
    manager = CallbackManager.configure(None, [log])  # As `ChatMix(callbacks=[…])` gives them: not inheritable.
    with TurnCallbacks(manager.on_chat_model_start({}, [[HumanMessage("hi")]])[0]) as runs:
        for update in [*TASK, TASK_OVER]:
            runs.handle(update)
    assert "tool start Glob" in log.shape


async def test_what_handlers_keep_in_context_is_never_seen_between_chunks():
    var: ContextVar[str] = ContextVar("var", default="outside")

    class Keeper(BaseCallbackHandler):
        run_inline = True

        def __init__(self):
            self.tokens = {}

        def on_tool_start(self, serialized, input_str, *, run_id, **kwargs):
            self.tokens[run_id] = var.set(kwargs["name"])

        def on_tool_end(self, output, *, run_id, **kwargs):
            var.reset(self.tokens.pop(run_id))  # In another context this raises, and is logged.

    # Two tools that overlap: resetting one after the other would leave the first one's value for good.
    updates = [ToolRunning("A", "A", ""), ToolRunning("B", "B", "")]
    updates += [ToolFinished(i, i, success=True, progress="") for i in ("A", "B")]
    keeper = Keeper()
    keeper.raise_error = True
    with TurnCallbacks(model_run(keeper)) as runs:
        for update in updates:
            runs.handle(update)
            assert var.get() == "outside"
    async with AsyncTurnCallbacks(await async_model_run(keeper)) as aruns:
        for update in updates:
            await aruns.handle(update)
            assert var.get() == "outside"
    assert var.get() == "outside"
    assert keeper.tokens == {}
