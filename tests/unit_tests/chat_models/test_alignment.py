"""The position at which a conversation goes on: each rule, and that no message is ever lost, doubled or made up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mix.chat_models import history
from langchain_mix.chat_models.alignment import (
    Append,
    Base,
    Fork,
    NeedRows,
    New,
    OnDivergence,
    Plan,
    Replay,
    Rewind,
    align,
    find_base,
    head_of,
    setup_known,
    text_of,
    verify,
)
from langchain_mix.chat_models.history import digest
from langchain_mix.errors import MixHistoryDiverged, MixInputError
from langchain_mix.pointer import KEY, Pointer
from langchain_mix.protocol.models.messages import BackendMessage

SERVER = "http://localhost:8088"


def write_results(messages: list[ToolMessage], calls: dict[str, Any]) -> str:
    return "<tool_results>" + json.dumps([[m.tool_call_id, m.tool_call_id in calls, m.text] for m in messages])


@dataclass
class Server:
    """The naive model of Mix: rows in sessions, forks with new ids, rewinds that delete."""

    sessions: dict[str, list[BackendMessage]] = field(default_factory=dict)
    made: int = 0

    def new_id(self) -> str:
        self.made += 1
        return f"r{self.made}"

    def create(self) -> str:
        session = f"s{self.new_id()}"
        self.sessions[session] = []
        return session

    def add(self, session: str, role: str, text: str = "") -> BackendMessage:
        row = BackendMessage(id=self.new_id(), role=role, user_input=text)
        self.sessions[session].append(row)
        return row

    def fork(self, session: str, message_index: int) -> str:
        copy = self.create()
        for row in self.sessions[session][:message_index]:
            self.add(copy, row.role, row.user_input)
        return copy

    def rewind(self, session: str, message_id: str) -> None:
        rows = self.sessions[session]
        del rows[[r.id for r in rows].index(message_id) + 1 :]

    def snapshot(self) -> dict[str, list[tuple[str, str]]]:
        return {s: [(r.id, r.user_input) for r in rows] for s, rows in self.sessions.items()}


@dataclass
class Chat:
    """Carries out plans on the model server, as ChatMix does on a real one."""

    server: Server
    can_fork: bool = True
    can_rewind: bool = True
    on_divergence: OnDivergence = "fork"
    pinned: str | None = None
    tool_rows: int = 0
    plans: list[Plan] = field(default_factory=list)

    def plan(self, messages: list[BaseMessage]) -> Plan:
        base = find_base(messages, SERVER)
        head: str | None = None
        ids: list[str] | None = None
        for _ in range(2):
            found = align(
                messages, server=SERVER, base=base, head=head, rows=ids, can_fork=self.can_fork,
                can_rewind=self.can_rewind, on_divergence=self.on_divergence, same_words=True, pinned=self.pinned,
            )  # fmt: skip
            if not isinstance(found, NeedRows):
                return found
            rows = self.server.sessions.get(found.session_id, [])
            head, ids = head_of(rows), [row.id for row in rows]
        raise AssertionError("the rows were read, and still are wanted")

    def session_for(self, plan: Plan) -> str:
        match plan:
            case Append():
                return plan.pointer.session_id
            case Fork():
                return self.server.fork(plan.pointer.session_id, plan.message_index)
            case Rewind():
                self.server.rewind(plan.pointer.session_id, plan.pointer.message_id)
                return plan.pointer.session_id
            case _:
                return self.server.create()

    def turn(self, messages: list[BaseMessage], answer: str, *, calls: int = 0) -> AIMessage:
        plan = self.plan(messages)
        assert plan == self.plan(messages)
        self.plans.append(plan)
        session = self.session_for(plan)
        user = self.server.add(session, "user", text_of(plan, write_results))
        for _ in range(self.tool_rows):
            self.server.add(session, "assistant")
            self.server.add(session, "tool")
        row = self.server.add(session, "assistant", answer)
        rows = self.server.sessions[session]
        assert verify(plan, rows, user.id) is None
        reply = AIMessage(answer, tool_calls=[{"name": "add", "args": {}, "id": f"{row.id}.{i}"} for i in range(calls)])
        pointer = Pointer(
            server=SERVER, session_id=session, message_id=row.id, user_message_id=user.id, row_count=len(rows),
            digest=digest([*messages, reply]), setup="s",
        )  # fmt: skip
        reply.response_metadata[KEY] = pointer.as_metadata()
        return reply


def talk(chat: Chat, *questions: str) -> list[BaseMessage]:
    messages: list[BaseMessage] = []
    for question in questions:
        messages.append(HumanMessage(question))
        messages.append(chat.turn(messages, f"to {question}"))
    return messages


def place(message: BaseMessage) -> Pointer:
    return Pointer(**message.response_metadata[KEY])


def ask(messages: list[BaseMessage], **options: Any) -> Plan | NeedRows:
    given: dict[str, Any] = {"head": None, "rows": None, "can_fork": True, "can_rewind": True, "on_divergence": "fork"}
    given |= {"same_words": True}
    return align(messages, server=SERVER, base=find_base(messages, SERVER), **{**given, **options})


# What a session holds, read back from its rows.

Said = tuple[str, str]


def said(message: BaseMessage) -> list[Said]:
    """A message and its tool calls as they count."""
    if isinstance(message, AIMessage):
        calls = [("call", str(c["id"])) for c in message.tool_calls]
        return [("ai", message.text), *calls] if message.text or not calls else calls
    return [
        ("tool", f"{message.tool_call_id}={message.text}")
        if isinstance(message, ToolMessage)
        else ("human", message.text)
    ]


def held(rows: list[BackendMessage], calls: dict[str, list[Said]]) -> list[Said]:
    """Everything that the rows hold for a reader: users' texts, transcripts taken apart, answers with their calls."""
    found: list[Said] = []
    for row in rows:
        if row.role == "user":
            found += read(row.user_input)
        elif row.role == "assistant" and row.user_input:
            found += calls[row.user_input]
    return found


def read(text: str) -> list[Said]:
    if not text.startswith((history.INTRODUCTION, history.CONTINUATION)):
        return parse_request(text)
    parts: list[list[str]] = []
    lines = text.split("\n")
    for number, line in enumerate(lines[1:], 1):
        if line == history.QUESTION:
            return [read_part(p) for p in parts] + parse_request("\n".join(lines[number + 2 :]))
        if line == history.NO_QUESTION:
            return [read_part(p) for p in parts]
        if line.startswith("> "):
            parts[-1].append(line[2:])
        elif line:
            parts.append([line])
    raise AssertionError(text)


def read_part(part: list[str]) -> Said:
    speaker, text = part[0], "\n".join(part[1:])
    if speaker == "[User]":
        return "human", text
    if speaker == "[Assistant]":
        return "ai", text
    call = speaker.rsplit('"', 2)[1]
    return ("call", call) if "calls" in speaker else ("tool", f"{call}={text}")


def parse_request(text: str) -> list[Said]:
    found: list[Said] = []
    for piece in text.split("\n\n"):  # The users of these tests leave no blank lines.
        if piece.startswith("<tool_results>"):
            found += [("tool", f"{i}={t}") for i, _, t in json.loads(piece.removeprefix("<tool_results>"))]
        else:
            found.append(("human", piece))
    return found


def test_a_first_message_starts_a_session():
    plan = ask([SystemMessage("s"), HumanMessage("a"), HumanMessage("b")])
    assert isinstance(plan, New)
    assert text_of(plan, write_results) == "a\n\nb"
    assert setup_known(plan) == ""


def test_a_foreign_history_is_replayed():
    plan = ask([HumanMessage("a"), AIMessage("b"), HumanMessage("c")])
    assert isinstance(plan, Replay)
    assert plan.reason == "foreign"
    assert text_of(plan, write_results).startswith(history.INTRODUCTION)


def test_an_unknown_head_must_be_read_first():
    messages = [*talk(Chat(Server()), "a"), HumanMessage("b")]
    assert ask(messages) == NeedRows(place(messages[1]).session_id)
    assert ask(messages, head="elsewhere") == NeedRows(place(messages[1]).session_id)


def test_at_the_head_only_what_is_new_is_appended():
    messages = [SystemMessage("s"), *talk(Chat(Server()), "a", "b"), SystemMessage("t"), HumanMessage("c")]
    pointer = place(messages[4])
    plan = ask(messages, head=pointer.message_id)
    assert isinstance(plan, Append)
    assert (plan.pointer, plan.after) == (pointer, pointer.message_id)
    assert text_of(plan, write_results) == "c"
    assert setup_known(plan) == "s"


def test_results_of_tools_are_appended():
    chat = Chat(Server())
    question: list[BaseMessage] = [HumanMessage("a")]
    messages = [*question, chat.turn(question, "calling", calls=1)]
    call = messages[1].tool_calls[0]["id"]  # type: ignore[attr-defined]
    plan = chat.plan([*messages, ToolMessage("3", tool_call_id=call)])
    assert isinstance(plan, Append)
    assert text_of(plan, write_results) == f'<tool_results>[["{call}", true, "3"]]'


def test_answers_that_the_session_did_not_give_go_as_a_transcript():
    chat = Chat(Server())
    messages = [*talk(chat, "a"), HumanMessage("b"), AIMessage("foreign"), HumanMessage("c")]
    plan = chat.plan(messages)
    assert isinstance(plan, Append)
    text = text_of(plan, write_results)
    assert text.startswith(history.CONTINUATION)
    assert read(text) == [("human", "b"), ("ai", "foreign"), ("human", "c")]


@pytest.mark.parametrize("tool_rows", [0, 2])
def test_a_branch_forks_at_the_row_of_its_base(tool_rows: int):
    chat = Chat(Server(), tool_rows=tool_rows)
    messages = talk(chat, "a", "b")
    plan = chat.plan([*messages[:2], HumanMessage("c")])
    assert isinstance(plan, Fork)
    assert (plan.message_index, plan.reason) == (2 + 2 * tool_rows, "moved")
    assert setup_known(plan) == ""  # A copy has no prompt.


def test_the_index_comes_from_the_rows_and_not_from_the_pointer():
    chat = Chat(Server())
    messages = talk(chat, "a", "b")
    messages[1].response_metadata[KEY]["row_count"] = 99
    plan = chat.plan([*messages[:2], HumanMessage("c")])
    assert isinstance(plan, Fork)
    assert plan.message_index == 2


def branch(**options: Any) -> Plan:
    chat = Chat(Server(), **options)
    return chat.plan([*talk(chat, "a", "b")[:2], HumanMessage("c")])


def test_what_the_server_cannot_do_falls_back():
    assert isinstance(branch(can_fork=False), Replay)
    assert isinstance(branch(on_divergence="replay"), Replay)
    assert isinstance(branch(on_divergence="rewind"), Rewind)
    assert isinstance(branch(on_divergence="rewind", can_fork=False), Rewind)
    assert isinstance(branch(on_divergence="rewind", can_rewind=False), Fork)
    assert isinstance(branch(on_divergence="rewind", can_rewind=False, can_fork=False), Replay)


@pytest.mark.parametrize("on_divergence", get_args(OnDivergence))
def test_a_lost_row_or_session_is_replayed(on_divergence: OnDivergence):
    for ruin in ("delete", "rewind"):
        chat = Chat(Server(), on_divergence=on_divergence)
        messages = talk(chat, "a", "b")
        session = place(messages[3]).session_id
        if ruin == "delete":
            del chat.server.sessions[session]
        else:
            chat.server.rewind(session, place(messages[1]).message_id)
        if on_divergence == "error":
            with pytest.raises(MixHistoryDiverged, match="does not hold"):
                chat.plan([*messages, HumanMessage("c")])
        else:
            plan = chat.plan([*messages, HumanMessage("c")])
            assert isinstance(plan, Replay)
            assert plan.reason == "gone"


def test_error_refuses_what_diverged_and_only_that():
    chat = Chat(Server(), on_divergence="error")
    messages = talk(chat, "a", "b", "c")
    assert isinstance(chat.plan([*messages, HumanMessage("d")]), Append)
    assert isinstance(chat.plan([HumanMessage("x"), AIMessage("y"), HumanMessage("z")]), Replay)
    with pytest.raises(MixHistoryDiverged, match="went on"):
        chat.plan([*messages[:2], HumanMessage("d")])
    for changed in (messages[2:], [*messages[:3], AIMessage("x", response_metadata=messages[3].response_metadata)]):
        with pytest.raises(MixHistoryDiverged, match="was changed") as caught:
            chat.plan([*changed, HumanMessage("d")])
        assert caught.value.acted == "no"


def test_an_older_pointer_is_the_base_where_newer_ones_prove_nothing():
    messages = talk(Chat(Server()), "a", "b")
    messages[2] = HumanMessage("B")
    assert find_base([*messages, HumanMessage("c")], SERVER) == Base(1, place(messages[1]))


def test_pointers_of_other_servers_and_without_proof_are_no_base():
    messages = talk(Chat(Server()), "a")
    assert find_base(messages, SERVER + "/") == Base(1, place(messages[1]))
    messages[1].response_metadata[KEY]["server"] = SERVER + "/"
    assert find_base(messages, SERVER) == Base(1, place(messages[1]))
    assert find_base(messages, "http://elsewhere:8088") is None
    user = HumanMessage(
        "a", response_metadata={KEY: {**messages[1].response_metadata[KEY], "digest": digest(messages[:1])}}
    )
    assert find_base([user], SERVER) is None
    for lacking in ("digest", "message_id", "session_id"):
        cut = messages[1].model_copy(
            update={"response_metadata": {KEY: {**messages[1].response_metadata[KEY], lacking: ""}}}
        )
        assert find_base([messages[0], cut], SERVER) is None


def test_there_must_be_something_to_answer():
    chat = Chat(Server())
    with pytest.raises(MixInputError, match="own answer"):
        chat.plan(talk(chat, "a"))
    for empty in ([], [SystemMessage("s")]):
        with pytest.raises(MixInputError, match="no message"):
            chat.plan(list(empty))


def test_head_of():
    server = Server()
    session = server.create()
    assert head_of(server.sessions[session]) == ""
    row = server.add(session, "assistant", "a")
    server.add(session, "tool")
    assert head_of(server.sessions[session]) == row.id


# Pinned sessions


@pytest.fixture
def pinned() -> Chat:
    server = Server()
    return Chat(server, pinned=server.create())


def test_pinned_empty_session_gets_everything(pinned: Chat):
    history_ = [HumanMessage("a"), AIMessage("b"), HumanMessage("c")]
    plan = pinned.plan(list(history_))
    assert isinstance(plan, Append)
    assert plan.after == ""
    assert text_of(plan, write_results).startswith(history.INTRODUCTION)


def test_pinned_session_is_the_memory(pinned: Chat):
    talk(pinned, "a")
    reply = pinned.turn([HumanMessage("b")], "to b")
    assert place(reply).session_id == pinned.pinned
    plan = pinned.plan([HumanMessage("a"), AIMessage("to a"), HumanMessage("c"), HumanMessage("d")])
    assert isinstance(plan, Append)
    assert plan.after == place(reply).message_id
    assert text_of(plan, write_results) == "c\n\nd"


def test_pinned_session_gets_what_follows_the_newest_pointer_into_it(pinned: Chat):
    messages = talk(pinned, "a", "b")
    plan = pinned.plan([*messages[2:], HumanMessage("c"), AIMessage("foreign"), HumanMessage("d")])
    assert isinstance(plan, Append)
    assert read(text_of(plan, write_results)) == [("human", "c"), ("ai", "foreign"), ("human", "d")]


def test_pinned_session_that_moved_on_is_appended_to_all_the_same(pinned: Chat):
    messages = talk(pinned, "a", "b")
    plan = pinned.plan([*messages[:2], HumanMessage("c")])
    assert isinstance(plan, Append)
    assert plan.after == place(messages[3]).message_id
    assert text_of(plan, write_results) == "c"


def test_pinned_session_is_rewound_if_asked(pinned: Chat):
    messages = talk(pinned, "a", "b")
    pinned.on_divergence = "rewind"
    plan = pinned.plan([*messages[:2], HumanMessage("c")])
    assert isinstance(plan, Rewind)
    assert plan.pointer == place(messages[1])
    pinned.can_rewind = False
    assert isinstance(pinned.plan([*messages[:2], HumanMessage("c")]), Append)


def test_pinned_session_is_only_rewound_to_a_row_that_was_read(pinned: Chat):
    messages = talk(pinned, "a", "b", "c")
    question = [*messages[:4], HumanMessage("d")]
    rewind: dict[str, Any] = {"pinned": pinned.pinned, "on_divergence": "rewind", "head": "elsewhere"}
    assert ask(question, **rewind) == NeedRows(pinned.pinned or "")
    assert isinstance(ask(question, **rewind, rows=[place(messages[1]).message_id, "elsewhere"]), Append)


def test_pinned_session_elsewhere_than_the_history(pinned: Chat):
    talk(pinned, "x")
    other = talk(Chat(pinned.server), "a")
    plan = pinned.plan([*other, HumanMessage("b")])
    assert isinstance(plan, Append)
    assert plan.pointer == Pointer(server=SERVER, session_id=pinned.pinned or "")
    assert text_of(plan, write_results) == "b"


def test_pinned_session_and_error(pinned: Chat):
    messages = talk(pinned, "a", "b")
    pinned.on_divergence = "error"
    assert isinstance(pinned.plan([*messages, HumanMessage("c")]), Append)
    assert isinstance(pinned.plan([HumanMessage("c")]), Append)
    edited = [*messages[:2], HumanMessage("B"), messages[3], HumanMessage("c")]
    foreign = [HumanMessage("a"), AIMessage("b"), HumanMessage("c")]
    for wrong in ([*messages[:2], HumanMessage("c")], [*messages[2:], HumanMessage("c")], edited, foreign):
        with pytest.raises(MixHistoryDiverged):
            pinned.plan(list(wrong))
    pinned.server.rewind(pinned.pinned or "", place(messages[1]).message_id)
    with pytest.raises(MixHistoryDiverged, match="was changed"):
        pinned.plan([*messages[:3], AIMessage("B", response_metadata=messages[3].response_metadata), HumanMessage("c")])
    pinned.server.sessions[pinned.pinned or ""].clear()
    with pytest.raises(MixHistoryDiverged, match="does not hold"):
        pinned.plan([*messages, HumanMessage("c")])


def test_pinned_session_must_be_read_and_must_get_something(pinned: Chat):
    assert ask([HumanMessage("a")], pinned="p") == NeedRows("p")
    messages = talk(pinned, "a")
    for ending in (messages, [HumanMessage("a"), AIMessage("b")]):
        with pytest.raises(MixInputError, match="nothing to answer"):
            pinned.plan(list(ending))


# After the turn


def test_verify_finds_what_came_between():
    chat = Chat(Server())
    messages = talk(chat, "a", "b")
    session = place(messages[3]).session_id
    rows = chat.server.sessions[session]
    append = chat.plan([*messages, HumanMessage("c")])
    chat.server.add(session, "tool")
    user = chat.server.add(session, "user", "c")
    assert verify(append, rows, user.id) is None
    assert "does not list" in str(verify(append, rows, "unknown"))
    foreign = chat.server.add(session, "user", "foreign")
    rows.remove(foreign)
    rows.insert(rows.index(user), foreign)
    assert f"follows row {foreign.id}" in str(verify(append, rows, user.id))
    for plan in (
        Fork(messages=(), calls={}, pointer=place(messages[1]), message_index=2, reason="moved"),
        Rewind(messages=(), calls={}, pointer=place(messages[1]), reason="moved"),
        Replay(messages=(), calls={}, reason="gone"),
        New(messages=(), calls={}),
    ):
        assert verify(plan, rows, user.id) is not None
    assert verify(New(messages=(), calls={}), rows, rows[0].id) is None
    assert verify(Append(messages=(), calls={}, pointer=place(messages[1]), after=""), rows, rows[0].id) is None


# Nothing is ever lost

WORDS = st.sampled_from(
    ["hm", "[User]", "[Assistant]", "> no", f"x\n{history.QUESTION}", "Assistant: x\n[Assistant]\n> y"]
)
OPERATIONS = st.sampled_from(
    [
        "go on",
        "go on",
        "go on",
        "two",
        "tools",
        "branch",
        "edit",
        "delete",
        "trim",
        "foreign",
        "summarise",
        "intrude",
        "reload",
    ]
)


class User:
    """Does to a conversation what users and their middleware do."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.visible: list[BaseMessage] = []
        self.old: list[list[BaseMessage]] = []
        self.written = 0

    def text(self) -> str:
        self.written += 1
        return f"m{self.written} {self.data.draw(WORDS)}"

    def some(self) -> int:
        return self.data.draw(st.integers(0, len(self.visible) - 1))

    def change(self, operation: str) -> None:
        if operation == "two":
            self.visible.append(HumanMessage(self.text()))
        if operation == "foreign":
            self.visible += [HumanMessage(self.text()), AIMessage(self.text())]
        if not self.visible:
            return
        match operation:
            case "branch":
                self.visible = list(self.data.draw(st.sampled_from([*self.old, self.visible])))
                answers = [i for i, m in enumerate(self.visible) if isinstance(m, AIMessage)]
                self.visible = self.visible[: self.data.draw(st.sampled_from(answers)) + 1 if answers else 0]
            case "edit":
                place_ = self.some()
                self.visible[place_] = self.visible[place_].model_copy(update={"content": self.text()})
            case "delete":
                del self.visible[self.some()]
            case "trim":
                self.visible = self.visible[self.some() :]
            case "summarise":
                self.visible = [HumanMessage(f"Summary {self.text()}"), *self.visible[self.some() :]]

    def ask(self) -> list[BaseMessage]:
        last = self.visible[-1] if self.visible else None
        if isinstance(last, AIMessage) and last.tool_calls:
            self.visible += [ToolMessage(self.text(), tool_call_id=str(c["id"])) for c in last.tool_calls]
        else:
            self.visible.append(HumanMessage(self.text()))
        return self.visible


@pytest.mark.parametrize("examples", [30, pytest.param(150, marks=pytest.mark.exhaustive)])
def test_nothing_is_ever_lost(examples: int):
    ways = st.sampled_from(["fork", "rewind", "replay"])
    property_of = given(st.data(), ways, st.booleans(), st.booleans(), st.integers(0, 1))
    settings(max_examples=examples)(property_of(nothing_is_lost))()


def nothing_is_lost(data: st.DataObject, way: OnDivergence, can_fork: bool, can_rewind: bool, tool_rows: int):
    chat = Chat(Server(), on_divergence=way, can_fork=can_fork, can_rewind=can_rewind, tool_rows=tool_rows)
    user = User(data)
    answers: dict[str, list[Said]] = {}
    for operation in data.draw(st.lists(OPERATIONS, min_size=1, max_size=14)):
        if operation == "intrude" and chat.server.sessions:  # Another process talks in one of the sessions.
            session = data.draw(st.sampled_from(sorted(chat.server.sessions)))
            answers[f"intruder {user.written}"] = [("ai", "intruder")]
            chat.server.add(session, "user", "intruder")
            chat.server.add(session, "assistant", f"intruder {user.written}")
        user.change(operation)
        messages = list(user.ask())
        before = chat.server.snapshot()
        reply = chat.turn(messages, user.text(), calls=2 if operation == "tools" else 0)
        answers[reply.text] = said(reply)
        user.visible = [*messages, reply]
        user.old.append(user.visible)

        session = place(reply).session_id
        assert held(chat.server.sessions[session], answers) == [s for m in user.visible for s in said(m)]
        after = chat.server.snapshot()
        plan = chat.plans[-1]
        for other, rows in before.items():
            lasting = len(rows)
            if isinstance(plan, Rewind) and other == session:
                assert way == "rewind"
                lasting = [row_id for row_id, _ in rows].index(plan.pointer.message_id) + 1
            assert after[other][:lasting] == rows[:lasting]
            assert other == session or after[other] == rows
        if operation == "reload":
            user.visible = [m.model_copy(deep=True) for m in user.visible]
