"""What the handlers of all routes work on.

Owns: the parts of one running server, and the few things several handlers do.
Refuses to know: routes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from langchain_mix.emulator.events import session_created
from langchain_mix.emulator.permissions import Prompts
from langchain_mix.emulator.runner import TurnRunner
from langchain_mix.emulator.state import ServerState
from langchain_mix.emulator.streams import EventBroker, StreamConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class AppContext:
    """The parts of a server.

    Attributes:
        state: What is stored.
        broker: The open streams.
        config: What all streams share.
        runner: The turns.
        prompts: The open permissions and notifications.
        limit: Seconds after which an answer that is not complete is cut (Q11).
        delete_wait: Seconds that deleting a session waits for its turns (Mix 0.8).
    """

    state: ServerState
    broker: EventBroker
    config: StreamConfig
    runner: TurnRunner
    prompts: Prompts
    limit: float
    delete_wait: float

    def broadcast_created(self, session_id: str) -> None:
        """Tells all streams of a new session."""
        facts = self.state.sessions.facts(session_id)
        self.broker.broadcast(session_created(facts.id, facts.title, facts.created_at))


def parameter(request: Request, name: str) -> str:
    """A decoded segment of the request's path."""
    value: str = request.path_params[name]
    return value


def base_url(request: Request) -> str:
    """What the server takes for its own address: the Host header (Q28)."""
    forwarded = request.headers.get("x-forwarded-proto", "").lower() == "https"
    return f"{'https' if forwarded else 'http'}://{request.headers.get('host', '')}"


def number(text: str | None, default: int, *, least: int) -> int:
    """A query parameter as number; the default if it is none, or too small."""
    try:
        value = int(text or "")
    except ValueError:
        return default
    return value if least <= value < 2**63 else default


def only(fields: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The entries whose key the generation knows."""
    return {key: value for key, value in fields.items() if key in known}
