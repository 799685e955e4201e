"""Errors for the ways in which a turn does not end well.

Owns: what the server's words mean, and what to do next. Refuses to know: when a turn ends (`state.py`).
"""

from __future__ import annotations

from typing import Final, Literal

from langchain_mix import errors
from langchain_mix.protocol.events import SSEErrorEventData

_SIGN_IN: Final = ("⚠️ Authentication required. Please go to settings", "⚠️ Not authenticated with")
_LOGIN: Final = "⚠️ Authentication required. Please use the /login command"
_KEEP: Final = "The session holds what was said so far; the partial reply is in `.turn`."


def is_sign_in_notice(text: str) -> bool:
    """Returns True for the text with which a server without a provider credential answers a message."""
    return text.startswith(_SIGN_IN)


def agent_error(data: SSEErrorEventData) -> errors.MixTurnError:
    """Returns the error for an `error` event."""
    error = agent_error_text(data.error)
    error.data = data.model_dump(by_alias=True)
    return error


def agent_error_text(text: str) -> errors.MixTurnError:
    """Returns the error for the text of an `error` event."""
    if text.rpartition(": ")[2] in {"request cancelled by user", "context canceled"}:
        return errors.MixTurnCancelled("The turn was cancelled.", acted="yes", hint=_KEEP)
    hint = _KEEP
    if text.startswith("maximum iteration limit"):
        hint = "Send a message such as `go on` to continue, or allow more `max_steps`. " + _KEEP
    elif "401" in text or "authentication" in text.lower():
        hint = "Renew the provider's key with `mix.authentication.store_api_key(...)`. " + _KEEP
    elif "rate limit" in text.lower() or "rate_limit" in text:
        hint = "The provider limits the rate; wait before sending again. " + _KEEP
    return errors.MixAgentError(text or "The agent failed without a word.", acted="yes", hint=hint)


def echo_of(error: errors.MixError) -> str:
    """Returns the text with which the server may report the same failure once more (Mix 0.6.5 on)."""
    text = error.data.get("error", "") if isinstance(error.data, dict) else ""
    if "401" in text or "authentication" in text:
        return _LOGIN + " to authenticate with Claude API key."
    return text


def failed_answer(error: errors.ErrorResponse) -> errors.MixTurnError:
    """Returns the error for an agent that failed, where the message's own answer reports it (Mix 0.6)."""
    failure = agent_error_text(error.error.message)
    failure.sent, failure.status_code, failure.body = error.sent, error.status_code, error.body
    return failure


def stored_failure(state: Literal["cancelled", "failed", "running", "finished"], text: str) -> errors.MixTurnError:
    """Returns the error for a turn that did not end well, as the stored messages show."""
    if state == "cancelled":
        return errors.MixTurnCancelled("The turn was cancelled.", acted="yes", hint=_KEEP)
    return agent_error_text(text or "The agent failed; its error was lost on the way.")


def interrupted(error: errors.MixError) -> errors.MixTurnInterrupted:
    """Returns the error for a stream that broke on a server that then cancels the turn."""
    return errors.MixTurnInterrupted(
        f"The stream broke, and this server cancels the turn then: {error.message}",
        acted="yes",
        hint="Send a message such as `go on` to continue. " + _KEEP,
    )


def left_running(error: errors.MixError) -> errors.MixStreamError:
    """Returns the error for a stream that cannot be opened again, while the server goes on alone."""
    return errors.MixStreamError(
        f"The stream broke and could not be opened again: {error.message}",
        acted="yes",
        hint="The turn goes on at the server. Do not send it again; read the session's messages for its end. " + _KEEP,
    )


def expired(seconds: float, *, sent: bool, taken: bool = True, quiet: bool = False) -> errors.MixTurnTimeout:
    """Returns the error for a turn whose time is over, or in which nothing has happened for too long.

    Args:
        seconds: The time allowed.
        sent: The message was sent.
        taken: Something shows that the server took it.
        quiet: Nothing has happened for that time.
    """
    acted: errors.Acted = "yes" if taken else "unknown"
    if not sent:
        return errors.MixTurnTimeout(f"No event stream was open within {seconds:g} s; nothing was sent.", acted="no")
    if quiet:
        return errors.MixTurnTimeout(
            f"Nothing happened in the turn for {seconds:g} s, longer than any tool may run; it was cancelled.",
            acted=acted,
            hint="The server may have been restarted. " + _KEEP,
        )
    return errors.MixTurnTimeout(f"The turn took longer than {seconds:g} s and was cancelled.", acted=acted, hint=_KEEP)


def refused_stream(session_id: str, text: str) -> errors.MixError:
    """Returns the error for a server that opens no stream for this session."""
    if text.startswith("Invalid session ID"):
        # Mix: an unknown session is not a 404 here but a 200 with this event.
        error: errors.MixError = errors.MixNotFoundError(
            f"Session with ID '{session_id}' not found",
            sent="GET /stream",
            data=errors.ErrorResponseData(errors.RESTError(404, text, "not_found")),
        )
        return error
    return errors.MixAgentError(text, sent="GET /stream", acted="no")


def session_deleted(session_id: str) -> errors.MixTurnError:
    """Returns the error for a session that somebody deleted while its turn ran."""
    return errors.MixTurnCancelled(f"Session {session_id} was deleted while its turn ran.", acted="yes")


def unclear(session_id: str) -> errors.MixHistoryDiverged:
    """Returns the error for turns that ran at the same time, where nothing shows which messages are whose."""
    return errors.MixHistoryDiverged(
        f"Another client ran a turn in session {session_id} at the same time; its messages do not show whose they are.",
        acted="yes",
        hint="Do not send it again: read the session's messages. `.turn` has those that are certainly this turn's. "
        "Give each client a session of its own.",
    )


def unknown_outcome(lost: errors.MixError) -> errors.MixOutcomeUnknown:
    """Returns the error for a lost answer, where nothing shows that the message arrived."""
    return errors.MixOutcomeUnknown(
        f"The answer to the message was lost ({lost.message}), and nothing shows that the server took it.",
        sent=lost.sent,
        acted="unknown",
        hint="Read the session's messages before sending it again.",
    )


def unproven(session_id: str) -> errors.MixOutcomeUnknown:
    """Returns the error for a message that was answered and that neither the stream nor the stored messages show."""
    return errors.MixOutcomeUnknown(
        f"The server answered the message, but nothing shows it in session {session_id}: no event, no stored message.",
        acted="unknown",
        hint="The server may have been restarted. Read the session's messages before sending it again.",
    )
