"""ChatMix as a runnable among others."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, trim_messages
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator import CloseConnection, Faults, HttpError, Script, say
from langchain_mix.emulator.agents.base import Fail
from langchain_mix.errors import MixAgentError, MixError

MESSAGES = "POST /api/sessions/[^/]+/messages"


class Echo(Script):
    """Says what it is asked, and counts how many ask at once."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0

    async def reply(self, request):
        self.requests.append(request)
        self.now += 1
        self.most = max(self.most, self.now)
        for piece in say(f"You said {request.lines[-1].text}."):
            yield piece
        self.now -= 1


def posts(server):
    return [r.json["text"] for r in server.requests if r.method == "POST" and r.path.endswith("/messages")]


@pytest.fixture
def server():
    with MixEmulator(agent=Echo()) as running:
        yield running


async def test_prompt_model_parser(server):
    chain = ChatPromptTemplate([("system", "Be kind."), ("human", "{word}")]) | ChatMix(server_url=server.url)
    chain |= StrOutputParser()
    assert chain.invoke({"word": "a"}) == "You said a."
    assert await chain.ainvoke({"word": "b"}) == "You said b."
    pieces = list(chain.stream({"word": "a longer word"}))
    assert "".join(pieces) == "You said a longer word."
    assert len([piece for piece in pieces if piece]) > 1
    assert "".join([piece async for piece in chain.astream({"word": "c"})]) == "You said c."
    assert server.agent.requests[0].system_prompt == "Be kind."


def test_a_talk_in_a_placeholder_goes_on_in_its_session(server):
    chain = ChatPromptTemplate([("system", "Be kind."), MessagesPlaceholder("talk")]) | ChatMix(server_url=server.url)
    talk = [HumanMessage("a")]
    talk += [chain.invoke({"talk": talk}), HumanMessage("b")]
    assert chain.invoke({"talk": talk}).text == "You said b."
    assert posts(server) == ["a", "b"]
    assert len(server.state.sessions.listing(include_subagents=False)) == 1


async def test_parallel_runnables_have_sessions_of_their_own(server):
    model = ChatMix(server_url=server.url) | StrOutputParser()
    both = RunnableParallel(a=RunnableLambda(lambda x: f"{x}1") | model, b=RunnableLambda(lambda x: f"{x}2") | model)
    wanted = {"a": "You said x1.", "b": "You said x2."}
    assert both.invoke("x") == wanted
    assert await both.ainvoke("x") == wanted
    assert len(server.state.sessions.listing(include_subagents=False)) == 4


def test_what_goes_through_stays(server):
    chain = RunnablePassthrough.assign(said=RunnableLambda(lambda x: x["word"]) | ChatMix(server_url=server.url))
    assert chain.invoke({"word": "a"})["said"].text == "You said a."


async def test_a_batch_keeps_its_order_and_its_limit(server):
    model = ChatMix(server_url=server.url)
    words = [f"w{n}" for n in range(8)]
    wanted = [f"You said {word}." for word in words]
    assert [reply.text for reply in model.batch(words, {"max_concurrency": 2})] == wanted
    assert server.agent.most <= 2
    assert [reply.text for reply in await model.abatch(words, {"max_concurrency": 3})] == wanted
    assert server.agent.most <= 3
    found = dict(model.batch_as_completed(words))
    assert [found[n].text for n in range(8)] == wanted
    assert len(posts(server)) == 24


def test_an_error_of_a_batch_is_that_of_its_own_input():
    class Picky(Echo):
        async def reply(self, request):
            if "bad" in request.lines[-1].text:
                yield Fail("provider overloaded")
                return
            async for piece in super().reply(request):
                yield piece

    with MixEmulator(agent=Picky()) as server:
        good, bad, other = ChatMix(server_url=server.url).batch(["good", "bad", "other"], return_exceptions=True)
        assert (good.text, other.text) == ("You said good.", "You said other.")
        assert isinstance(bad, MixAgentError)
        assert len(posts(server)) == 3


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_fallback_answers_where_a_server_does_not(server, asynchronous):
    with MixEmulator(faults=Faults(HttpError(count=99))) as ill:
        first = ChatMix(server_url=ill.url, api="0.8", max_retries=0)
        chain = first.with_fallbacks([ChatMix(server_url=server.url)])
        reply = await chain.ainvoke("a") if asynchronous else chain.invoke("a")
        streamed = "".join(chunk.text for chunk in chain.stream("b"))
    assert (reply.text, streamed) == ("You said a.", "You said b.")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        CloseConnection(match=MESSAGES, before=False, count=1),
        HttpError(match=MESSAGES, count=9, before=False),
    ],
)
async def test_retries_never_have_a_message_answered_twice(fault, asynchronous):
    with MixEmulator(agent=Echo(), faults=Faults(fault)) as server:
        model = ChatMix(server_url=server.url, api="0.8", max_retries=0)
        chain = model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
        reply = await chain.ainvoke("a") if asynchronous else chain.invoke("a")
        assert reply.text == "You said a."
        rows = [
            row for s in server.state.sessions.listing(include_subagents=False) for row in server.state.rows.of(s["id"])
        ]
        assert sum(row.role == "user" for row in rows) <= 1


def test_a_trimmed_talk_is_told_in_a_session_of_its_own(server):
    model = ChatMix(server_url=server.url)
    trimmer = trim_messages(max_tokens=3, strategy="last", token_counter=len, include_system=True, start_on="human")
    chain = trimmer | model
    talk = [SystemMessage("Be kind.")]
    for word in ("one", "two", "three"):
        talk.append(HumanMessage(word))
        talk.append(chain.invoke(talk))
    last = posts(server)[-1]
    assert "three" in last
    assert "one" not in last
    assert talk[-1].response_metadata["mix"]["session_id"] != talk[2].response_metadata["mix"]["session_id"]


def test_a_trimmer_counts_with_the_model(server):
    model = ChatMix(server_url=server.url)
    talk = [HumanMessage("word " * 400), AIMessage("Yes."), HumanMessage("Now?")]
    kept = trim_messages(talk, max_tokens=100, strategy="last", token_counter=model)
    assert [m.text for m in kept] == ["Yes.", "Now?"]


def test_a_session_that_may_have_been_made_is_not_made_twice():
    fault = HttpError(match="POST /api/sessions", count=1)
    with MixEmulator(agent=Echo(), faults=Faults(fault)) as server:
        model = ChatMix(server_url=server.url, api="0.8", max_retries=3)
        with pytest.raises(MixError) as caught:
            model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False).invoke("a")
        assert caught.value.acted == "unknown"
        assert [r.path for r in server.requests] == ["/api/sessions"]
