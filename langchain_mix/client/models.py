"""The models of requests, replies and events, where the documentation of Mix has them."""

from __future__ import annotations

from typing import TypeAlias

from langchain_mix.client import _official_models
from langchain_mix.client._async import AsyncEventStream
from langchain_mix.client._official_models import *  # noqa: F403
from langchain_mix.client._sync import EventStream
from langchain_mix.client.files import File
from langchain_mix.protocol import events as _events
from langchain_mix.protocol import models as _models
from langchain_mix.protocol.events import *  # noqa: F403
from langchain_mix.protocol.models import *  # noqa: F403
from langchain_mix.protocol.tool_calls import CoreToolName

__all__ = ["CoreToolName", "File", "StreamEventsResponse", "ToolName"]
__all__ += _events.__all__
__all__ += _models.__all__
__all__ += _official_models.__all__

StreamEventsResponse: TypeAlias = EventStream | AsyncEventStream
"""The official client's name for an open stream."""

ToolName: TypeAlias = CoreToolName | str
"""The name of a tool, of the server's own or of an MCP server."""
