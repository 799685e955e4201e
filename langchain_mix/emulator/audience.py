"""Who hears the events of a turn.

Owns: the three ways a turn is heard: by a session's streams, by the one stream that runs it, by nobody.
Refuses to know: what the events mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from langchain_mix.emulator.hub import Connection, Hub, give_way
from langchain_mix.emulator.vocabulary import Event


class Audience(Protocol):
    """Whoever hears a turn."""

    @property
    def errors_twice(self) -> bool:
        """Whether the handler that started the turn reports its failure once more (Q1)."""
        ...

    async def tell(self, event: Event) -> None:
        """Sends an event of the agent, and lets the streams write it."""
        ...

    async def tell_once(self, event: Event) -> None:
        """Sends an event of the handler that started the turn."""
        ...


@dataclass(frozen=True, slots=True)
class SessionStreams:
    """All streams of a session (Mix 0.6).

    Attributes:
        hub: The streams.
        session_id: Whose they are; a sub-agent's turns are heard on its parent's.
        forwarders: How many turns of the session forward its events: each of them forwards all (Q9).
        errors_twice: Whether failures are reported twice.
    """

    hub: Hub
    session_id: str
    forwarders: Callable[[], int]
    errors_twice: bool

    async def tell(self, event: Event) -> None:
        """Sends an event as often as turns forward it."""
        for _ in range(max(1, self.forwarders())):
            self.hub.publish(self.session_id, event)
        await give_way()

    async def tell_once(self, event: Event) -> None:
        """Sends an event."""
        self.hub.publish(self.session_id, event)
        await give_way()


@dataclass(frozen=True, slots=True)
class OneStream:
    """The stream that runs the turn itself (Mix 0.5). Nothing is dropped: turn and stream share one loop."""

    connection: Connection
    errors_twice: bool = False

    async def tell(self, event: Event) -> None:
        """Sends an event."""
        self.connection.offer(event)
        await give_way()

    async def tell_once(self, event: Event) -> None:
        """Sends an event."""
        await self.tell(event)


@dataclass(frozen=True, slots=True)
class Nobody:
    """Turns of Mix 0.5 that POST messages started are not streamed."""

    errors_twice: bool = False

    async def tell(self, event: Event) -> None:  # noqa: ARG002  As all audiences.
        """Lets the event vanish."""
        await give_way()

    async def tell_once(self, event: Event) -> None:
        """Lets the event vanish."""
