"""Answers to permission requests.

Owns: the one meaning of their two forms. Refuses to know: the requests, which are events (`events.py`).
"""

from __future__ import annotations

from pydantic import model_validator

from langchain_mix.protocol.models.base import SnakePayload


class GrantPermissionResponse(SnakePayload):
    """The answer to a grant. It is the same for requests that are unknown, expired or already answered.

    Attributes:
        granted: Whether the server took the grant.
        id: The request.
        message: For people.
        status: `granted`.
    """

    granted: bool = False
    id: str = ""
    message: str = ""
    status: str = ""

    @model_validator(mode="after")
    def _agree(self) -> GrantPermissionResponse:
        # Mix documents {granted} and sends {id, message, status}.
        if "granted" not in self.model_fields_set:
            self.granted = self.status == "granted"
        elif self.granted and not self.status:
            self.status = "granted"
        return self


class DenyPermissionResponse(SnakePayload):
    """The answer to a denial. It is the same for requests that are unknown, expired or already answered.

    Attributes:
        denied: Whether the server took the denial.
        id: The request.
        message: For people.
        status: `denied`.
    """

    denied: bool = False
    id: str = ""
    message: str = ""
    status: str = ""

    @model_validator(mode="after")
    def _agree(self) -> DenyPermissionResponse:
        # Mix documents {denied} and sends {id, message, status}.
        if "denied" not in self.model_fields_set:
            self.denied = self.status == "denied"
        elif self.denied and not self.status:
            self.status = "denied"
        return self
