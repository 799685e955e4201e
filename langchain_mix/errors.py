"""Everything that langchain_mix raises on purpose. This module imports nothing of ours.

The type alone shows whose fault it is::

    MixError
    ├── MixUsageError                  yours: nothing was sent
    │   ├── MixConfigurationError        a wrong URL or option
    │   ├── MixInputError                an argument that the server would refuse or misread
    │   │   └── MixResumeError             a paused graph was resumed with what is no decision; it is still paused
    │   └── MixUnsupportedError          this generation of the server cannot do it
    ├── MixNetworkError                the network's
    │   ├── MixConnectionError           no connection, or a broken one
    │   ├── MixTimeoutError              no answer in time
    │   └── MixStreamError               an event stream that cannot be read on
    ├── MixResponseError               the server's: it answered, with something else than the result
    │   ├── ErrorResponse                its own JSON error
    │   │   ├── MixBadRequestError         400
    │   │   ├── MixAuthenticationError     401, no usable provider credential
    │   │   ├── MixNotFoundError           404, and a 500 that means the same
    │   │   └── MixInternalError           5xx
    │   ├── MixDefaultError              any other 4xx or 5xx: plain text, HTML, an unrouted path
    │   │   └── MixNotAServerError         what answered is no Mix server
    │   ├── MixReplyTooLarge           larger than `max_reply_bytes` allows
    │   └── ResponseValidationError    a success whose body is not what was promised
    ├── MixTurnError                   the agent's: a turn that did not end well
    │   ├── MixAgentError                the agent failed
    │   ├── MixTurnInterrupted           the connection broke and the server cancelled the turn
    │   ├── MixTurnCancelled             somebody cancelled it
    │   ├── MixTurnTimeout               it took longer than allowed
    │   ├── MixTextGap                   text that was already shown lacks a part; the whole is in `.turn`
    │   ├── MixToolCallMissing           no call of the application's tools, though `tool_choice` demands one
    │   ├── MixSessionBusy               the session runs another turn of this process
    │   ├── MixHistoryDiverged           the session does not hold the conversation as it was given
    │   └── MixOutcomeUnknown            nothing shows whether the server took the message
    ├── MixFileError                   a file's: it cannot be read as a document; `.name` names it
    ├── MixUploadError                 of many uploads: not all files were stored; `.report` lists them
    └── MixStoreError                  of checkpoints kept in files of the server
        ├── MixCheckpointDamaged         a document is damaged, swapped or missing; `.document` names it
        └── MixStoreContended            other writers of the thread were always faster

Every error says what was sent, whether the server may have acted on it, and what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "Acted",
    "ErrorResponse",
    "ErrorResponseData",
    "MixAgentError",
    "MixAuthenticationError",
    "MixBadRequestError",
    "MixCheckpointDamaged",
    "MixConfigurationError",
    "MixConnectionError",
    "MixDefaultError",
    "MixError",
    "MixFileError",
    "MixHistoryDiverged",
    "MixInputError",
    "MixInternalError",
    "MixNetworkError",
    "MixNotAServerError",
    "MixNotFoundError",
    "MixOutcomeUnknown",
    "MixReplyTooLarge",
    "MixResponseError",
    "MixResumeError",
    "MixSessionBusy",
    "MixStoreContended",
    "MixStoreError",
    "MixStreamError",
    "MixTextGap",
    "MixTimeoutError",
    "MixToolCallMissing",
    "MixTurnCancelled",
    "MixTurnError",
    "MixTurnInterrupted",
    "MixTurnTimeout",
    "MixUnsupportedError",
    "MixUploadError",
    "MixUsageError",
    "RESTError",
    "ResponseValidationError",
]

Acted = Literal["no", "yes", "unknown"]
"""The server's action on what was sent to it."""


class MixError(Exception):
    """Root of all errors of this package.

    Attributes:
        message: What went wrong.
        sent: The request, as method and path; empty if there was none.
        acted: Whether the server may have acted on it.
        hint: What to do next; empty if there is nothing to add.
        status_code: The HTTP status of the answer, or 0 if there was none.
        headers: The headers of the answer, or an empty mapping.
        body: The body of the answer as text.
        raw_response: The answer as the HTTP library gave it, or None.
        original: What the HTTP library raised, or None; not the cause, since the message says the same.
        data: The structured error of the answer, if it had one.
        turn: What is known of the turn that failed (a `TurnResult`): text so far, tool calls, message ids. None outside
            of turns.
    """

    turn: Any = None

    def __init__(
        self, message: str = "", *, sent: str = "", acted: Acted = "no", hint: str = "", data: Any = None
    ) -> None:
        """Describes what happened.

        Args:
            message: What went wrong, in one sentence.
            sent: Method and path of the request, without its secrets.
            acted: Whether the server may have acted on it.
            hint: What to do next.
            data: The structured error that the server sent, if any.
        """
        super().__init__(message)
        self.message = message
        self.sent = sent
        self.acted: Acted = acted
        self.hint = hint
        self.status_code = 0
        self.headers: Any = {}
        self.body = ""
        self.raw_response: Any = None
        self.original: BaseException | None = None
        self.data = data

    def __str__(self) -> str:
        """Returns all of it in one line: what, what was sent, whether the server acted, what to do."""
        more = bool(self.sent or self.hint)
        parts = [self.message + "." if more and self.message[-1:].isalnum() else self.message]
        if self.sent:
            did = {
                "no": "The server did not act on it.",
                "yes": "The server acted on it.",
                "unknown": "The server may have acted on it.",
            }[self.acted]
            parts.append(f"Sent: {self.sent}. {did}")
        if self.hint:
            parts.append(self.hint)
        return " ".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles without what the HTTP library gave, which holds connections and credentials."""
        state = {k: v for k, v in self.__dict__.items() if k not in {"raw_response", "original", "_request"}}
        state["headers"] = dict(self.headers)
        return _rebuild, (type(self), self.args, state)


def _rebuild(kind: type[MixError], args: tuple[Any, ...], state: dict[str, Any]) -> MixError:
    error = kind.__new__(kind)
    error.args = args
    error.raw_response = error.original = None
    error.__dict__.update(state)
    return error


class MixUsageError(MixError, ValueError):
    """The caller's mistake. Nothing was sent."""


class MixConfigurationError(MixUsageError):
    """An option that cannot work: a malformed URL, an unknown API generation."""


class MixInputError(MixUsageError):
    """An argument that the server would refuse or misunderstand."""


class MixResumeError(MixInputError):
    """A paused graph was resumed with a value that is no decision. Nothing was run and the graph is still paused."""


class MixUnsupportedError(MixUsageError, NotImplementedError):
    """The server's generation cannot do this; the hint names those that can."""


class MixNetworkError(MixError):
    """The network's fault. `acted` says whether the request may have arrived."""


class MixConnectionError(MixNetworkError, ConnectionError):
    """The server cannot be reached, or the connection broke."""


class MixTimeoutError(MixNetworkError, TimeoutError):
    """The server did not answer in time."""


class MixStreamError(MixNetworkError):
    """An event stream ended early or cannot be read on."""


class MixResponseError(MixError):
    """The server answered, but not with the result."""


@dataclass(frozen=True, slots=True)
class RESTError:
    """A Mix server's report of an error.

    Attributes:
        code: The HTTP status once more.
        message: The server's own words.
        type: Its kind, an open set: `validation_error`, `not_found`, `INVALID_PROVIDER`, …
    """

    code: int
    message: str
    type: str


@dataclass(frozen=True, slots=True)
class ErrorResponseData:
    """The envelope around a `RESTError`."""

    error: RESTError


class ErrorResponse(MixResponseError):
    """The server's own JSON error. `error` (and `data.error`) hold its code, message and type."""

    data: ErrorResponseData

    @property
    def error(self) -> RESTError:
        """Code, message and type as the server gave them."""
        return self.data.error


class MixBadRequestError(ErrorResponse):
    """400: the server refused the request and did nothing."""


class MixAuthenticationError(ErrorResponse):
    """401: the server holds no usable credential of a model provider."""


class MixNotFoundError(ErrorResponse):
    """The session, message, file or command does not exist."""


class MixInternalError(ErrorResponse):
    """5xx: the server failed; it may have acted in part."""


class MixDefaultError(MixResponseError):
    """A 4xx or 5xx whose body is not the server's JSON error."""


class MixNotAServerError(MixDefaultError):
    """Something at this URL answered that is no Mix server: a proxy, a web page, another service."""


class ResponseValidationError(MixResponseError):
    """A success whose body is not what the API promises. `body` has it as received."""


class MixReplyTooLarge(MixResponseError):
    """An answer is larger, after decompression, than `max_reply_bytes` allows. It was not read to its end."""


class MixTurnError(MixError):
    """A turn that did not end with a result. `turn` has what is known of it."""


class MixAgentError(MixTurnError):
    """The agent reported a failure: of its provider, of its limits, or of its own."""


class MixTurnInterrupted(MixTurnError):
    """The connection broke, and on this generation that cancels the turn (Mix 0.5 and 0.6)."""


class MixTurnCancelled(MixTurnError):
    """The turn was cancelled, by this client or another."""


class MixTurnTimeout(MixTurnError, TimeoutError):
    """The turn took longer than allowed and was cancelled."""


class MixTextGap(MixTurnError):
    """The turn is complete, but the text shown while it streamed lacks a part of it.

    The server drops events when a reader is slow. The complete text is in `turn`; do not send the message again.
    """


class MixToolCallMissing(MixTurnError):
    """The agent had to call a tool of the application (`tool_choice`) and did not, not even when it was reminded.

    What it said is in `turn.full_text`.
    """


class MixSessionBusy(MixTurnError):
    """The session already runs a turn of this process, and turns of one session never overlap."""


class MixHistoryDiverged(MixTurnError):
    """The session does not hold the conversation as it was given, and the turn was not to go on elsewhere.

    It was edited, trimmed or branched, or the session moved on. Nothing was sent.
    """


class MixOutcomeUnknown(MixTurnError):
    """The answer was lost and the session's messages do not show whether the server took the message."""


class MixFileError(MixError):
    """A file of a session cannot be read as a document.

    Attributes:
        name: Its name on the server.
    """

    def __init__(self, message: str = "", *, name: str = "", **rest: Any) -> None:
        """Describes it.

        Args:
            message: What went wrong, in one sentence.
            name: The file's name on the server.
            **rest: As for every `MixError`.
        """
        super().__init__(message, **rest)
        self.name = name


class MixUploadError(MixError):
    """Not all files were uploaded; the first failure is the cause.

    Attributes:
        report: What became of each file (an `UploadReport`); None for the failure of a single file.
    """

    def __init__(self, message: str = "", *, report: Any = None, **rest: Any) -> None:
        """Describes it.

        Args:
            message: What went wrong, in one sentence.
            report: What became of each file.
            **rest: As for every `MixError`.
        """
        super().__init__(message, **rest)
        self.report = report


class MixStoreError(MixError):
    """Checkpoints that are kept in files of the server cannot be read or written as they should."""


class MixCheckpointDamaged(MixStoreError):
    """A document of the checkpoint store is damaged, swapped or missing. Nothing was guessed from the rest.

    Attributes:
        document: The file's name on the server.
        problem: What is wrong with it.
    """

    document: str = ""
    problem: str = ""


class MixStoreContended(MixStoreError):
    """Other writers of the same thread were faster in every attempt. Storing the same again is safe."""
