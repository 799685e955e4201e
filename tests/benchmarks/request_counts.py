"""How many requests a turn takes, counted by the emulator.

Owns: the count. Refuses to know: how long they take.
"""

from __future__ import annotations

from langchain_core.messages import BaseMessage, HumanMessage

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.client import Mix
from langchain_mix.emulator import Script
from tests.benchmarks.measure import Figure

_TURN = ["GET /stream", "POST /messages", "GET /messages"]


def measure() -> list[Figure]:
    """Counts the requests of a turn, of a call of `ChatMix` that begins a session, and of one that goes on in it.

    Returns:
        The figures.
    """
    with MixEmulator("0.8", Script(*["Hello, world."] * 6)) as server, Mix(server_url=server.url, api="0.8") as mix:
        session_id = mix.sessions.create(title="count").id
        before = len(server.requests)
        mix.turn(session_id, "go").run()
        turn = _asked(server, before)
        model = ChatMix(server_url=server.url)
        model.invoke("go")
        before = len(server.requests)
        conversation: list[BaseMessage] = [HumanMessage("go")]
        conversation.append(model.invoke(conversation))
        call = _asked(server, before)
        before = len(server.requests)
        model.invoke([*conversation, HumanMessage("on")])
        continued = _asked(server, before)
        model.client.close()
    # More than the number is checked: another request in the place of one of these would be no better.
    others = len([asked for asked in turn if asked not in _TURN])
    return [
        Figure("of a turn", len(turn), "", most=3, note=", ".join(turn)),
        Figure("of a turn, other than stream, message and listing", others, "", most=0),
        Figure("of a call of ChatMix", len(call), "", most=4, note=", ".join(call)),
        Figure(
            "of a call of ChatMix that goes on in its session", len(continued), "", most=3, note=", ".join(continued)
        ),
    ]


def _asked(server: MixEmulator, before: int) -> list[str]:
    return [f"{r.method} /{r.path.rsplit('/', 1)[-1]}" for r in list(server.requests)[before:]]
