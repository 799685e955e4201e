"""The checks of `langchain-mix doctor`: this machine, the server, and its event streams.

All of them only read, except for a session that is created and deleted again.
"""

from __future__ import annotations

import platform
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from rich.console import Console
from rich.table import Table
from rich.text import Text

from langchain_mix._version import __version__
from langchain_mix.cli.sessions import find_session
from langchain_mix.cli.terminal import counted, visible
from langchain_mix.errors import (
    MixError,
    MixNetworkError,
    MixNotFoundError,
    MixResponseError,
    MixStreamError,
    MixUnsupportedError,
)
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.api import ALL, UNKNOWN, ApiKnowledge, ServerApi, having, parse_api
from langchain_mix.protocol.call import ask
from langchain_mix.protocol.events import Event, SSEConnectedEvent, SSEErrorEvent, SSEHeartbeatEvent
from langchain_mix.protocol.models import HealthCheckResponse, SessionData

if TYPE_CHECKING:
    from langchain_mix.client import Mix

Status = Literal["ok", "note", "skipped", "problem"]

_MARK_CHARS: Final = 7
_CHECK_CHARS: Final = 11
_MARKS: Final[dict[Status, tuple[str, str]]] = {
    "ok": ("ok", "green"),
    "note": ("note", "cyan"),
    "skipped": ("skipped", "dim"),
    "problem": ("PROBLEM", "bold red"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: Its name, stable: programs may look for it.
        status: `problem` is what keeps something from working; a `note` is worth knowing.
        detail: What was found, in a sentence.
        hint: What to do about it; empty if there is nothing to do.
        milliseconds: How long what was measured took, or None if nothing was.
    """

    check: str
    status: Status
    detail: str
    hint: str = ""
    milliseconds: float | None = None


def show(console: Console, findings: Sequence[Finding]) -> None:
    """Shows findings to people, each hint once, and how many problems there are."""
    hinted = {""}
    for one in findings:
        mark, style = _MARKS[one.status]
        _print(console, Text(f"{mark:>7}", style=style), Text(one.check, style="bold"), Text(visible(one.detail)))
        if one.hint not in hinted:
            hint = Text(f"-> {visible(one.hint)}", style="yellow" if one.status == "problem" else "dim")
            _print(console, Text(), Text(), hint)
            hinted.add(one.hint)
    problems = sum(f.status == "problem" for f in findings)
    skipped = sum(f.status == "skipped" for f in findings)
    words = f"\n{counted(problems, 'problem')}" if problems else "\nNo problem found"
    style = "bold red" if problems else "bold green"
    console.print(Text(words, style=style).append(f" ({skipped} skipped)." if skipped else ".", style="none"))


def _print(console: Console, mark: Text, check: Text, said: Text) -> None:
    """Prints a line in three columns. What is said is wrapped in its own; a pipe gets it on one line."""
    if not console.is_terminal:
        mark.pad_right(_MARK_CHARS - len(mark))
        check.pad_right(_CHECK_CHARS - len(check))
        console.print(Text("  ").join([mark, check, said]), soft_wrap=True)
        return
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(width=_MARK_CHARS)
    line.add_column(width=_CHECK_CHARS)
    line.add_row(mark, check, said)
    console.print(line)


def as_data(server: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """Findings as data: `ok` is false if there is a problem."""
    return {
        "ok": all(f.status != "problem" for f in findings),
        "server": server,
        "checks": [asdict(f) for f in findings],
    }


def examine(
    mix: Mix, api: str, session: str | None, *, read_only: bool, timeout: float, heartbeat: float
) -> Iterator[Finding]:
    """Runs all checks in their order; without a Mix server, those that need none.

    `mix` has no given generation. A `session` given by the user is measured instead of the one that is created.
    """
    yield from check_versions()
    yield check_proxies(mix.server_url)
    reachable, health = check_reachability(mix)
    yield reachable
    sessions = None
    if health is not None:
        identity, sessions = check_identity(mix)
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
        created, own = create_session(mix, api)
    try:
        generation, detected = check_generation(mix, sessions, api, own)
        yield generation
        yield check_credentials(mix, health.environment if health else None)
        yield check_tokens(mix, detected)
        chosen = session or own or next((s.id for s in sessions), None)
        yield check_stream(mix, chosen, detected, patience=timeout, heartbeat=heartbeat, own=chosen == own)
        yield check_uploads(mix, chosen)
    finally:
        if own is not None:
            created = delete_session(mix, own, created)
    yield created


_SHOWN = ("langchain-core", "langgraph", "httpx", "pydantic")


def check_versions() -> list[Finding]:
    """Compares Python and the packages that matter with what this package needs."""
    own = f"langchain-mix {__version__} on Python {platform.python_version()} ({sys.platform})"
    findings = [Finding("versions", "ok", own)]
    needs = _needs()
    return findings + [_version_of(name, needs.get(name, SpecifierSet())) for name in _SHOWN]


def _needs() -> dict[str, SpecifierSet]:
    try:
        lines = metadata.requires("langchain-mix") or []
    except metadata.PackageNotFoundError:  # Run from a source tree that is not installed.
        return {}
    wanted = [Requirement(line) for line in lines]
    return {r.name: r.specifier for r in wanted if r.marker is None}


def _version_of(name: str, needed: SpecifierSet) -> Finding:
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding("versions", "problem", f"{name} is not installed.", f"pip install '{name}{needed}'")
    if not needed.contains(installed, prereleases=True):
        return Finding(
            "versions", "problem", f"{name} {installed} is not in the range {needed}.", f"pip install '{name}{needed}'"
        )
    return Finding("versions", "ok", f"{name} {installed}")


def check_proxies(server_url: str) -> Finding:
    """Reports whether the environment sends requests through a proxy: its host, never its credentials."""
    target = urlsplit(server_url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(target.hostname or ""):
        return Finding("proxy", "ok", "No proxy is set for this server.")
    host = urlsplit(proxy if "//" in proxy else f"//{proxy}").hostname or "a proxy"
    return Finding(
        "proxy",
        "note",
        f"The environment sends requests through {host}.",
        f"If that is not wanted, add {target.hostname} to NO_PROXY.",
    )


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
        said = f"{mix.server_url} answers, but not as a Mix server"
        return _failed("reachable", said, error, "Check the URL, also its path, and what answers there."), None
    said = f"{mix.server_url} answers in {took:.0f} ms, status {health.status or 'unknown'}"
    said += f", server version {health.version}." if health.version else "."
    if health.status != "ok":
        return Finding("reachable", "problem", said, "Look at the server's own log.", took), health
    if took > _SLOW_MS:
        hint = "That is slow; each step of a conversation waits for it."
        return Finding("reachable", "note", said, hint, took), health
    return Finding("reachable", "ok", said, milliseconds=took), health


def check_identity(mix: Mix) -> tuple[Finding, list[SessionData] | None]:
    """Lists the sessions, as only a Mix server does. They are None if this is no Mix server."""
    try:
        sessions, took = timed(mix.sessions.list)
    except MixError as error:
        return _failed("mix server", "Sessions cannot be listed", error, "Is this a Mix server?"), None
    said = f"It lists {counted(len(sessions), 'session')} in {took:.0f} ms."
    return Finding("mix server", "ok", said, milliseconds=took), sessions


def check_generation(
    mix: Mix, sessions: Sequence[SessionData], said: str, own: str | None = None
) -> tuple[Finding, ApiKnowledge]:
    """Finds out which API generation the server speaks, by reading alone; `mix` has no given one.

    `said` is what the user says it is, or `auto`; `own` a session that was created since the others were listed.
    """
    detected, evidence = detect_generation(mix, own or next((s.id for s in sessions), None))
    named = sorted(detected, key=ALL.index)
    names = " or ".join(named)
    because = f"API {names}, because {', '.join(evidence)}." if evidence else "The generation is unknown."
    claimed = parse_api(said)
    if claimed is not None and claimed not in detected:
        return Finding(
            "generation", "problem", f"You say API {claimed}. It is {because}", "Leave `--api` (and `api=`) out."
        ), detected
    if len(detected) == 1 or claimed is not None:
        return Finding("generation", "ok", because), detected
    hint = f"Clients learn it as they go. `api=` saves them the asking: one of {', '.join(named)}."
    return Finding("generation", "note", because, hint), detected


def detect_generation(mix: Mix, session_id: str | None) -> tuple[ApiKnowledge, list[str]]:
    """Finds out which generations the server may be, and the evidence in words.

    It sends no more requests than needed, which read and nothing else.
    """
    detected, evidence = mix.known, []
    if detected != UNKNOWN:
        evidence.append("its sessions have the fields of that API")
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
    """True when the server has an operation, or None if unknown."""
    try:
        question()
    except MixUnsupportedError:
        return False
    except MixError:
        return None
    return True


def create_session(mix: Mix, said: str) -> tuple[Finding, str | None]:
    """Creates a session as `Mix()` and `ChatMix()` do by default. It has to be deleted with `delete_session`.

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

    The emulator, which `environment` of its health names, needs none.
    """
    try:
        providers = mix.authentication.get_auth_status().providers
        preferred = mix.authentication.validate_preferred_provider()
    except MixError as error:
        return _failed("credentials", "They cannot be read", error)
    names = [p.display_name or key for key, p in providers.items() if p.authenticated]
    if not names and environment == "emulator":
        return Finding("credentials", "note", "None is stored; the emulator needs none.")
    if not names:
        hint = "Store one with `langchain-mix auth store PROVIDER`, or log in at the server."
        return Finding("credentials", "problem", "No model provider has one, so no agent can answer.", hint)
    if preferred.provider and not preferred.valid:
        said = f"The preferred provider, {preferred.provider}, has none. Present for {', '.join(names)}."
        return Finding("credentials", "problem", said, "Store one for it, or prefer another provider.")
    return Finding("credentials", "ok", f"Present for {', '.join(names)}.")


def check_tokens(mix: Mix, detected: ApiKnowledge) -> Finding:
    """Asks whether OAuth tokens of providers have expired (Mix 0.6.5 and later)."""
    if detected.supports("oauth_health") is False:
        return Finding("tokens", "skipped", "This generation does not report OAuth tokens.")
    try:
        health = mix.health.get_o_auth_health()
    except MixUnsupportedError:
        return Finding("tokens", "skipped", "This server does not report OAuth tokens.")
    except MixError as error:
        return _failed("tokens", "They cannot be read", error)
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
    except MixError as error:
        hint = "Was the session deleted?" if isinstance(error, MixNotFoundError) else ""
        return _failed("uploads", "Files cannot be listed", error, hint)
    return Finding("uploads", "ok", f"{counted(len(files), 'file')} listed in {took:.0f} ms.", milliseconds=took)


def _failed(check: str, said: str, error: MixError, hint: str = "") -> Finding:
    """Returns the finding for a check that an error ended. The error ends with its hint, which is shown apart."""
    return Finding(check, "problem", f"{said}: {str(error).removesuffix(error.hint).strip()}", error.hint or hint)


def timed(question: Callable[[], T]) -> tuple[T, float]:
    """Runs something, and returns its result with the milliseconds it took."""
    started = time.perf_counter()
    return question(), (time.perf_counter() - started) * 1000


CHECK: Final = "streaming"
_LATE_MS: Final = 1_000
_HEARTBEAT: Final = 45.0
_BUFFERED: Final = (
    "A proxy in between buffers. nginx: `proxy_buffering off; proxy_cache off; proxy_read_timeout 1h;`. Others: do not "
    "compress or cache text/event-stream, and allow 60 s of silence."
)
_CUT: Final = "A proxy in between cuts quiet connections. Let it allow 60 s of silence: heartbeats come every 45 s."
_INFORMATIVE: Final = ("via", "server", "x-cache", "cf-ray")


def check_stream(
    mix: Mix, session_id: str | None, detected: ApiKnowledge, *, patience: float, heartbeat: float, own: bool = False
) -> Finding:
    """Opens the event stream of a session, and measures when `connected` comes, and a heartbeat if wanted.

    Mix 0.5 and 0.6 cancel a session's turn when a stream of it closes, so that nothing is opened there unless the
    session is our `own`, in which no turn runs. `patience` and `heartbeat` are seconds.
    """
    if session_id is None:
        return Finding(CHECK, "skipped", "There is no session whose stream could be opened.", "Create one, look again.")
    if not own and detected.supports("close_cancels") is not False:
        said = "Closing a stream cancels a running turn on API 0.5 and 0.6, so that none was opened."
        return Finding(CHECK, "skipped", said)
    found = _measured(mix, session_id, patience)
    if found.status != "ok" or not heartbeat:
        return found
    return _with_heartbeat(mix, session_id, found, heartbeat)


def _measured(mix: Mix, session_id: str, patience: float) -> Finding:
    """Returns how long `connected` takes."""
    started = time.perf_counter()
    try:
        with mix.streaming.stream_events(session_id=session_id, timeout_ms=round(patience * 1000)) as stream:
            head = _since(started)
            between = _between(stream.headers)
            try:
                first = next(stream, None)
            except MixStreamError:
                said = f"The head came after {head:.0f} ms, but not `connected` within {patience:g} s{between}."
                return Finding(CHECK, "problem", said, _BUFFERED)
            return _judged(first, _since(started), between)
    except MixError as error:
        return Finding(CHECK, "problem", f"The stream cannot be opened: {error.message}", error.hint or _BUFFERED)


def _judged(first: Event | None, took: float, between: str) -> Finding:
    if isinstance(first, SSEErrorEvent):
        return Finding(CHECK, "problem", f"The server refuses the stream: {first.data.error}")
    if not isinstance(first, SSEConnectedEvent):
        said = "ended at once" if first is None else f"began with `{first.event}`, not with `connected`"
        return Finding(CHECK, "problem", f"The stream {said}{between}.", _BUFFERED)
    if took > _LATE_MS:
        return Finding(CHECK, "problem", f"`connected` came after {took:.0f} ms only{between}.", _BUFFERED, took)
    return Finding(CHECK, "ok", f"`connected` came after {took:.0f} ms: events are not held back.", milliseconds=took)


def _with_heartbeat(mix: Mix, session_id: str, found: Finding, seconds: float) -> Finding:
    """Returns how long a heartbeat takes, on a stream that may be silent for so long."""
    started = time.perf_counter()
    limit = seconds * 1000
    try:
        with mix.streaming.stream_events(session_id=session_id, timeout_ms=round(limit)) as stream:
            between = _between(stream.headers)
            for event in stream:
                if isinstance(event, SSEHeartbeatEvent):
                    said = f"{found.detail} A heartbeat came after {_since(started) / 1000:.1f} s."
                    return Finding(CHECK, "ok", said, milliseconds=found.milliseconds)
                if _since(started) > limit:
                    break
    except MixStreamError as error:
        if _since(started) < limit:
            said = f"`connected` came at once, then the quiet stream broke after {_since(started) / 1000:.1f} s."
            return Finding(CHECK, "problem", f"{said} {error.message}", _CUT)
        between = ""
    except MixError as error:
        return Finding(CHECK, "problem", f"The stream cannot be opened again: {error.message}", error.hint)
    if _since(started) < limit:
        said = f"`connected` came at once, then the stream ended after {_since(started) / 1000:.1f} s{between}."
        return Finding(CHECK, "problem", said, _CUT)
    said = f"`connected` came at once, but no heartbeat within {seconds:g} s{between}."
    hint = "Heartbeats come every 45 s; wait for 60. " if seconds < _HEARTBEAT else ""
    return Finding(CHECK, "problem", said, hint + _BUFFERED)


def _between(headers: Mapping[str, str]) -> str:
    """Returns what the head shows of proxies in between."""
    found = [f"{name}: {headers[name]}" for name in _INFORMATIVE if name in headers]
    if "content-encoding" in headers:
        found.append(f"the stream is compressed ({headers['content-encoding']})")
    return f" ({'; '.join(found)})" if found else ""


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
