"""User interfaces over `MixAgent`: AG-UI's LangGraph adapter and Chainlit's callback handler."""

from __future__ import annotations

import pytest
from ag_ui.core.types import RunAgentInput, UserMessage
from ag_ui_langgraph import LangGraphAgent
from chainlit.context import ChainlitContext, context_var
from chainlit.emitter import BaseChainlitEmitter
from chainlit.langchain.callbacks import LangchainTracer
from chainlit.session import HTTPSession
from langgraph.checkpoint.memory import InMemorySaver

from langchain_mix.emulator import say, turn

pytestmark = pytest.mark.ecosystem


def asked(text, **forwarded):
    message = UserMessage(id="m", role="user", content=text)
    return RunAgentInput(
        thread_id="a",
        run_id="r",
        state={},
        messages=[message],
        tools=[],
        context=[],
        forwarded_props=forwarded,
    )


async def events_of(agent, given):
    return [event async for event in agent.clone().run(given)]


def kinds(events):
    return [event.type.value for event in events]


def text_of(events):
    return "".join(e.delta for e in events if e.type.value == "TEXT_MESSAGE_CONTENT")


async def test_ag_ui_streams_text(cast):
    """AG-UI's adapter turns the text of a MixAgent into text message events, piece by piece, and ends the run."""
    server = cast.serve("This is what the agent has to say.")
    agent = LangGraphAgent(name="mix", graph=cast.agent(server, checkpointer=InMemorySaver()))
    events = await events_of(agent, asked("Go"))
    assert kinds(events)[-1] == "RUN_FINISHED"
    assert "RUN_ERROR" not in kinds(events)
    assert text_of(events) == "This is what the agent has to say."
    assert kinds(events).count("TEXT_MESSAGE_CONTENT") > 1


async def test_ag_ui_shows_a_pause_and_resumes_it(cast):
    """AG-UI's adapter shows the interrupt of a permission request and resumes it with a word."""
    server = cast.serve(turn([cast.write("a.md")], say("Written.")))
    agent = LangGraphAgent(name="mix", graph=cast.agent(server, permissions="interrupt", checkpointer=InMemorySaver()))
    events = await events_of(agent, asked("Go"))
    (pause,) = [e for e in events if e.type.value == "CUSTOM" and e.name == "on_interrupt"]
    assert "action_requests" in str(pause.value)
    events = await events_of(agent, asked("Go", command={"resume": "yes"}))
    assert "Written." in text_of(events)
    assert cast.answers(server) == ["deny", "grant"]


class Emitter(BaseChainlitEmitter):
    """Notes what a browser would be sent."""

    def __init__(self, session):
        super().__init__(session)
        self.steps = {}

    async def send_step(self, step_dict):
        self.steps[step_dict["id"]] = step_dict

    async def update_step(self, step_dict):
        self.steps[step_dict["id"]] = step_dict


async def test_chainlit_shows_the_model_and_the_tools(cast):
    """Chainlit's callback handler shows the run of the model and each tool of the server, with its output, as steps."""
    session = HTTPSession(id="s", thread_id="t", token=None, user=None, client_type="webapp", user_env=None)
    emitter = Emitter(session)
    token = context_var.set(ChainlitContext(session, emitter))
    try:
        server = cast.serve(turn([cast.read("a.md")], say("Done.")))
        agent = cast.agent(server)
        await agent.ainvoke({"messages": "Go"}, {"callbacks": [LangchainTracer()]})
    finally:
        context_var.reset(token)
    shown = {step["name"]: step for step in emitter.steps.values()}
    assert shown["ReadText"]["type"] == "tool"
    assert shown["ReadText"]["output"]
    assert any(step["type"] == "llm" for step in shown.values())
    assert not any(step["isError"] for step in shown.values())
