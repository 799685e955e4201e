"""Pointers to the position of a message in a session.

Owns: the pointer that travels in a message's `response_metadata["mix"]`, so that LangGraph's state, any store and any
user code carry it for free. Refuses to know: who writes it and what is done with it.

A pointer is a claim and no key: it is plain data, and anybody who hands messages to an application can write one that
names any session of the server. Its digest shows that the messages before it were not changed, not that the session
holds them. `ChatMix` therefore goes on in a session, copies or rewinds it only if this process left it with just these
messages, or if the words of all its rows up to the pointer's are those of the messages given
(`chat_models/agreement.py`); anything else becomes the beginning of a session of its own. What a pointer opens is thus
what its sender knows already. `MixSaver` checks in the same way before it copies, takes back or deletes a session for a
thread (`checkpoint/thread_ops.py`). A session that the application names itself (`session_id`) is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

KEY = "mix"
"""The key in `response_metadata`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """A place in a session: a claim, which is checked against the session's rows before it is followed.

    Attributes:
        server: The server's base URL.
        session_id: The session.
        message_id: The assistant row that the message is.
        user_message_id: The row of the user's message before it; empty if unknown.
        row_count: Rows in the session up to and with this message; a fork at this index copies them. -1 if unknown.
        digest: Hash of the conversation up to and with this message; empty if it was not taken.
        model: The model that the session was given; empty if it was given none.
        setup: Hash of the setup text (system prompt, client tools, response format) that the session was given last, by
            its own prompt, which never changes, or in a message; empty for none.
    """

    server: str
    session_id: str
    message_id: str = ""
    user_message_id: str = ""
    row_count: int = -1
    digest: str = ""
    setup: str = ""
    model: str = ""

    def as_metadata(self) -> dict[str, Any]:
        """Returns the pointer as plain data."""
        return asdict(self)


def read_pointer(response_metadata: Mapping[str, Any]) -> Pointer | None:
    """Reads the pointer of a message.

    Args:
        response_metadata: Of the message.

    Returns:
        The pointer, or None if there is none that can be read.
    """
    found = response_metadata.get(KEY)
    if not isinstance(found, Mapping) or not found.get("session_id"):
        return None
    try:
        return Pointer(
            server=str(found.get("server", "")),
            session_id=str(found["session_id"]),
            message_id=str(found.get("message_id", "")),
            user_message_id=str(found.get("user_message_id", "")),
            row_count=int(found.get("row_count", -1)),
            digest=str(found.get("digest", "")),
            setup=str(found.get("setup", "")),
            model=str(found.get("model", "")),
        )
    except (TypeError, ValueError):
        return None
