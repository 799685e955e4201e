"""Turns that a stream runs itself, one after the other (Mix 0.5).

Owns: what POST /stream/{id}/message may put on a stream, and what the stream makes of it.
Refuses to know: the bytes of the stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from langchain_mix.emulator.audience import OneStream
from langchain_mix.emulator.hub import Connection
from langchain_mix.emulator.routes_messages import announce_switch
from langchain_mix.emulator.service import Service
from langchain_mix.emulator.state import ApiError
from langchain_mix.emulator.strict import first_value
from langchain_mix.emulator.turns import Order
from langchain_mix.emulator.vocabulary import Event, failure

SHELL_REFUSED: Final = (
    "The emulator never executes commands. A Mix server of this generation would have run this text in a shell, "
    "without asking for permission."
)


@dataclass(frozen=True, slots=True)
class StreamTurns:
    """Runs the messages of one stream.

    Attributes:
        service: The server's parts.
    """

    service: Service

    async def attend(self, connection: Connection) -> None:
        """Takes message after message until the stream ends."""
        while True:
            content = await connection.inbound.get()
            connection.busy = True
            try:
                await self._message(connection, content)
            finally:
                connection.busy = False

    async def _message(self, connection: Connection, content: str) -> None:
        try:
            said = first_value(content.encode())
        except ApiError:
            said = None
        if not isinstance(said, dict):
            # Q13: the stream ends without a word.
            connection.end()
            return
        text = said.get("text")
        text = text if isinstance(text, str) else ""
        if not self.service.state.accepts_messages():
            connection.offer(failure(self.service.state.credentials.help_text(), kind="authentication_error"))
        elif text.startswith("/"):
            connection.offer(self._command(text))
        elif text.startswith("!"):
            # Q14: the server hands the rest to a shell.
            connection.offer(_completed(SHELL_REFUSED if text[1:].strip() else "No command specified"))
        else:
            await self._turn(connection, text, said)

    def _command(self, text: str) -> Event:
        try:
            answer = self.service.state.commands.run(text)
        except ApiError as error:
            return failure(f"Command execution failed: {error.message}")
        response = str(answer["assistantResponse"]) if answer is not None else ""
        announce_switch(self.service, response)
        return _completed(response)

    async def _turn(self, connection: Connection, text: str, said: dict[str, Any]) -> None:
        order = Order(session_id=connection.session_id, text=text, plan_mode=said.get("plan_mode") is True)
        try:
            running = self.service.runner.start(order, OneStream(connection))
        except ApiError:
            connection.offer(failure("Failed to start agent: sql: no rows in result set"))
            return
        await running.ended()


def _completed(content: str) -> Event:
    payload: dict[str, Any] = {"type": "complete"}
    if content:
        payload["content"] = content
    return Event("complete", payload | {"done": True})
