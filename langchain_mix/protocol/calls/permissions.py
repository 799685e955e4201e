"""Calls that answer the agent: permissions and notifications.

Owns: paths and rules of the answers. Refuses to know: policies, and the requests, which are events (`events.py`).
"""

from __future__ import annotations

from langchain_mix.protocol.api import ApiKnowledge, having, require
from langchain_mix.protocol.call import Call, nothing
from langchain_mix.protocol.calls._inputs import filled, given
from langchain_mix.protocol.calls._inputs import text as valid_text
from langchain_mix.protocol.calls._replies import reads
from langchain_mix.protocol.models.permissions import DenyPermissionResponse, GrantPermissionResponse


def grant_permission(permission_id: str) -> Call[GrantPermissionResponse]:
    """Lets a tool go on. The first answer counts, and the server denies by itself after 30 seconds.

    Args:
        permission_id: The request. The answer is the same for unknown and expired ones.

    Returns:
        The call.
    """
    return Call(
        method="POST",
        segments=("api", "permissions", permission_id, "grant"),
        decode=reads(GrantPermissionResponse),
        idempotent=True,
    )


def deny_permission(permission_id: str) -> Call[DenyPermissionResponse]:
    """Refuses a tool. The agent is told, and the turn goes on.

    Args:
        permission_id: The request. The answer is the same for unknown and expired ones.

    Returns:
        The call.
    """
    return Call(
        method="POST",
        segments=("api", "permissions", permission_id, "deny"),
        decode=reads(DenyPermissionResponse),
        idempotent=True,
    )


def respond_to_notification(
    detected: ApiKnowledge, notification_id: str, response_type: str, value: str | None = None
) -> Call[None]:
    """Answers a notification (Mix 0.8). A second answer, or one after its time, is a 404 of plain text.

    Args:
        detected: The generations the server may be.
        notification_id: The notification.
        response_type: See `RespondToNotificationType`; the server does not check it.
        value: The text or the choice.

    Returns:
        The call.

    Raises:
        MixInputError: The type is empty.
        MixUnsupportedError: No generation the server may be has notifications.
    """
    require(detected, "notifications", "Responding to a notification")
    return Call(
        method="POST",
        segments=("api", "notifications", notification_id, "respond"),
        body=given(
            {
                "type": filled("response_type", response_type),
                "value": None if value is None else valid_text("value", value),
            }
        ),
        decode=nothing,
        statuses=(204,),
        shows=lambda _: having("notifications"),
    )
