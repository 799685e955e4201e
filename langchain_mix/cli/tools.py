"""`langchain-mix tools`: the tools of the server's agent, and which of them are ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from langchain_mix.cli.connection import ApiOption, HeaderOption, JsonOption, ServerOption, connect
from langchain_mix.cli.failures import EXIT_CODES, reported_errors
from langchain_mix.cli.terminal import output_console, show_table, write_json
from langchain_mix.errors import MixUnsupportedError

if TYPE_CHECKING:
    from langchain_mix.client import Mix
    from langchain_mix.protocol.models import GetToolCredentialsStatusResponse, GetToolsStatusResponse

tools_app = typer.Typer(no_args_is_help=True, help="See which tools the agent has, and which are ready.")


@tools_app.command("list", epilog=EXIT_CODES, short_help="List the agent's tools (Mix 0.7 and later).")
def list_tools(
    *, server: ServerOption = None, api: ApiOption = "auto", header: HeaderOption = None, json: JsonOption = False
) -> None:
    """List the agent's tools with their descriptions (Mix 0.7 and later).

    For example: langchain-mix tools list --json | jq -r '.[].name'
    """
    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix:
        tools = mix.tools.list_llm_tools().tools
        if json:
            write_json(console, [one.model_dump(mode="json") for one in tools])
            return
        show_table(console, ("tool", "description"), [(one.name, one.description) for one in tools])


@tools_app.command("status", epilog=EXIT_CODES)
def status(
    *, server: ServerOption = None, api: ApiOption = "auto", header: HeaderOption = None, json: JsonOption = False
) -> None:
    """Show which tools that need a credential have one.

    For example: langchain-mix tools status
    """
    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix:
        answer = _status(mix)
        if json:
            write_json(console, answer.model_dump(mode="json"))
            return
        rows = [
            (category.display_name or name, tool.display_name or tool.provider, _state(tool))
            for name, category in answer.categories.items()
            for tool in category.tools
        ]
        show_table(console, ("category", "tool", "state"), rows)


def _status(mix: Mix) -> GetToolCredentialsStatusResponse | GetToolsStatusResponse:
    """Reads the status where this generation of the server has it."""
    try:
        return mix.tools.get_tool_credentials_status()
    except MixUnsupportedError:
        return mix.tools.get_tools_status()


def _state(tool: object) -> str:
    if getattr(tool, "authenticated", False):
        return "ready"
    return "needs a key" if getattr(tool, "api_key_required", False) else "not ready"
