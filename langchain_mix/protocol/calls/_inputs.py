"""Checks on arguments that every endpoint would refuse or misread, made before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic.alias_generators import to_snake

from langchain_mix.errors import MixInputError, MixUnsupportedError
from langchain_mix.protocol.api import ALL, CAPABILITIES, ApiKnowledge


def text(name: str, value: str) -> str:
    """Checks a text that may be empty.

    Args:
        name: What the user calls it.
        value: The text.

    Returns:
        The text.

    Raises:
        MixInputError: It cannot be sent as UTF-8.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MixInputError(f"`{name}` is no valid text: it has a lone surrogate.", hint="Decode it again.") from None
    return str(value)  # A member of a str-enum becomes its plain value.


def filled(name: str, value: str) -> str:
    """Checks a text that must not be empty.

    Args:
        name: What the user calls it.
        value: The text.

    Returns:
        The text.

    Raises:
        MixInputError: It is empty, or cannot be sent as UTF-8.
    """
    if not value:
        raise MixInputError(f"`{name}` is empty.", hint=f"Give `{name}` a value; the server refuses an empty one.")
    return text(name, value)


def one_of(name: str, value: str, allowed: type[StrEnum]) -> str:
    """Checks a choice that the server refuses unless it knows it.

    Args:
        name: What the user calls it.
        value: The choice.
        allowed: The str-enum of all choices.

    Returns:
        The choice as the wire spells it.

    Raises:
        MixInputError: The server knows no such choice.
    """
    choices = [str(choice) for choice in allowed]
    if value not in choices:
        raise MixInputError(f"`{name}` is {value!r}, which the server refuses.", hint=f"Use one of {choices}.")
    return str(value)


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Keeps the fields that the user gave: those that are not None."""
    return {key: value for key, value in fields.items() if value is not None}


def strict_body(
    detected: ApiKnowledge, accepts: Literal["session_fields", "message_fields"], fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Makes a body for an endpoint that refuses keys it does not know.

    Args:
        detected: The generations the server may be.
        accepts: The capability that lists the keys.
        fields: Wire keys and values; None ones were not given.

    Returns:
        The body: what was given and nothing else.

    Raises:
        MixUnsupportedError: No generation the server may be knows a key that was given.
    """
    body = given(fields)
    for key in body:
        able = [version for version in ALL if key in getattr(CAPABILITIES[version], accepts)]
        if detected.isdisjoint(able):
            here = ", ".join(version for version in ALL if version in detected)
            raise MixUnsupportedError(
                f"`{to_snake(key)}` does not exist on this Mix server (API {here}).",
                hint=f"It exists on API {', '.join(able)}.",
            )
    return body
