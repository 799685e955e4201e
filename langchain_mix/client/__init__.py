"""A complete client of the Mix server, synchronous and asynchronous. Each name is imported when it is first used."""

# ruff: noqa: F403  # For type checkers; at run time `__getattr__` finds the names.

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_mix.client._async import AsyncEventStream as AsyncEventStream
    from langchain_mix.client._async_turn import AsyncTurnStream as AsyncTurnStream
    from langchain_mix.client._config import RequestOptions as RequestOptions
    from langchain_mix.client._sync import EventStream as EventStream
    from langchain_mix.client._sync_turn import TurnStream as TurnStream
    from langchain_mix.client._turn_calls import NotificationPolicy as NotificationPolicy
    from langchain_mix.client._turn_calls import PermissionPolicy as PermissionPolicy
    from langchain_mix.client.basesdk import BaseSDK as BaseSDK
    from langchain_mix.client.errors import *
    from langchain_mix.client.helpers import StreamEvent as StreamEvent
    from langchain_mix.client.helpers import StreamingSession as StreamingSession
    from langchain_mix.client.helpers import query as query
    from langchain_mix.client.helpers import send_with_callbacks as send_with_callbacks
    from langchain_mix.client.httpclient import AsyncHttpClient as AsyncHttpClient
    from langchain_mix.client.httpclient import HttpClient as HttpClient
    from langchain_mix.client.httpclient import close_clients as close_clients
    from langchain_mix.client.mix import Mix as Mix
    from langchain_mix.client.models import *
    from langchain_mix.client.sdkconfiguration import SERVERS as SERVERS
    from langchain_mix.client.sdkconfiguration import SDKConfiguration as SDKConfiguration
    from langchain_mix.client.tool_models import *
    from langchain_mix.client.types import UNSET as UNSET
    from langchain_mix.client.types import Knowledge as Knowledge
    from langchain_mix.client.types import OptionalNullable as OptionalNullable
    from langchain_mix.client.updates import *
    from langchain_mix.client.utils import BackoffStrategy as BackoffStrategy
    from langchain_mix.client.utils import Logger as Logger
    from langchain_mix.client.utils import RetryConfig as RetryConfig
    from langchain_mix.client.utils import get_default_logger as get_default_logger
    from langchain_mix.client.utils import parse_datetime as parse_datetime
    from langchain_mix.protocol.api import ApiVersion as ApiVersion

_MODULES = {
    ".protocol.api": "ApiVersion",
    "_async": "AsyncEventStream",
    "_async_turn": "AsyncTurnStream",
    "_config": "RequestOptions",
    "_sync": "EventStream",
    "_sync_turn": "TurnStream",
    "_turn_calls": "NotificationPolicy PermissionPolicy",
    "basesdk": "BaseSDK",
    "helpers": "StreamEvent StreamingSession query send_with_callbacks",
    "httpclient": "AsyncHttpClient HttpClient close_clients",
    "mix": "Mix",
    "models": "CreateSessionBrowserMode ExportSessionResponse SSEEventStream SSEToolUseParameterDeltaEventData",
    "sdkconfiguration": "SDKConfiguration SERVERS",
    "tool_models": "same_tool",
    "types": "Knowledge OptionalNullable UNSET",
    "utils": "BackoffStrategy Logger RetryConfig get_default_logger parse_datetime",
}
"""The names of modules that do not export all of theirs here."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

_LISTS = ("errors", "models", "tool_models", "updates")
"""The modules that export all their names here, in the order in which they are searched: the cheapest comes first."""


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    value = _public_names() if name == "__all__" else _find(name)
    globals()[name] = value
    return value


def _find(name: str) -> Any:
    if name in _HOMES:
        return getattr(_module(_HOMES[name]), name)
    # No name of these looks like that of a module, which Python looks for here too.
    for module in map(_module, _LISTS if name[:1].isupper() else ()):
        if name in module.__all__:
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _module(name: str) -> Any:
    return import_module(f".{name}", __name__)


def _public_names() -> list[str]:
    # Names that only the official client has can be imported too, but a star does not import them.
    models = set(_module("models").__all__) - set(_module("_official_models").__all__)
    others = {name for module in _LISTS if module != "models" for name in _module(module).__all__}
    return sorted({*_HOMES, *models, *others})


def __dir__() -> list[str]:
    """Returns the public names, imported or not."""
    return sorted({*globals(), *_public_names()})
