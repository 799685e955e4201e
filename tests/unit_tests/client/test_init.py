"""The public names: all are there, and cost nothing before they are used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import langchain_mix.client as public

LISTING = ("errors", "models", "tool_models", "updates", "helpers", "utils")


def test_every_name_is_there() -> None:
    assert len(public.__all__) == len(set(public.__all__))
    for name in public.__all__:
        assert getattr(public, name) is not None
    assert set(public.__all__) <= set(dir(public))


@pytest.mark.parametrize("module", LISTING)
def test_a_name_means_the_same_wherever_it_is_imported_from(module: str) -> None:
    home = importlib.import_module(f"langchain_mix.client.{module}")
    for name in home.__all__:
        assert getattr(public, name) is getattr(home, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Mx'"):
        _ = public.Mx
    with pytest.raises(ImportError):
        exec("from langchain_mix.client import Mx")


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import langchain_mix.client", {"httpx", "pydantic", "asyncio", "langchain_mix.protocol", "langchain_core"}),
        ("from langchain_mix.client import MixError", {"httpx", "pydantic", "langchain_mix.protocol"}),
        ("from langchain_mix.client import Mix", {"langchain_core", "starlette", "langchain_mix.client.tool_models"}),
    ],
)
def test_an_import_loads_what_it_needs(statement: str, absent: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert absent & set(loaded) == set()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # The official client's own.
def test_what_the_official_client_exports_is_exported() -> None:
    official = importlib.import_module("mix_python_sdk.models")
    wanted = {
        name
        for name in official.__all__
        if not name.endswith(("TypedDict", "Request", "RequestBody", "EventEvent", "ErrorType"))
    }
    # Types of single fields, which are plain text here since their values are open sets.
    plain = {
        "CallbackResultDataCallbackType", "CreateSessionSessionType", "GetAuthStatusAuthMethod", "InputJSON",
        "NotificationType", "Parameters", "Params", "ProvidersStatus", "RESTErrorType", "ResponseType", "Status",
        "ValidatePreferredProviderAuthMethod",
    }  # fmt: skip
    assert sorted(wanted - plain - set(public.__all__)) == []
    tools = importlib.import_module("mix_python_sdk.tool_models")
    own = {n for n, v in vars(tools).items() if isinstance(v, type) and v.__module__ == tools.__name__}
    assert sorted(own - set(public.__all__)) == []
    assert set(importlib.import_module("mix_python_sdk.errors").__all__) <= set(public.__all__)
