"""Checks of the server. All read only, except for a session that is created and deleted again.

Owns: what is asked, and what the answers mean for somebody who wants to use the server.
Refuses to know: event streams (`stream_check.py`) and this machine (`environment.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from langchain_mix.cli.doctor.findings import Finding
from langchain_mix.cli.failures import words_of
from langchain_mix.errors import (
    MixError,
    MixNetworkError,
    MixNotFoundError,
    MixResponseError,
    MixUnsupportedError,
)
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.api import ALL, UNKNOWN, ApiKnowledge, ServerApi, having, parse_api
from langchain_mix.protocol.call import ask
from langchain_mix.protocol.models import HealthCheckResponse, SessionData

if TYPE_CHECKING:
    from langchain_mix.client import Mix

T = TypeVar("T")

_SESSION: Final = "session"
_TITLE: Final = "langchain-mix check"  # Mix 0.8 cuts titles at 20 characters.
_SLOW_MS: Final = 1_000
_EXPIRED: Final = frozenset({"expired", "expired_no_refresh", "error"})


def check_reachability(mix: Mix) -> tuple[Finding, HealthCheckResponse | None]:
    """Asks for the server's health, and measures how long the answer takes.

    Returns:
        The finding, and what the server says of itself, or None if no Mix server answers.
    """
    try:
        health, took = timed(mix.system.get_health)
    except MixNetworkError as error:
        return Finding("reachable", "problem", error.message, error.hint), None
    except MixResponseError as error:
        hint = error.hint or "Check the URL, also its path, and what answers there."
        return Finding(
            "reachable", "problem", f"{mix.server_url} answers, but not as a Mix server: {error}", hint
        ), None
    said = f"{mix.server_url} answers in {took:.0f} ms, status {health.status or 'unknown'}"
    said += f", server version {health.version}." if health.version else "."
    if health.status != "ok":
        return Finding("reachable", "problem", said, "Look at the server's own log.", took), health
    if took > _SLOW_MS:
        hint = "That is slow; each step of a conversation waits for it."
        return Finding("reachable", "note", said, hint, took), health
    return Finding("reachable", "ok", said, milliseconds=took), health


def check_identity(mix: Mix) -> tuple[Finding, list[SessionData] | None]:
    """Lists the sessions, as only a Mix server does; the list shows more of it.

    Returns:
        The finding, and the sessions, or None if this is no Mix server.
    """
    try:
        sessions, took = timed(mix.sessions.list)
    except MixError as error:
        return Finding("mix server", "problem", f"Sessions cannot be listed: {error}", "Is this a Mix server?"), None
    count = f"{len(sessions)} session{'' if len(sessions) == 1 else 's'}"
    return Finding("mix server", "ok", f"It lists {count} in {took:.0f} ms.", milliseconds=took), sessions


def check_generation(
    mix: Mix, sessions: Sequence[SessionData], said: str, own: str | None = None
) -> tuple[Finding, ApiKnowledge]:
    """Finds out which API generation the server speaks, by reading alone.

    Args:
        mix: A client that was told nothing of the generation.
        sessions: The server's sessions.
        said: What the user says it is, or `auto`.
        own: A session that was created since, if any.

    Returns:
        The finding, and the generations it may be.
    """
    detected, evidence = _evidence(mix, own or next((s.id for s in sessions), None))
    named = sorted(detected, key=ALL.index)
    names = " or ".join(named)
    because = f"API {names}, because {', '.join(evidence)}." if evidence else "Nothing tells the generation."
    claimed = parse_api(said)
    if claimed is not None and claimed not in detected:
        return Finding(
            "generation", "problem", f"You say API {claimed}. It is {because}", "Leave `--api` (and `api=`) out."
        ), detected
    if len(detected) == 1 or claimed is not None:
        return Finding("generation", "ok", because), detected
    hint = f"Clients learn it as they go. `api=` saves them the asking: one of {', '.join(named)}."
    return Finding("generation", "note", because, hint), detected


def _evidence(mix: Mix, session_id: str | None) -> tuple[ApiKnowledge, list[str]]:
    detected, evidence = mix.known, []
    if detected != UNKNOWN:
        evidence.append("its sessions have the keys of it")
    for feature, question, what in (
        ("llm_tools", mix.tools.list_llm_tools, "the list of tools"),
        ("tools_status", mix.tools.get_tools_status, "the status of tools"),
        ("oauth_health", mix.health.get_o_auth_health, "the health of OAuth tokens"),
        ("preferences", mix.preferences.get_preferences, "preferences"),
    ):
        found = _offers(question) if detected.supports(feature) is None else None
        if found is not None:
            detected = detected.narrow(having(feature, value=found))
            evidence.append(f"it {'has' if found else 'lacks'} {what}")
    if detected.supports("stream_write") is None and session_id:
        try:
            written = mix.run(ask(calls.probe_stream_write(session_id)))
        except MixError:
            return detected, evidence
        if written is None:
            return detected, evidence
        detected = detected.narrow(having("stream_write", value=written))
        evidence.append(f"its streams {'take' if written else 'do not take'} messages")
    return detected, evidence


def _offers(question: Callable[[], object]) -> bool | None:
    """Whether the server has an operation, or None if that cannot be told."""
    try:
        question()
    except MixUnsupportedError:
        return False
    except MixError:
        return None
    return True


def create_session(mix: Mix, said: str) -> tuple[Finding, str | None]:
    """Creates a session as `Mix()` and `ChatMix()` do by default. It has to be deleted with `delete_session`.

    Args:
        mix: The client.
        said: What the user says the generation is, or `auto`.

    Returns:
        The finding, and the session's id, or None if there is none.
    """
    claimed = parse_api(said)
    server_api = mix.server_api if claimed is None else ServerApi(ApiKnowledge([claimed]))
    flow = flows.create_session(server_api, title=_TITLE)
    try:
        session, took = timed(lambda: mix.run(flow))
    except MixError as error:
        problem = f"None can be created with the default options, so no conversation can begin: {error.message}"
        if error.acted != "no":
            problem += f" It may be there all the same, with the title {_TITLE!r}."
        return Finding(_SESSION, "problem", problem, error.hint or "Look at the server's own log."), None
    said = f"One was created with the default options in {took:.0f} ms"
    return Finding(_SESSION, "ok", said, milliseconds=took), session.id


def delete_session(mix: Mix, session_id: str, created: Finding) -> Finding:
    """Deletes the session that `create_session` made, and completes its finding."""
    try:
        mix.sessions.delete(id=session_id)
    except MixError as error:
        problem = f"{created.detail}, but it could not be deleted: {error.message}"
        return Finding(_SESSION, "problem", problem, f"Delete it: `langchain-mix sessions delete {session_id}`.")
    return replace(created, detail=f"{created.detail} and deleted again.")


def check_credentials(mix: Mix, environment: str | None) -> Finding:
    """Asks which model providers have a credential at the server. No credential is ever part of the answer.

    Args:
        mix: The client.
        environment: Where the server says it runs. The server in the box needs no credential.

    Returns:
        The finding.
    """
    try:
        providers = mix.authentication.get_auth_status().providers
        preferred = mix.authentication.validate_preferred_provider()
    except MixError as error:
        return Finding("credentials", "problem", f"They cannot be asked for: {error}")
    names = [p.display_name or key for key, p in providers.items() if p.authenticated]
    if not names and environment == "emulator":
        return Finding("credentials", "note", "There is none; the server in the box needs none.")
    if not names:
        hint = "Store one: `Mix(...).authentication.store_api_key(provider=..., api_key=...)`, or log in at the server."
        return Finding("credentials", "problem", "No model provider has one, so no agent can answer.", hint)
    if preferred.provider and not preferred.valid:
        said = f"The preferred provider, {preferred.provider}, has none; {', '.join(names)} has."
        return Finding("credentials", "problem", said, "Store one for it, or prefer another provider.")
    return Finding("credentials", "ok", f"Present for {', '.join(names)}.")


def check_tokens(mix: Mix, detected: ApiKnowledge) -> Finding:
    """Asks whether OAuth tokens of providers have expired (Mix 0.6.5 and later)."""
    if detected.supports("oauth_health") is False:
        return Finding("tokens", "skipped", "This generation does not tell about OAuth tokens.")
    try:
        health = mix.health.get_o_auth_health()
    except MixUnsupportedError:
        return Finding("tokens", "skipped", "This server does not tell about OAuth tokens.")
    except MixError as error:
        return Finding("tokens", "problem", f"They cannot be asked for: {error}")
    bad = [f"{key}: {p.status}" for key, p in health.providers.items() if p.status in _EXPIRED]
    if bad:
        return Finding("tokens", "problem", f"OAuth tokens do not work: {', '.join(bad)}.", "Log in again.")
    return Finding("tokens", "ok", "No OAuth token has expired.")


def check_uploads(mix: Mix, session_id: str | None) -> Finding:
    """Lists the uploaded files, by way of a session."""
    if session_id is None:
        return Finding("uploads", "skipped", "There is no session through which files could be listed.")
    try:
        files, took = timed(lambda: mix.files.list_session_files(id=session_id))
    except MixNotFoundError as error:
        return Finding("uploads", "problem", words_of(error), "Was the session deleted?")
    except MixError as error:
        return Finding("uploads", "problem", f"Files cannot be listed: {error}")
    count = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    return Finding("uploads", "ok", f"{count} listed in {took:.0f} ms.", milliseconds=took)


def timed(question: Callable[[], T]) -> tuple[T, float]:
    """Does something, and tells how many milliseconds it took."""
    started = time.perf_counter()
    return question(), (time.perf_counter() - started) * 1000
