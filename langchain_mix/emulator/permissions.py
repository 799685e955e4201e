"""Prompts to the user that a tool waits for: permissions and notifications.

Owns: the open prompts, their events, their answers and their timeouts.
Refuses to know: which tools ask, and what they do with the answer.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from langchain_mix.emulator.agents.base import Ask
from langchain_mix.emulator.events import Event
from langchain_mix.emulator.state.serializers import filled
from langchain_mix.emulator.streams import EventBroker

T = TypeVar("T")
_DEFAULT_NOTICE_SECONDS: Final = 60
_LONGEST_NOTICE_SECONDS: Final = 300
_NOTICE_TYPES: Final = ("info", "warning", "error", "question")
_RESPONSE_TYPES: Final = ("acknowledge", "text", "choice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notification as the Notify tool raises it (Mix 0.8); it expires after `timeout` seconds."""

    kind: str
    title: str
    message: str
    response_type: str
    choices: tuple[str, ...]
    timeout: int

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> Notice:
        """Reads the arguments of the Notify tool; camelCase and snake_case keys are both taken.

        Raises:
            ValueError: They are no notification; the text says why.
        """
        plain = {key.replace("_", "").lower(): value for key, value in arguments.items()}
        kind = str(plain.get("notificationtype") or plain.get("type") or "info")
        response_type = str(plain.get("responsetype") or "acknowledge")
        choices = plain.get("choices") or ()
        timeout = plain.get("timeout") or _DEFAULT_NOTICE_SECONDS
        if kind not in _NOTICE_TYPES:
            raise ValueError(f"notification type must be one of: {', '.join(_NOTICE_TYPES)}")
        if response_type not in _RESPONSE_TYPES:
            raise ValueError(f"response type must be one of: {', '.join(_RESPONSE_TYPES)}")
        if not isinstance(choices, list | tuple) or (response_type == "choice" and not choices):
            raise ValueError("choices are required for response type choice")
        if not isinstance(timeout, int) or not 1 <= timeout <= _LONGEST_NOTICE_SECONDS:
            raise ValueError(f"timeout must be between 1 and {_LONGEST_NOTICE_SECONDS} seconds")
        return cls(
            kind=kind,
            title=str(plain.get("title") or ""),
            message=str(plain.get("message") or ""),
            response_type=response_type,
            choices=tuple(str(choice) for choice in choices),
            timeout=timeout,
        )


class Prompts:
    """The open prompts of a server."""

    def __init__(self, broker: EventBroker, *, permission_timeout: float) -> None:
        """Begins with none; a permission is denied after `permission_timeout` seconds."""
        self._broker = broker
        self._permission_timeout = permission_timeout
        self._permissions: dict[str, asyncio.Future[bool]] = {}
        self._notices: dict[str, asyncio.Future[dict[str, str]]] = {}

    async def ask_permission(self, session_id: str, tool: str, ask: Ask) -> bool:
        """Asks for permission on the session's own streams, a sub-agent's too, and on no others (Mix).

        Returns:
            The first answer; False if there is none in time.
        """
        payload = {
            "type": "permission",
            "id": str(uuid.uuid4()),
            "sessionId": session_id,
            "toolName": tool,
            "description": ask.description,
            "action": ask.action,
            "path": ask.path,
            "params": dict(ask.params),
        }
        answer = await self._ask(self._permissions, session_id, Event("permission", payload), self._permission_timeout)
        return bool(answer)

    async def notify(self, session_id: str, notice: Notice) -> dict[str, str] | None:
        """Shows a notification and returns the response, or None if there was none in time."""
        payload = {
            "type": "notification",
            "id": str(uuid.uuid4()),
            "sessionId": session_id,
            "notificationType": notice.kind,
            "title": notice.title,
            "message": notice.message,
            "responseType": notice.response_type,
            **filled(choices=list(notice.choices)),
            "timeout": notice.timeout,
            "createdAt": int(time.time() * 1000),
        }
        return await self._ask(self._notices, session_id, Event("notification", payload), notice.timeout)

    async def _ask(
        self, table: dict[str, asyncio.Future[T]], session_id: str, event: Event, seconds: float
    ) -> T | None:
        question = str(event.data["id"])
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        table[question] = future
        # Mix: written by a goroutine of its own, past the queue.
        self._broker.publish_directly(session_id, event)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return None
        finally:
            del table[question]

    def answer(self, question: str, *, granted: bool) -> None:
        """Answers a permission. Unknown and already answered ones are ignored, as the server does."""
        future = self._permissions.get(question)
        if future is not None and not future.done():
            future.set_result(granted)

    def respond(self, question: str, response: dict[str, str]) -> bool:
        """Responds to a notification; False if it was not open any more."""
        future = self._notices.get(question)
        if future is None or future.done():
            return False
        future.set_result(response)
        return True
