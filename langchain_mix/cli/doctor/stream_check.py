"""Whether events come through at once, or something in between holds them back.

Owns: measuring an event stream of a session that exists. Refuses to know: the other checks.

A Mix server writes `connected` at once and a heartbeat every 45 seconds. A proxy that buffers keeps them until enough
has come together, so that a turn looks like silence; one that cuts idle connections breaks long turns.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from langchain_mix.cli.doctor.findings import Finding
from langchain_mix.errors import MixError, MixStreamError
from langchain_mix.protocol.api import ApiKnowledge
from langchain_mix.protocol.events import Event, SSEConnectedEvent, SSEErrorEvent, SSEHeartbeatEvent

if TYPE_CHECKING:
    from langchain_mix.client import Mix

CHECK: Final = "streaming"
_LATE_MS: Final = 1_000
_HEARTBEAT: Final = 45.0
_BUFFERED: Final = (
    "A proxy in between buffers. nginx: `proxy_buffering off; proxy_cache off; proxy_read_timeout 1h;`. Others: do not "
    "compress or cache text/event-stream, and allow 60 s of silence."
)
_CUT: Final = "A proxy in between cuts quiet connections. Let it allow 60 s of silence: heartbeats come every 45 s."
_TELLING: Final = ("via", "server", "x-cache", "cf-ray")


def check_stream(
    mix: Mix, session_id: str | None, detected: ApiKnowledge, *, patience: float, heartbeat: float, own: bool = False
) -> Finding:
    """Opens the event stream of a session, and measures when `connected` comes, and a heartbeat if wanted.

    Args:
        mix: The client.
        session_id: The session, or None if there is none.
        detected: The generations the server may be. Mix 0.5 and 0.6 cancel a session's turn when a stream of it
            closes, so that nothing is opened there unless the session is our own.
        patience: Seconds to wait for the head and for `connected`.
        heartbeat: Seconds to wait for a heartbeat, 0 for not waiting.
        own: The session was created for this check, so that no turn runs in it.

    Returns:
        The finding.
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
    """How long `connected` takes."""
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
    """How long a heartbeat takes, on a stream that may be silent for so long."""
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
    """What the head tells of those in between."""
    told = [f"{name}: {headers[name]}" for name in _TELLING if name in headers]
    if "content-encoding" in headers:
        told.append(f"the stream is compressed ({headers['content-encoding']})")
    return f" ({'; '.join(told)})" if told else ""


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
