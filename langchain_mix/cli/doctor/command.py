"""The command `langchain-mix doctor` and its options.

Owns: what can be typed, the order of the checks, and the exit code. Refuses to know: the checks themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_mix.cli.connection import ApiOption, HeaderOption, JsonOption, ServerOption, connect
from langchain_mix.cli.failures import FAILED, reported_errors
from langchain_mix.cli.terminal import output_console, write_json
from langchain_mix.protocol.api import parse_api

if TYPE_CHECKING:
    from langchain_mix.cli.doctor.checks import Finding
    from langchain_mix.client import Mix


def doctor(
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session", help="Session whose stream is measured; the one it creates if not given.", show_default=False
        ),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for each answer.")] = 5.0,
    heartbeat: Annotated[
        float, typer.Option("--heartbeat", min=0.0, help="Seconds to wait for a heartbeat of the stream, such as 60.")
    ] = 0.0,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Create no session; whether one can be created is then not known.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Find out why it does not work: versions, server, generation, sessions, credentials, streaming, uploads.

    It creates a session with the default options and deletes it again; otherwise it only reads. Streaming is measured
    on that session: `connected` must come at once. With --heartbeat 60 it also finds proxies that cut or hold back
    quiet streams.

    For example:

        langchain-mix doctor

        langchain-mix doctor --server https://mix.example.com --heartbeat 60 --json
    """
    from langchain_mix.cli.doctor.checks import as_data, show
    from langchain_mix.protocol.retry import NO_RETRIES

    console = output_console()
    with reported_errors():
        parse_api(api)  # Before anything is sent.
        with connect(server, headers=header, retries=NO_RETRIES, timeout_ms=round(timeout * 1000)) as mix:
            findings = list(_examine(mix, api, session, read_only=read_only, timeout=timeout, heartbeat=heartbeat))
            if json:
                write_json(console, as_data(mix.server_url, findings))
            else:
                show(console, findings)
    if any(f.status == "problem" for f in findings):
        raise typer.Exit(FAILED)


def _examine(
    mix: Mix, api: str, session: str | None, *, read_only: bool, timeout: float, heartbeat: float
) -> Iterator[Finding]:
    from langchain_mix.cli.doctor import checks
    from langchain_mix.cli.doctor.checks import (
        Finding,
        check_stream,
    )
    from langchain_mix.cli.sessions.queries import find_session

    yield from checks.check_versions()
    yield checks.check_proxies(mix.server_url)
    reachable, health = checks.check_reachability(mix)
    yield reachable
    sessions = None
    if health is not None:
        identity, sessions = checks.check_identity(mix)
        yield identity
    if sessions is None:
        for name in ("session", "generation", "credentials", "tokens", "streaming", "uploads"):
            yield Finding(name, "skipped", "There is no Mix server to ask.")
        return
    if session is not None:
        session = find_session(mix, session)
    if read_only:
        created = Finding(
            "session", "skipped", "None was created (--read-only), so it is not known whether that works."
        )
        own = None
    else:
        created, own = checks.create_session(mix, api)
    try:
        generation, detected = checks.check_generation(mix, sessions, api, own)
        yield generation
        yield checks.check_credentials(mix, health.environment if health else None)
        yield checks.check_tokens(mix, detected)
        chosen = session or own or next((s.id for s in sessions), None)
        yield check_stream(mix, chosen, detected, patience=timeout, heartbeat=heartbeat, own=chosen == own)
        yield checks.check_uploads(mix, chosen)
    finally:
        if own is not None:
            created = checks.delete_session(mix, own, created)
    yield created
