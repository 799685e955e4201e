"""Everything around sessions: credentials, preferences, tools, commands, MCP, health.

Owns: their routes. Refuses to know: what they answer (`state/`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from langchain_mix.emulator.app import AppContext
from langchain_mix.emulator.go_http import Handler, Route, json_reply, lenient_object
from langchain_mix.protocol.api import ApiVersion

_DOC: Final = (
    "<!doctype html><title>Mix API</title><p>This is the emulator of a Mix server. "
    'The API is described at the <a href="https://github.com/recreate-run/mix">Mix project</a>.'
)


@dataclass(frozen=True, slots=True)
class SystemRoutes:
    """The handlers of everything else."""

    context: AppContext

    def routes(self) -> list[Route]:
        """Those that the generation has."""
        state = self.context.state
        caps = state.caps
        routes = [
            Route("GET", "/health", _shows(state.catalogue.health)),
            Route("GET", "/api/system/info", _shows(state.catalogue.system_info)),
            Route("GET", "/api/mcp", _shows(state.commands.mcp)),
            Route("GET", "/api/commands", _shows(state.commands.listing)),
            Route("GET", "/api/commands/{name}", _does(state.commands.get, "name")),
            Route("POST", "/api/auth/api-key", _takes(state.credentials.store_api_key)),
            Route("GET", "/api/auth/status", _shows(state.credentials.status)),
            Route("GET", "/api/auth/validate", _shows(state.credentials.validate_preferred)),
            Route("POST", "/api/auth/oauth-callback", _takes(state.credentials.finish_oauth)),
            Route("POST", "/api/auth/oauth/{provider}", _does(state.credentials.start_oauth, "provider")),
            Route("DELETE", "/api/auth/{provider}", _does(state.credentials.delete, "provider")),
        ]
        if caps.oauth_health:
            routes.append(Route("GET", "/health/auth", _shows(state.credentials.health)))
            routes.append(Route("POST", "/internal/auth/refresh-tokens", _shows(state.credentials.refresh)))
        if caps.tools_status:
            routes.append(Route("GET", "/api/tools/status", _shows(state.catalogue.tools_status)))
        if caps.llm_tools:
            routes.append(Route("GET", "/api/tools", _shows(state.catalogue.llm_tools)))
            routes.append(Route("GET", "/api/tools/credentials-status", _shows(state.catalogue.credentials_status)))
        if caps.preferences:
            routes.append(Route("GET", "/api/preferences", _shows(state.preferences.get)))
            routes.append(Route("POST", "/api/preferences", _takes(state.preferences.update)))
            routes.append(Route("POST", "/api/preferences/reset", _shows(state.preferences.reset)))
            routes.append(Route("GET", "/api/preferences/providers", _shows(state.preferences.providers)))
        if state.api in {ApiVersion.V0_8, ApiVersion.NEXT}:
            # Mix: on the server, in no specification.
            routes.append(Route("GET", "/doc", _doc))
            routes.append(Route("GET", "/api/v1/tunnel/active", _shows(_no_tunnels)))
        return routes


def _shows(read: Callable[[], Any]) -> Handler:
    """A handler that answers with what a function gives."""

    async def handler(_: Request) -> Response:
        return json_reply(read())

    return handler


def _takes(act: Callable[[dict[str, Any]], Any]) -> Handler:
    """A handler that hands a body of any keys to a function."""

    async def handler(request: Request) -> Response:
        return json_reply(act(lenient_object(await request.body())))

    return handler


def _does(act: Callable[[str], Any], name: str) -> Handler:
    """A handler that hands a segment of the path to a function."""

    async def handler(request: Request) -> Response:
        return json_reply(act(request.path_params[name]))

    return handler


async def _doc(_: Request) -> Response:
    return Response(_DOC.encode(), media_type="text/html; charset=utf-8")


def _no_tunnels() -> dict[str, Any]:
    return {"active_tunnels": [], "count": 0}
