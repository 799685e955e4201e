"""One root, whose fault by type alone, and nothing lost on the way through a pickle."""

from __future__ import annotations

import inspect
import pickle

import pytest

from langchain_mix import errors
from langchain_mix.errors import MixError

KINDS = [k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, MixError)]
FAULTS = [
    errors.MixUsageError,
    errors.MixNetworkError,
    errors.MixResponseError,
    errors.MixTurnError,
    errors.MixFileError,
    errors.MixUploadError,
    errors.MixStoreError,
]


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not MixError])
def test_the_type_tells_whose_fault_it_is(kind: type[MixError]) -> None:
    assert sum(issubclass(kind, fault) for fault in FAULTS) == 1


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    doc = errors.__doc__ or ""
    parents: list[str] = []
    drawn: dict[str, str] = {}
    for line in doc.splitlines():
        words = line.lstrip(" │├└─").split()
        if not words or not hasattr(errors, words[0]) or not (set("├└") & set(line) or words == ["MixError"]):
            continue
        depth = next((i for i, c in enumerate(line) if c in "├└"), -4) // 4
        depth = 0 if words == ["MixError"] else depth
        del parents[depth:]
        drawn[words[0]] = parents[-1] if parents else ""
        parents.append(words[0])
    assert drawn == {k.__name__: k.__bases__[0].__name__ if k is not MixError else "" for k in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_pickling_keeps_everything_but_the_connection(kind: type[MixError]) -> None:
    data = errors.ErrorResponseData(errors.RESTError(500, "m", "t"))
    error = kind("What happened.", sent="POST /x", acted="unknown", hint="Do this.", data=data)
    error.status_code, error.body, error.turn, error.headers = 500, "body", {"text": "part"}, {"a": "b"}
    error.raw_response = open  # A thing that no other process could use.
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is kind
    assert str(copy) == str(error)
    for name in ("message", "sent", "acted", "hint", "data", "status_code", "body", "turn", "headers"):
        assert getattr(copy, name) == getattr(error, name)
    assert copy.raw_response is None


@pytest.mark.parametrize(
    ("acted", "words"),
    [
        ("no", "The server did not act on it."),
        ("yes", "The server acted on it."),
        ("unknown", "The server may have acted on it."),
    ],
)
def test_an_error_says_what_was_sent_whether_it_acted_and_what_to_do(acted: errors.Acted, words: str) -> None:
    error = MixError("It broke.", sent="POST /x", acted=acted, hint="Look.")
    assert str(error) == f"It broke. Sent: POST /x. {words} Look."


def test_an_error_without_a_request_claims_nothing() -> None:
    assert str(MixError("It broke.")) == "It broke."


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.MixInputError, ValueError),
        (errors.MixUnsupportedError, NotImplementedError),
        (errors.MixConnectionError, ConnectionError),
        (errors.MixTimeoutError, TimeoutError),
        (errors.MixTurnTimeout, TimeoutError),
    ],
)
def test_pythons_own_families_catch_them(kind: type[MixError], builtin: type[Exception]) -> None:
    assert issubclass(kind, builtin)
