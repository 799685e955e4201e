"""Sessions of conversations: which session holds what, on every generation, and what that costs."""

from __future__ import annotations

import json
import logging
from contextlib import suppress

import pytest
from langchain_core.load import dumpd, load
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    messages_from_dict,
    messages_to_dict,
    trim_messages,
)
from langchain_core.runnables import ConfigurableField
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph.message import add_messages

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.chat_models.process_state import SESSION_HEADS, THREAD_SESSIONS
from langchain_mix.emulator import Gate, HttpError, Script, turn
from langchain_mix.emulator.agents.base import Fail, Request, Text, Wait
from langchain_mix.errors import MixError, MixHistoryDiverged, MixInputError, MixSessionBusy
from langchain_mix.pointer import KEY, read_pointer
from langchain_mix.protocol.api import ALL, CAPABILITIES
from tests.in_turn import in_turn

APIS = [str(v) for v in ALL]
CAN_FORK = [str(v) for v in ALL if CAPABILITIES[v].fork]


class Echo:
    """Answers with all that the user said in the session: an answer shows which history it answers."""

    def __init__(self):
        self.requests: list[Request] = []

    async def reply(self, request):
        self.requests.append(request)
        yield Text(" / ".join(line.text for line in request.lines if line.role == "user"))


USUAL = ("0.6", "0.8")
"""By default one generation that cannot fork and one that can."""


# In tuples, so that tests/crossing.py leaves the choice to the marks.
@pytest.fixture(
    params=[pytest.param((a,), id=a, marks=[] if a in USUAL else pytest.mark.exhaustive) for a in APIS],
)
def server(request):
    (api,) = request.param
    with MixEmulator(api=api, agent=Echo()) as server:
        yield server


@pytest.fixture
def newest():
    with MixEmulator(api="0.8", agent=Echo()) as server:
        yield server


@pytest.fixture
def forking():
    with MixEmulator(api="0.7", agent=Echo()) as server:
        yield server


def forget():
    """Forgets all, as a new process."""
    SESSION_HEADS._entries.clear()
    THREAD_SESSIONS._entries.clear()


def session_of(message):
    return read_pointer(message.response_metadata).session_id


def said(server, session_id):
    """Returns what the user said in a session, by its rows."""
    return [row["userInput"] for row in server.state.rows.messages(session_id) if row["role"] == "user"]


def row_ids(server, session_id):
    return [row.id for row in server.state.rows.of(session_id)]


def sessions(server):
    return {s["id"] for s in server.state.sessions.listing(include_subagents=True)}


def asked(server):
    """The requests that were made, without ids."""
    return [(r.method, "/".join(p for p in r.path.split("/")[:4] if len(p) < 30)) for r in server.requests]


def talk(model, *texts, messages=()):
    """A conversation, one turn for each text."""
    messages = list(messages)
    for text in texts:
        messages.append(HumanMessage(text))
        messages.append(model.invoke(messages))
    return messages


# One conversation, one session


def test_a_conversation_goes_on_in_one_session(server):
    model = ChatMix(server_url=server.url)
    messages = talk(model, "one")
    server.forget_requests()
    messages = talk(model, "two", messages=messages)
    methods = sorted(r.method for r in server.requests)
    assert methods == ["GET", "GET", "POST"], asked(server)
    assert sum(r.path.startswith("/stream") and r.method == "GET" for r in server.requests) == 1
    messages = talk(model, "three", messages=messages)
    (session,) = sessions(server)
    assert said(server, session) == ["one", "two", "three"]
    assert [row.role for row in server.state.rows.of(session)] == ["user", "assistant"] * 3
    assert messages[-1].text == "one / two / three"


async def test_a_conversation_goes_on_in_one_session_async(server):
    model = ChatMix(server_url=server.url)
    messages = [HumanMessage("one")]
    messages.append(await model.ainvoke(messages))
    server.forget_requests()
    messages += [HumanMessage("two")]
    whole = None
    async for chunk in model.astream(messages):
        whole = chunk if whole is None else whole + chunk
    assert sorted(r.method for r in server.requests) == ["GET", "GET", "POST"], asked(server)
    assert whole.text == "one / two"
    assert len(sessions(server)) == 1


def test_a_new_model_and_a_new_process_go_on_at_one_request_more(server):
    messages = talk(ChatMix(server_url=server.url), "one", "two")
    forget()
    server.forget_requests()
    # A new process does not know the server's generation either, unless it is given.
    messages = talk(ChatMix(server_url=server.url, api=server.api), "three", messages=messages)
    assert sorted(r.method for r in server.requests) == ["GET", "GET", "GET", "POST"], asked(server)
    (session,) = sessions(server)
    assert said(server, session) == ["one", "two", "three"]
    assert messages[-1].text == "one / two / three"


def test_messages_only_of_an_answer_chunk_go_on_too(server):
    model = ChatMix(server_url=server.url)
    whole = None
    for chunk in model.stream("one"):
        whole = chunk if whole is None else whole + chunk
    assert model.invoke([HumanMessage("one"), whole, HumanMessage("two")]).text == "one / two"
    assert len(sessions(server)) == 1


# Branches


def test_going_on_from_an_older_answer_leaves_the_session_alone(server):
    model = ChatMix(server_url=server.url)
    messages = talk(model, "one", "two")
    parent = session_of(messages[-1])
    before = row_ids(server, parent)
    branch = talk(model, "other", messages=messages[:2])
    assert row_ids(server, parent) == before
    child = session_of(branch[-1])
    assert child != parent
    if CAPABILITIES[server.api].fork:
        assert said(server, child) == ["one", "other"]
        assert branch[-1].text == "one / other"
    else:
        (transcript,) = said(server, child)
        assert "one" in transcript
        assert "two" not in transcript
        assert transcript.endswith("other")
    # Both go on where they are.
    assert session_of(talk(model, "more", messages=branch)[-1]) == child
    assert session_of(talk(model, "three", messages=messages)[-1]) == parent
    assert said(server, parent) == ["one", "two", "three"]
    assert len(sessions(server)) == 2


def test_a_branch_of_a_new_process_leaves_the_session_alone(server):
    messages = talk(ChatMix(server_url=server.url), "one", "two")
    parent = session_of(messages[-1])
    before = row_ids(server, parent)
    forget()
    branch = talk(ChatMix(server_url=server.url), "other", messages=messages[:2])
    assert row_ids(server, parent) == before
    assert session_of(branch[-1]) != parent


@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_the_same_question_again_is_another_session(api):
    with MixEmulator(api=api, agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        messages = talk(model, "one")
        first, again = (model.invoke([*messages, HumanMessage("two")]) for _ in range(2))
        assert session_of(first) != session_of(again)
        for session in sessions(server):
            assert sum("two" in text for text in said(server, session)) == 1


EDITS = {
    "edited": (lambda m: [m[0].model_copy(update={"content": "ONE"}), *m[1:]], ["ONE", "two"]),
    "cut": (lambda m: m[2:], ["two"]),
    "trimmed": (lambda m: trim_messages(m, max_tokens=2, token_counter=len, start_on="human"), ["two"]),
    "summarised": (lambda m: [SystemMessage("Summary: they said one"), *m[2:]], ["two"]),
    "removed": (lambda m: add_messages(m, [RemoveMessage(id=m[0].id), RemoveMessage(id=m[1].id)]), ["two"]),
    "answer-edited": (lambda m: [*m[:3], m[3].model_copy(update={"content": "changed"})], ["one", "two", "changed"]),
}


@pytest.mark.parametrize("scenario", in_turn(list(EDITS), APIS))
def test_a_changed_history_is_told_anew(scenario):
    name, api = scenario
    edit, kept = EDITS[name]
    with MixEmulator(api=api, agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        messages = add_messages([], talk(model, "one", "two"))
        parent = session_of(messages[-1])
        before = row_ids(server, parent)
        changed = edit(messages)
        reply = model.invoke([*changed, HumanMessage("three")])
        child = session_of(reply)
        assert child != parent
        assert row_ids(server, parent) == before
        everything = "\n".join(said(server, child))
        for text in [*kept, "three"]:
            assert everything.count(text) >= 1, text
        if "one" not in kept:
            assert "[User]\n> one" not in everything
        assert reply.text.endswith("three")


@pytest.mark.parametrize("api", CAN_FORK)
def test_an_edit_of_the_end_forks_before_it(api):
    with MixEmulator(api=api, agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        messages = talk(model, "one", "two")
        edited = [*messages[:3], AIMessage("I see."), HumanMessage("three")]
        reply = model.invoke(edited)
        rows = said(server, session_of(reply))
        assert rows[0] == "one"
        assert len(rows) == 2
        assert "two" in rows[1]
        assert "I see." in rows[1]
        assert said(server, session_of(messages[-1])) == ["one", "two"]


def test_answers_of_others_are_told(server):
    model = ChatMix(server_url=server.url)
    messages = talk(model, "one")
    messages += [HumanMessage("two"), AIMessage("Foreign answer."), HumanMessage("three")]
    reply = model.invoke(messages)
    (session,) = sessions(server)
    rows = said(server, session)
    assert rows[0] == "one"
    assert len(rows) == 2
    for text in ("two", "Foreign answer.", "three"):
        assert rows[1].count(text) == 1
    assert session_of(reply) == session
    # And from there it goes on as usual.
    talk(model, "four", messages=[*messages, reply])
    assert said(server, session)[2:] == ["four"]


def test_a_pointer_to_another_server_means_nothing(newest):
    with MixEmulator(api="0.8", agent=Echo()) as other:
        messages = talk(ChatMix(server_url=other.url), "one")
    reply = ChatMix(server_url=newest.url).invoke([*messages, HumanMessage("two")])
    (text,) = said(newest, session_of(reply))
    assert "> one" in text
    assert text.endswith("two")


def test_a_session_that_is_gone_is_replayed(server):
    model = ChatMix(server_url=server.url)
    messages = talk(model, "one")
    server.state.delete_session(session_of(messages[-1]))
    forget()
    reply = model.invoke([*messages, HumanMessage("two")])
    (text,) = said(server, session_of(reply))
    assert "> one" in text


def test_a_session_that_went_while_it_was_remembered_loses_nothing(server):
    model = ChatMix(server_url=server.url)
    messages = [*talk(model, "one"), HumanMessage("two")]
    server.state.delete_session(session_of(messages[1]))
    try:
        reply = model.invoke(messages)
    except MixError:
        reply = model.invoke(messages)  # The call failed; the next one knows.
    assert "> one" in said(server, session_of(reply))[0]


# on_divergence


def test_divergence_can_be_replayed(forking):
    model = ChatMix(server_url=forking.url, on_divergence="replay")
    messages = talk(model, "one", "two")
    branch = model.invoke([*messages[:2], HumanMessage("other")])
    (text,) = said(forking, session_of(branch))
    assert "> one" in text
    assert not any(r.path.endswith("/fork") for r in forking.requests)


def test_divergence_can_rewind(server):
    model = ChatMix(server_url=server.url, on_divergence="rewind")
    messages = talk(model, "one", "two")
    branch = model.invoke([*messages[:2], HumanMessage("other")])
    (session,) = sessions(server)
    assert said(server, session) == ["one", "other"]
    assert branch.text == "one / other"
    assert read_pointer(branch.response_metadata).digest
    assert session_of(talk(model, "more", messages=[*messages[:2], HumanMessage("other"), branch])[-1]) == session
    assert said(server, session) == ["one", "other", "more"]


def test_divergence_can_be_an_error(server):
    model = ChatMix(server_url=server.url, on_divergence="error")
    messages = talk(model, "one", "two")
    before = row_ids(server, session_of(messages[-1]))
    for changed in (messages[:2], messages[2:], [HumanMessage("ONE"), *messages[1:]]):
        with pytest.raises(MixHistoryDiverged) as caught:
            model.invoke([*changed, HumanMessage("other")])
        assert caught.value.acted == "no"
    (session,) = sessions(server)
    assert row_ids(server, session) == before
    talk(model, "three", messages=messages)
    assert said(server, session) == ["one", "two", "three"]


# The setup


def test_the_setup_is_told_once_and_again_only_when_it_changes(newest):
    model = ChatMix(server_url=newest.url)
    messages = talk(model, "one", messages=[SystemMessage("Be brief.")])
    messages = talk(model, "two", messages=messages)
    (session,) = sessions(newest)
    assert said(newest, session) == ["one", "two"]
    messages[0] = SystemMessage("Be long.")
    messages = talk(model, "three", "four", messages=messages)
    messages = talk(model.bind_tools([add]), "five", "six", messages=messages)
    messages = talk(model, "seven", "eight", messages=messages[1:])
    assert sessions(newest) == {session}
    rows = said(newest, session)
    assert "Be long." in rows[2]
    assert rows[2].endswith("three")
    assert rows[3] == "four"
    assert "add" in rows[4]
    assert "Be long." in rows[4]
    assert rows[5] == "six"
    assert "(none)" in rows[6]
    assert rows[7] == "eight"


def test_a_fork_is_told_the_setup_since_it_has_no_prompt(forking):
    model = ChatMix(server_url=forking.url, system_prompt="Be brief.")
    messages = talk(model, "one", "two")
    branch = talk(model, "other", "more", messages=messages[:2])
    rows = said(forking, session_of(branch[-1]))
    assert rows[0] == "one"
    assert "Be brief." in rows[1]
    assert rows[2] == "more"


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


# Stores

STORES = {
    "dumpd": lambda m: load(dumpd(m), allowed_objects="messages"),
    "json": lambda m: messages_from_dict(json.loads(json.dumps(messages_to_dict(m)))),
    "msgpack": lambda m: JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None).loads_typed(
        JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None).dumps_typed(m)
    ),
    "pydantic": lambda m: [type(x).model_validate_json(x.model_dump_json()) for x in m],
}


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
@pytest.mark.parametrize("scenario", in_turn(list(STORES), [None, "v1"]))
def test_stored_messages_go_on(newest, scenario):
    store, output_version = scenario
    model = ChatMix(server_url=newest.url, output_version=output_version)
    messages = talk(model, "one", "two")
    talk(model, "three", messages=STORES[store](messages))
    (session,) = sessions(newest)
    assert said(newest, session) == ["one", "two", "three"]


# Pinned sessions


@pytest.mark.parametrize(
    "pin",
    [
        lambda m, s: m.model_copy(update={"session_id": s}),
        lambda m, s: m.bind(session_id=s),
        lambda m, s: m.bind(mix_session_id=s),
        lambda m, s: m.with_config(configurable={"mix_session_id": s}),
        lambda m, s: (lambda x: x) | m.with_config(configurable={"mix_session_id": s}),
        lambda m, s: m.configurable_fields(session_id=ConfigurableField(id="session")).with_config(
            configurable={"session": s}
        ),
    ],
    ids=["field", "bind", "bind-key", "with_config", "in-a-chain", "configurable_fields"],
)
def test_a_named_session_is_used(newest, pin):
    model = ChatMix(server_url=newest.url)
    session = model.client.sessions.create(title="mine", browser_mode="local-browser-service").id
    pinned = pin(model, session)
    assert pinned.invoke("one").text == "one"
    assert pinned.invoke("two").text == "one / two"
    assert sessions(newest) == {session}


def test_the_session_of_a_run_around_the_call_is_used(newest):
    model = ChatMix(server_url=newest.url)
    session = model.client.sessions.create(title="mine", browser_mode="local-browser-service").id
    from langchain_core.runnables import RunnableLambda

    chain = RunnableLambda(model.invoke) | (lambda m: m.text)
    assert chain.invoke("one", {"configurable": {"mix_session_id": session}}) == "one"
    assert sessions(newest) == {session}


def test_a_named_session_that_moved_on_is_an_error_if_asked_for(server):
    model = ChatMix(server_url=server.url)
    messages = talk(model, "one")
    session = session_of(messages[-1])
    model.invoke("between", mix_session_id=session)
    strict = ChatMix(server_url=server.url, session_id=session, on_divergence="error")
    with pytest.raises(MixHistoryDiverged):
        strict.invoke([*messages, HumanMessage("two")])
    assert said(server, session) == ["one", "between"]


def test_each_thread_has_a_session(newest):
    model = ChatMix(server_url=newest.url, session_per_thread=True)
    replies = {
        (thread, text): model.invoke(text, {"configurable": {"thread_id": thread}})
        for text in ("one", "two")
        for thread in ("a", "b")
    }
    assert replies["a", "two"].text == replies["b", "two"].text == "one / two"
    assert session_of(replies["a", "one"]) == session_of(replies["a", "two"])
    assert len(sessions(newest)) == 2


# Sessions that are not kept


@pytest.mark.parametrize("api", APIS)
def test_a_session_that_is_not_kept_goes_even_if_the_turn_fails(api):
    with MixEmulator(api=api, agent=Script(turn(Fail("no")), loop=True)) as server:
        with pytest.raises(MixError):
            ChatMix(server_url=server.url, retention="delete").invoke("one")
        assert sessions(server) == set()


async def test_a_session_that_is_not_kept_goes_async(newest):
    assert (await ChatMix(server_url=newest.url, retention="delete").ainvoke("one")).text == "one"
    assert sessions(newest) == set()


def test_a_session_that_cannot_be_deleted_costs_no_reply(newest, caplog):
    model = ChatMix(server_url=newest.url, retention="delete", max_retries=0)
    newest.faults.add(HttpError(match="DELETE .*", status=500))
    with caplog.at_level(logging.WARNING, "langchain_mix"):
        assert model.invoke("one").text == "one"
    assert "could not be deleted" in caplog.text


def test_a_deleted_session_is_not_gone_on_in(newest):
    model = ChatMix(server_url=newest.url, retention="delete")
    messages = talk(model, "one")
    reply = model.invoke([*messages, HumanMessage("two")])
    assert "> one" in reply.text
    assert reply.text.endswith("two")
    assert sessions(newest) == set()


def test_a_named_session_is_never_deleted(newest):
    model = ChatMix(server_url=newest.url)
    messages = talk(model, "one")
    session = session_of(messages[-1])
    deleting = ChatMix(server_url=newest.url, retention="delete")
    deleting.invoke("two", mix_session_id=session)
    assert sessions(newest) == {session}


# Others in the same session


class Slow(Echo):
    """Waits before it answers a text that says so."""

    def __init__(self):
        super().__init__()
        self.door = Gate()

    async def reply(self, request):
        if "slow" in request.lines[-1].text:
            yield Wait(self.door)
        async for piece in super().reply(request):
            yield piece


@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_what_another_process_wrote_in_between_is_noticed(api):
    with MixEmulator(api=api, agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        messages = talk(model, "one")
        session = session_of(messages[-1])
        with_other_process(server, session)
        reply = model.invoke([*messages, HumanMessage("two")])
        pointer = read_pointer(reply.response_metadata)
        assert pointer.digest == ""
        # What comes after is answered by a session that holds this conversation and nothing else.
        after = model.invoke([*messages, HumanMessage("two"), reply, HumanMessage("three")])
        assert session_of(after) != session
        rows = said(server, session_of(after))
        assert rows[0] == "one" or "> one" in rows[0]
        assert not any(text == "between" for text in rows)


@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_what_another_process_wrote_in_between_is_an_error_if_asked_for(api):
    with MixEmulator(api=api, agent=Echo()) as server:
        model = ChatMix(server_url=server.url, on_divergence="error")
        messages = talk(model, "one")
        with_other_process(server, session_of(messages[-1]))
        with pytest.raises(MixHistoryDiverged) as caught:
            model.invoke([*messages, HumanMessage("two")])
        assert caught.value.acted == "yes"
        assert caught.value.turn.text == "one / between / two"
        assert not getattr(caught.value, "is_retryable", True)


def with_other_process(server, session):
    """A turn of which this process knows nothing."""
    from langchain_mix.client import Mix

    with Mix(server_url=server.url) as other:
        other.messages.send(id=session, text="between")


@pytest.mark.parametrize("api", ["0.6", "0.7", "0.8"])
async def test_two_calls_with_one_history_at_once_get_an_answer_each(api):
    """The second one finds its session busy with the first; it must not be answered behind it."""
    import asyncio

    agent = Slow()
    with MixEmulator(api=api, agent=agent) as server:
        for strategy in ("reject", "enqueue"):
            model = ChatMix(server_url=server.url, multitask_strategy=strategy)
            messages = [HumanMessage("one")]
            messages.append(await model.ainvoke(messages))
            agent.door = Gate()
            first = asyncio.create_task(model.ainvoke([*messages, HumanMessage("slow two")]))
            await asyncio.to_thread(agent.door.reached.wait, 10)
            second = asyncio.create_task(model.ainvoke([*messages, HumanMessage("other")]))
            done, _ = await asyncio.wait((second,), timeout=2)
            agent.door.open()
            assert (await first).text == "one / slow two"
            reply = await second
            assert "slow two" not in reply.text
            assert reply.text.endswith("other")
            assert done, "it did not wait for the other"
            assert read_pointer(reply.response_metadata).digest


async def test_a_busy_named_session_is_refused_or_waited_for(newest):
    import asyncio

    agent = newest.agent = Slow()
    with MixEmulator(api="0.8", agent=agent) as server:
        model = ChatMix(server_url=server.url)
        messages = [HumanMessage("one")]
        messages.append(await model.ainvoke(messages))
        session = session_of(messages[-1])
        first = asyncio.create_task(model.ainvoke("slow", mix_session_id=session))
        await asyncio.to_thread(agent.door.reached.wait, 10)
        with pytest.raises(MixSessionBusy):
            await model.ainvoke("two", mix_session_id=session)
        waiting = asyncio.create_task(model.ainvoke("two", mix_session_id=session, multitask_strategy="enqueue"))
        agent.door.open()
        assert (await first).text == "one / slow"
        assert (await waiting).text == "one / slow / two"
        assert said(server, session) == ["one", "slow", "two"]


# Failures


@pytest.mark.parametrize("api", APIS)
def test_after_a_failed_turn_the_same_messages_are_answered_elsewhere(api):
    """The session holds the message of the turn that failed; it is not sent there a second time."""
    script = Script("first", turn(Fail("overloaded")), default="fine")
    with MixEmulator(api=api, agent=script) as server:
        model = ChatMix(server_url=server.url)
        messages = [*talk(model, "one"), HumanMessage("two")]
        with pytest.raises(MixError):
            model.invoke(messages)
        parent = session_of(messages[1])
        with suppress(MixError):  # The script's second turn fails in a fork too.
            model.invoke(messages)
        assert said(server, parent).count("two") == 1
        for session in sessions(server):
            assert sum("two" in text for text in said(server, session)) <= 1


def test_nothing_to_answer_is_said_before_anything_is_sent(newest):
    model = ChatMix(server_url=newest.url)
    messages = talk(model, "one")
    newest.forget_requests()
    with pytest.raises(MixInputError, match="nothing to answer"):
        model.invoke(messages)
    assert not newest.requests


def test_odd_pointers_are_harmless(newest):
    for odd in ({"session_id": 7}, {"session_id": "x", "row_count": "many"}, "text", [], {}, None):
        message = AIMessage("Hi", response_metadata={KEY: odd})
        reply = ChatMix(server_url=newest.url).invoke([HumanMessage("one"), message, HumanMessage("two")])
        assert reply.text.endswith("two"), odd
