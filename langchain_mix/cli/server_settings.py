"""`langchain-mix auth`, `tools` and `preferences`: keys, tools and models that all sessions of a server share.

A key is read from the keyboard, from standard input or from an environment variable, never from an argument, which
other users of the machine can see. No command shows one.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_mix.cli.connection import JsonOption, YesOption, option, server_command
from langchain_mix.cli.failures import FAILED, report_error
from langchain_mix.cli.terminal import Column, confirm, output_console, show_table, visible, write_json
from langchain_mix.errors import MixConfigurationError, MixInputError, MixUnsupportedError

if TYPE_CHECKING:
    from langchain_mix.client import Mix
    from langchain_mix.protocol.models import (
        GetToolCredentialsStatusResponse,
        GetToolsStatusResponse,
        UserPreferencesResponse,
    )

auth_app = typer.Typer(no_args_is_help=True, help="Store keys of model providers on the server, and see which it has.")
tools_app = typer.Typer(no_args_is_help=True, help="See which tools the agent has, and which are ready.")
preferences_app = typer.Typer(no_args_is_help=True, help="See and set the models that all sessions of the server use.")

ProviderArgument = Annotated[
    str, typer.Argument(metavar="PROVIDER", help="Such as anthropic; `auth status` lists them.", show_default=False)
]


_TOKENS = "Tokens that its reply may have."


@server_command(auth_app, "status")
def auth_status(mix: Mix, *, json: JsonOption = False) -> None:
    """Show which model providers have a credential.

    For example: langchain-mix auth status --json
    """
    console = output_console()
    providers = mix.authentication.get_auth_status().providers
    if json:
        write_json(console, {name: one.model_dump(mode="json") for name, one in providers.items()})
        return
    rows = [
        (name, one.display_name, one.auth_method if one.authenticated else "missing")
        for name, one in sorted(providers.items())
    ]
    show_table(console, ("provider", "name", "credential"), rows)


@server_command(auth_app, "store", short_help="Store the API key of a provider.")
def store(
    mix: Mix,
    provider: ProviderArgument,
    *,
    key_env: Annotated[str | None, option("--key-env", "NAME", "Read the key from this environment variable.")] = None,
) -> None:
    """Store the API key of a provider on the server, for all its sessions.

    The key is typed without being shown, or read from standard input. The server checks its form, not whether it works.

    For example:

        langchain-mix auth store anthropic

        langchain-mix auth store anthropic --key-env ANTHROPIC_API_KEY
    """
    _has_credential(mix, provider)
    answer = mix.authentication.store_api_key(provider=provider, api_key=_key(provider, key_env))
    output_console().print(visible(answer.message) or "Stored.", markup=False, soft_wrap=True)


@server_command(auth_app, "delete")
def delete(mix: Mix, provider: ProviderArgument, *, yes: YesOption = False) -> None:
    """Delete the credential of a provider from the server.

    For example: langchain-mix auth delete anthropic --yes
    """
    if not _has_credential(mix, provider):
        report_error(MixInputError(f"The server has no credential of {provider}; nothing was deleted."))
        raise typer.Exit(FAILED)
    if not yes:
        confirm(f"Delete the credential of {visible(provider)}?")
    answer = mix.authentication.delete_credentials(provider=provider)
    output_console().print(visible(answer.message) or "Deleted.", markup=False, soft_wrap=True)


def _has_credential(mix: Mix, provider: str) -> bool:
    """True when the server has a credential of a model provider, or of a tool: both are kept in one place.

    Raises:
        Exit: The server lists no such provider; nothing was sent to it, and that is reported.
    """
    known = {name: one.authenticated for name, one in mix.authentication.get_auth_status().providers.items()}
    if provider not in known:  # The keys of tools are listed elsewhere.
        with suppress(MixUnsupportedError):
            tools = [tool for category in _tools_status(mix).categories.values() for tool in category.tools]
            known |= {tool.provider: tool.authenticated for tool in tools if tool.api_key_required}
    if provider not in known:
        hint = f"It has {', '.join(sorted(known))}." if known else "`langchain-mix doctor` shows what answers."
        report_error(MixInputError(f"The server has no provider {provider!r}; nothing was sent.", hint=hint))
        raise typer.Exit(FAILED)
    return known[provider]


def _key(provider: str, variable: str | None) -> str:
    if variable is not None:
        key = os.environ.get(variable, "")
        if not key:
            raise MixConfigurationError(f"The environment variable {variable} is not set.", hint="Set it to the key.")
        return key
    if sys.stdin.isatty():
        return str(typer.prompt(f"API key of {visible(provider)} (not shown)", hide_input=True)).strip()
    key = sys.stdin.readline().strip()
    if not key:
        raise MixInputError("Standard input has no key.", hint="Type it in a terminal, or use `--key-env NAME`.")
    return key


@server_command(tools_app, "list", short_help="List the agent's tools (since API 0.7).")
def list_tools(mix: Mix, *, json: JsonOption = False) -> None:
    """List the agent's tools with their descriptions. Servers have the list since API 0.7.

    For example: langchain-mix tools list --json | jq -r '.[].name'
    """
    console = output_console()
    tools = mix.tools.list_llm_tools().tools
    if json:
        write_json(console, [one.model_dump(mode="json") for one in tools])
    else:
        columns = ("tool", Column("description", fit="wrap"))
        show_table(console, columns, [(one.name, one.description) for one in tools])


@server_command(tools_app, "status")
def tools_status(mix: Mix, *, json: JsonOption = False) -> None:
    """Show which tools that need a credential have one.

    For example: langchain-mix tools status
    """
    console = output_console()
    answer = _tools_status(mix)
    if json:
        write_json(console, answer.model_dump(mode="json"))
        return
    rows = [
        (category.display_name or name, tool.display_name or tool.provider, _state(tool))
        for name, category in answer.categories.items()
        for tool in category.tools
    ]
    show_table(console, ("category", "tool", "state"), rows)


def _tools_status(mix: Mix) -> GetToolCredentialsStatusResponse | GetToolsStatusResponse:
    """Reads the status where this generation of the server has it."""
    try:
        return mix.tools.get_tool_credentials_status()
    except MixUnsupportedError:
        return mix.tools.get_tools_status()


def _state(tool: object) -> str:
    if getattr(tool, "authenticated", False):
        return "ready"
    return "needs a key" if getattr(tool, "api_key_required", False) else "not ready"


@server_command(preferences_app, "show")
def show_preferences(
    mix: Mix,
    *,
    providers: Annotated[bool, typer.Option("--providers", help="List the models that can be chosen, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Show the preferences.

    For example: langchain-mix preferences show --providers
    """
    console = output_console()
    answer = mix.preferences.get_preferences()
    if json:
        write_json(console, answer.model_dump(mode="json"))
        return
    if answer.preferences is None:
        console.print("No preferences were ever set; the server decides.")
    else:
        _show(answer.preferences)
    if providers:
        rows = [
            (name, str(model))
            for name, one in sorted(answer.available_providers.items())
            for model in (one.models if isinstance(one.models, list) else [one.models])
        ]
        show_table(console, ("provider", "model"), rows)


@server_command(preferences_app, "set")
def set_preferences(
    mix: Mix,
    *,
    provider: Annotated[str | None, option("--provider", "NAME", "The provider that is preferred.")] = None,
    model: Annotated[str | None, option("--model", "NAME", "The model of sessions.")] = None,
    max_tokens: Annotated[int | None, option("--max-tokens", "N", _TOKENS, min=1)] = None,
    effort: Annotated[str | None, option("--effort", "NAME", "How hard it reasons: low, medium or high.")] = None,
    sub_model: Annotated[str | None, option("--sub-model", "NAME", "The model of sub-agents.")] = None,
    sub_max_tokens: Annotated[int | None, option("--sub-max-tokens", "N", _TOKENS, min=1)] = None,
    sub_effort: Annotated[str | None, option("--sub-effort", "NAME", "How hard it reasons.")] = None,
    json: JsonOption = False,
) -> None:
    """Set preferences, for all sessions of the server. What is not given stays.

    A new model resets its tokens and effort to defaults, unless they are given, too.

    For example:

        langchain-mix preferences set --model claude-sonnet-4-5
    """
    given = (provider, model, max_tokens, effort, sub_model, sub_max_tokens, sub_effort)
    if all(value is None for value in given):
        raise MixInputError("There is nothing to set.", hint="Give an option, such as `--model NAME`.")
    answer = mix.preferences.update_preferences(
        preferred_provider=provider,
        main_agent_model=model,
        main_agent_max_tokens=max_tokens,
        main_agent_reasoning_effort=effort,
        sub_agent_model=sub_model,
        sub_agent_max_tokens=sub_max_tokens,
        sub_agent_reasoning_effort=sub_effort,
    )
    _show(answer, json=json)


@server_command(preferences_app, "reset")
def reset_preferences(mix: Mix, *, yes: YesOption = False, json: JsonOption = False) -> None:
    """Set all preferences back to the server's defaults.

    For example: langchain-mix preferences reset --yes
    """
    if not yes:
        confirm("Reset the preferences of all sessions of this server?")
    _show(mix.preferences.reset_preferences(), json=json)


def _show(preferences: UserPreferencesResponse, *, json: bool = False) -> None:
    if json:
        write_json(output_console(), preferences.model_dump(mode="json"))
        return
    values = preferences.model_dump(mode="json", exclude_none=True, exclude={"created_at", "updated_at"})
    rows = [(name.replace("_", " "), str(value)) for name, value in values.items()]
    show_table(output_console(), ("preference", "value"), rows)
