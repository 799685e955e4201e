"""Errors of this package as LangChain's `ModelError` family, which its middleware and tracing look for.

Owns: which model error a failure is, when the same call may be made again, and what traces see of an answer.
Refuses to know: how errors come about.

The rule: a failure is retryable only if it may pass and the server certainly did not act. A message that it may have
taken is never sent again by LangChain on its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from langchain_core import exceptions as core

from langchain_mix import errors
from langchain_mix.client.credentials import shown_headers

if TYPE_CHECKING:
    import httpx


RetryIf: TypeAlias = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]
"""The form of LangChain's `retry_if_exception_type`: exception types, or a function of the exception."""

_BY_TYPE: Final[tuple[tuple[type[errors.MixError], type[core.ModelError]], ...]] = (
    (errors.MixUsageError, core.ModelInvalidRequestError),
    (errors.MixTimeoutError, core.ModelTimeoutError),
    (errors.MixNetworkError, core.ModelConnectionError),
    (errors.MixAuthenticationError, core.ModelAuthenticationError),
    (errors.MixNotFoundError, core.ModelNotFoundError),
    (errors.MixInternalError, core.ModelAPIError),
    (errors.ResponseValidationError, core.ModelAPIError),
    (errors.MixTurnTimeout, core.ModelTimeoutError),
    (errors.MixTurnInterrupted, core.ModelConnectionError),
    (errors.MixOutcomeUnknown, core.ModelConnectionError),
    (errors.MixHistoryDiverged, core.ModelInvalidRequestError),
    (errors.MixToolCallMissing, core.ModelAPIError),
)
_BY_STATUS: Final[Mapping[int, type[core.ModelError]]] = {
    HTTPStatus.UNAUTHORIZED: core.ModelAuthenticationError,
    HTTPStatus.FORBIDDEN: core.ModelPermissionDeniedError,
    HTTPStatus.NOT_FOUND: core.ModelNotFoundError,
    HTTPStatus.REQUEST_TIMEOUT: core.ModelTimeoutError,
    HTTPStatus.TOO_MANY_REQUESTS: core.ModelRateLimitError,
}
# Mix hands on the words of its model providers; nothing else distinguishes these failures. They are patterns that are
# compiled when the first error is looked at, not at import.
_BY_WORDS: Final = (
    (r"prompt is too long|context.?length|context window|exceeds? (the )?context limit", core.ContextOverflowError),
    (r"rate.?limit|\b429\b|overloaded", core.ModelRateLimitError),
    (r"\b401\b|authentication|not logged in", core.ModelAuthenticationError),
    (r"maximum iteration limit", core.ModelError),
)
_REQUEST_IDS: Final = ("request-id", "x-request-id")
_CLASSES: Final[dict[tuple[type, type, bool], type[errors.MixError]]] = {}


class ModelFailure(core.ModelError):
    """Adds to an error of this package what a model error has.

    The classes are made from the error's own and from LangChain's, and are named after the former:
    `ChatMixAuthenticationError` is a `MixAuthenticationError` and a `ModelAuthenticationError`.
    """

    status_code: int
    headers: Any
    body: str

    @property
    def response(self) -> httpx.Response:
        """The answer for LangChain's tracing, headers that may hold secrets hidden. Absent if there was no answer."""
        if not self.status_code:
            raise AttributeError("There was no answer.")
        import httpx  # noqa: PLC0415  # The HTTP library is loaded when it is first used.

        headers = {
            name: value
            for name, value in shown_headers(dict(self.headers)).items()
            if name.lower() not in {"content-encoding", "content-length", "transfer-encoding"}
        }
        return httpx.Response(self.status_code, headers=headers, content=_text(self.body).encode())

    @property
    def request_id(self) -> str:
        """The id that a proxy gave the request; Mix gives none. Absent if there is none."""
        for name, value in dict(self.headers).items():
            if name.lower() in _REQUEST_IDS:
                return str(value)
        raise AttributeError("The answer names no request.")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as the error it was made from; its class is made again."""
        state = {key: value for key, value in self.__dict__.items() if key != "_request"}
        state |= {"headers": dict(self.headers), "raw_response": None, "original": None}
        return _made, (_origin(type(self)), _model_error_of(type(self)), self.is_retryable, self.args, state)


def as_model_error(error: errors.MixError, *, sent: bool = False) -> errors.MixError:
    """Gives an error of this package a class that is one of LangChain's model errors too. It still is all that it was.

    Use it as `raise as_model_error(error) from error.__cause__`: the error itself says nothing that this one does not.
    With `sent`, the server may have taken the message of this call by now, whatever the request that failed says of
    itself: what comes after must not lead to the message being sent again.
    """
    if isinstance(error, ModelFailure) and not (sent and error.is_retryable):
        return error
    kind = _origin(type(error))
    model_error = _model_error_of(type(error)) if isinstance(error, ModelFailure) else _model_error_for(error)
    may_pass = model_error.is_retryable or isinstance(error, errors.MixSessionBusy)
    retryable = may_pass and error.acted == "no" and not sent
    return _made(kind, model_error, retryable, error.args, error.__dict__)


def may_retry(error: BaseException) -> bool:
    """True when making the same call again may succeed and cannot run a turn twice."""
    return isinstance(error, core.ModelError) and error.is_retryable


def retry_rule(retry_if: RetryIf) -> Callable[[BaseException], bool]:
    """Narrows what a user wants `with_retry` to retry to what can be: nothing that may run a turn twice."""

    def wanted(error: BaseException) -> bool:
        matches = isinstance(error, retry_if) if isinstance(retry_if, tuple | type) else retry_if(error)
        ours = isinstance(error, errors.MixError | core.ModelError)
        return matches and (may_retry(error) or not ours)

    return wanted


def _model_error_for(error: errors.MixError) -> type[core.ModelError]:
    if isinstance(error, errors.MixAgentError):
        words = error.message
        found = (kind for pattern, kind in _BY_WORDS if re.search(pattern, words, re.IGNORECASE))
        return next(found, core.ModelAPIError)
    for ours, theirs in _BY_TYPE:
        if isinstance(error, ours):
            return theirs
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return core.ModelAPIError
    if isinstance(error, errors.MixResponseError):
        return _BY_STATUS.get(error.status_code, core.ModelInvalidRequestError)
    return core.ModelError


def _class_for(
    kind: type[errors.MixError],
    model_error: type[core.ModelError],
    retryable: bool,  # noqa: FBT001
) -> type[errors.MixError]:
    key = (kind, model_error, retryable)
    if key in _CLASSES:
        return _CLASSES[key]
    named = next((base for base in kind.__mro__ if base.__module__ == errors.__name__), kind)
    bases: tuple[type, ...] = (ModelFailure, kind, model_error)
    if not retryable and not issubclass(kind, RuntimeError):
        # LangGraph's retry policy knows no `is_retryable`: it runs a node again after any error that is none of
        # Python's own, and RuntimeError is one.
        bases = (*bases, RuntimeError)
    made = {"__module__": __name__, "__doc__": named.__doc__, "is_retryable": retryable}
    return _CLASSES.setdefault(key, type(f"Chat{named.__name__}", bases, made))


def _made(
    kind: type[errors.MixError],
    model_error: type[core.ModelError],
    retryable: bool,  # noqa: FBT001
    args: tuple[Any, ...],
    state: Mapping[str, Any],
) -> errors.MixError:
    cls = _class_for(kind, model_error, retryable)
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


def _origin(cls: type[Any]) -> type[errors.MixError]:
    """The class that a made class was made from; any other class is its own."""
    return cls.__bases__[1] if ModelFailure in cls.__bases__ else cls


def _model_error_of(cls: type[Any]) -> type[core.ModelError]:
    kind: type[core.ModelError] = cls.__bases__[2]
    return kind


def _text(body: Any) -> str:
    if isinstance(body, bytes):
        return body.decode(errors="replace")
    return body if isinstance(body, str) else json.dumps(body, default=str)
