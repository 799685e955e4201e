"""The base of all payloads: unknown fields are kept, null means absent."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


class Payload(BaseModel):
    """A JSON object of the Mix API whose wire keys are camelCase.

    Fields can be given by either name. Fields that this version does not know are kept and readable as attributes.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="allow",
        defer_build=True,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _read_null_as_absent(cls, value: Any) -> Any:
        # Mix is written in Go: an empty list or map may come as null where others omit it.
        if not isinstance(value, dict) or None not in value.values():
            return value
        own = {spelling for name, field in cls.model_fields.items() for spelling in (name, field.alias)}
        return {key: item for key, item in value.items() if item is not None or key not in own}

    def wire_keys(self) -> frozenset[str]:
        """Returns the keys that the server sent, as spelled on the wire; null ones do not count."""
        fields = type(self).model_fields
        return frozenset(
            (fields[name].alias or name) if name in fields else name  # Unknown keys are in the set as they came.
            for name in self.model_fields_set
        )


class SnakePayload(Payload):
    """A JSON object of the Mix API whose wire keys are snake_case: credentials, preferences, tools and the like."""

    model_config = ConfigDict(alias_generator=None)
