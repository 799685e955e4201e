"""`langchain-mix preferences`: which models the server's agents use, for all sessions of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from langchain_mix.cli.connection import ApiOption, HeaderOption, JsonOption, ServerOption, connect
from langchain_mix.cli.failures import EXIT_CODES, reported_errors
from langchain_mix.cli.terminal import confirm, output_console, show_table, write_json
from langchain_mix.errors import MixInputError

if TYPE_CHECKING:
    from rich.console import Console

    from langchain_mix.protocol.models import UserPreferencesResponse

preferences_app = typer.Typer(no_args_is_help=True, help="See and set the models that all sessions of the server use.")

_HIDDEN = ("created_at", "updated_at")


@preferences_app.command("show", epilog=EXIT_CODES)
def show(
    *,
    providers: Annotated[bool, typer.Option("--providers", help="List the models that can be chosen, too.")] = False,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    json: JsonOption = False,
) -> None:
    """Show the preferences.

    For example: langchain-mix preferences show --providers
    """
    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix:
        answer = mix.preferences.get_preferences()
        if json:
            write_json(console, answer.model_dump(mode="json"))
            return
        if answer.preferences is None:
            console.print("No preferences were ever set; the server decides.")
        else:
            _show(console, answer.preferences)
        if providers:
            rows = [
                (name, str(model))
                for name, one in sorted(answer.available_providers.items())
                for model in (one.models if isinstance(one.models, list) else [one.models])
            ]
            show_table(console, ("provider", "model"), rows)


@preferences_app.command("set", epilog=EXIT_CODES)
def set_preferences(
    *,
    provider: Annotated[
        str | None, typer.Option("--provider", help="The provider that is preferred.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model of sessions.", show_default=False)] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Tokens that its reply may have.", show_default=False)
    ] = None,
    effort: Annotated[
        str | None, typer.Option("--effort", help="How hard it reasons: low, medium or high.", show_default=False)
    ] = None,
    sub_model: Annotated[
        str | None, typer.Option("--sub-model", help="The model of sub-agents.", show_default=False)
    ] = None,
    sub_max_tokens: Annotated[
        int | None, typer.Option("--sub-max-tokens", min=1, help="Tokens that its reply may have.", show_default=False)
    ] = None,
    sub_effort: Annotated[
        str | None, typer.Option("--sub-effort", help="How hard it reasons.", show_default=False)
    ] = None,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    json: JsonOption = False,
) -> None:
    """Set preferences, for all sessions of the server. What is not given stays.

    A new model resets its tokens and effort to defaults, unless they are given, too.

    For example: langchain-mix preferences set --provider anthropic --model claude-sonnet-4-5
    """
    given = {
        "preferred_provider": provider,
        "main_agent_model": model,
        "main_agent_max_tokens": max_tokens,
        "main_agent_reasoning_effort": effort,
        "sub_agent_model": sub_model,
        "sub_agent_max_tokens": sub_max_tokens,
        "sub_agent_reasoning_effort": sub_effort,
    }
    console = output_console()
    with reported_errors():
        if all(value is None for value in given.values()):
            raise MixInputError("There is nothing to set.", hint="Give an option, such as `--model NAME`.")
        with connect(server, api=api, headers=header) as mix:
            answer = mix.preferences.update_preferences(
                preferred_provider=provider,
                main_agent_model=model,
                main_agent_max_tokens=max_tokens,
                main_agent_reasoning_effort=effort,
                sub_agent_model=sub_model,
                sub_agent_max_tokens=sub_max_tokens,
                sub_agent_reasoning_effort=sub_effort,
            )
        if json:
            write_json(console, answer.model_dump(mode="json"))
        else:
            _show(console, answer)


@preferences_app.command("reset", epilog=EXIT_CODES)
def reset(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    json: JsonOption = False,
) -> None:
    """Set all preferences back to the server's defaults.

    For example: langchain-mix preferences reset --yes
    """
    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix:
        if not yes:
            confirm("Reset the preferences of all sessions of this server?")
        answer = mix.preferences.reset_preferences()
        if json:
            write_json(console, answer.model_dump(mode="json"))
        else:
            _show(console, answer)


def _show(console: Console, preferences: UserPreferencesResponse) -> None:
    values = preferences.model_dump(mode="json", exclude_none=True, exclude=set(_HIDDEN))
    show_table(
        console, ("preference", "value"), [(name.replace("_", " "), str(value)) for name, value in values.items()]
    )
