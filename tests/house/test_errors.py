"""Every error stands where the documentation of Mix has the errors, too."""

from __future__ import annotations

import inspect

from langchain_mix import client, errors
from langchain_mix.client import errors as documented


def own() -> set[str]:
    """What `langchain_mix.errors` defines for its users."""
    return {
        name
        for name, thing in vars(errors).items()
        if not name.startswith("_") and inspect.isclass(thing) and thing.__module__ == errors.__name__
    } | {"Acted"}


def test_there_are_errors() -> None:
    assert {"MixError", "MixHistoryDiverged", "RESTError"} <= own()


def test_the_client_exports_every_error() -> None:
    assert set(documented.__all__) == own() | {"NoResponseError"}
    assert all(getattr(documented, name) is getattr(errors, name) for name in own())


def test_errors_can_be_had_through_the_client() -> None:
    assert client.errors is documented


def test_the_tree_is_complete() -> None:
    """The drawing on top of the module names every class of the tree."""
    kinds = {name for name in own() if isinstance(getattr(errors, name), type)}
    tree = {name for name in kinds if issubclass(getattr(errors, name), errors.MixError)}
    assert {name for name in tree if f" {name} " not in (errors.__doc__ or "").replace("\n", " ")} == set()
