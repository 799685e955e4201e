"""`langchain-mix auth`: the credentials of model providers that the server keeps.

A key is read from the keyboard, from standard input or from an environment variable, never from an argument, which
other users of the machine can see. No command shows one.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from langchain_mix.cli.connection import ApiOption, HeaderOption, JsonOption, ServerOption, connect
from langchain_mix.cli.failures import EXIT_CODES, reported_errors
from langchain_mix.cli.terminal import confirm, output_console, show_table, visible, write_json
from langchain_mix.errors import MixConfigurationError, MixInputError

auth_app = typer.Typer(no_args_is_help=True, help="Store keys of model providers on the server, and see which it has.")

ProviderArgument = Annotated[
    str, typer.Argument(metavar="PROVIDER", help="Such as anthropic; `auth status` lists them.", show_default=False)
]


@auth_app.command("status", epilog=EXIT_CODES)
def status(
    *, server: ServerOption = None, api: ApiOption = "auto", header: HeaderOption = None, json: JsonOption = False
) -> None:
    """Show which model providers have a credential.

    For example: langchain-mix auth status --json
    """
    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix:
        providers = mix.authentication.get_auth_status().providers
        if json:
            write_json(console, {name: one.model_dump(mode="json") for name, one in providers.items()})
            return
        rows = [
            (name, one.display_name, one.auth_method if one.authenticated else "missing")
            for name, one in sorted(providers.items())
        ]
        show_table(console, ("provider", "name", "credential"), rows)


@auth_app.command("store", epilog=EXIT_CODES, short_help="Store the API key of a provider.")
def store(
    provider: ProviderArgument,
    *,
    key_env: Annotated[
        str | None,
        typer.Option(
            "--key-env", metavar="NAME", help="Read the key from this environment variable.", show_default=False
        ),
    ] = None,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
) -> None:
    """Store the API key of a provider on the server, for all its sessions.

    The key is typed without being shown, or read from standard input. The server checks its form, not whether it works.

    For example:

        langchain-mix auth store anthropic

        langchain-mix auth store anthropic --key-env ANTHROPIC_API_KEY
    """
    with reported_errors():
        key = _key(provider, key_env)
        with connect(server, api=api, headers=header) as mix:
            answer = mix.authentication.store_api_key(provider=provider, api_key=key)
    output_console().print(visible(answer.message) or "Stored.", markup=False, soft_wrap=True)


@auth_app.command("delete", epilog=EXIT_CODES)
def delete(
    provider: ProviderArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
) -> None:
    """Delete the credential of a provider from the server.

    For example: langchain-mix auth delete anthropic --yes
    """
    with reported_errors(), connect(server, api=api, headers=header) as mix:
        if not yes:
            confirm(f"Delete the credential of {visible(provider)}?")
        answer = mix.authentication.delete_credentials(provider=provider)
    output_console().print(visible(answer.message) or "Deleted.", markup=False, soft_wrap=True)


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
