"""Every operation exists twice, and every one that the official client ever had exists here."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import io
import logging
import operator
import re
import typing
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from langchain_mix import client
from langchain_mix.client import AsyncEventStream, AsyncTurnStream, EventStream, Mix, TurnStream, _turn_calls, models
from langchain_mix.client._config import RequestOptions
from langchain_mix.client.types import Unset

OPTIONS = {"retries", "timeout_ms", "http_headers", "server_url"}
SHELLS: dict[Any, Any] = {EventStream: AsyncEventStream, TurnStream: AsyncTurnStream}
OWN = {"files.download", "files.get_screenshot"}
"""Operations that only this client has."""

NAMES = {
    "httpx": httpx,
    "logging": logging,
    **vars(client),
    **vars(_turn_calls),
    **vars(models),
    "RequestOptions": RequestOptions,
    "RetryConfig": client.RetryConfig,
    "Unset": Unset,
}
"""What the annotations of `Mix` name: it imports these for type checkers alone."""

OFFICIAL = {
    "authentication": {
        "store_api_key": "api_key provider",
        "handle_o_auth_callback": "code provider state",
        "start_o_auth_flow": "provider",
        "get_auth_status": "",
        "validate_preferred_provider": "",
        "delete_credentials": "provider",
        "get_o_auth_health": "",
        "refresh_o_auth_tokens": "",
    },
    "files": {
        "list_session_files": "id",
        "upload_session_file": "id file",
        "delete_session_file": "id filename",
        "get_session_file": "id filename thumb time",
    },
    "health": {"get_o_auth_health": ""},
    "internal": {"refresh_o_auth_tokens": ""},
    "messages": {
        "get_history": "limit offset",
        "list_session": "id",
        "send": "id text max_steps plan_mode thinking_level",
    },
    "notifications": {"respond_to_notification": "id type_ value"},
    "permissions": {"deny": "id", "grant": "id"},
    "preferences": {
        "get_preferences": "",
        "update_preferences": "main_agent_max_tokens main_agent_model main_agent_reasoning_effort preferred_provider "
        "sub_agent_max_tokens sub_agent_model sub_agent_reasoning_effort",
        "get_available_providers": "",
        "reset_preferences": "",
    },
    "sessions": {
        "list": "include_subagents",
        "create": "browser_mode title callbacks cdp_url custom_system_prompt prompt_mode session_type subagent_type",
        "delete": "id",
        "get": "id",
        "update_session_callbacks": "id callbacks",
        "export_session": "id",
        "fork": "id message_index title",
        "rewind_session": "id message_id cleanup_media",
        "cancel_processing": "id",
    },
    "streaming": {"stream_events": "session_id last_event_id", "send_streaming_message": "id content"},
    "system": {
        "list_commands": "",
        "get_command": "name",
        "list_mcp_servers": "",
        "get_system_info": "",
        "get_health": "",
    },
    "tools": {"list_llm_tools": "", "get_tool_credentials_status": "", "get_tools_status": ""},
}
"""The operations of the official client, from 0.5.7 to 0.8.1, and their parameters. `fork` and `send_streaming_message`
are gone from its last releases."""


def groups() -> dict[str, Any]:
    mix = Mix()
    return {name: getattr(mix, name) for name, part in vars(Mix).items() if hasattr(part, "attrname")}


def operations() -> list[str]:
    return [
        f"{group}.{name}"
        for group, owner in groups().items()
        for name, _ in inspect.getmembers(owner, inspect.ismethod)
        if not name.startswith("_") and not name.endswith("_async")
    ]


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def types_of(function: Callable[..., Any]) -> dict[str, Any]:
    owner = getattr(function, "__func__", function)
    return typing.get_type_hints(owner, localns=NAMES)


@pytest.fixture(params=operations())
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """An operation and its asynchronous twin."""
    group, _, name = request.param.partition(".")
    owner = groups()[group]
    return getattr(owner, name), getattr(owner, f"{name}_async")


def test_there_are_operations() -> None:
    assert len(operations()) == sum(map(len, OFFICIAL.values())) + len(OWN)


def test_twins_take_and_give_the_same(pair: tuple[Any, Any]) -> None:
    plain, twin = pair
    assert inspect.iscoroutinefunction(twin)
    assert not inspect.iscoroutinefunction(plain)
    assert parameters(plain) == parameters(twin)
    expected = {name: SHELLS.get(kind, kind) for name, kind in types_of(plain).items()}
    assert types_of(twin) == expected


def test_operations_take_keywords_only(pair: tuple[Any, Any]) -> None:
    *own, options = parameters(pair[0])
    assert {kind for _, kind, _ in own} <= {inspect.Parameter.KEYWORD_ONLY}
    assert options[:2] == ("options", inspect.Parameter.VAR_KEYWORD)


def test_operations_take_the_options_of_every_request(pair: tuple[Any, Any]) -> None:
    assert types_of(pair[0])["options"] == typing.Unpack[RequestOptions]
    assert set(typing.get_type_hints(RequestOptions)) == OPTIONS


@pytest.mark.parametrize("operation", [*operations(), "turn"])
def test_an_unknown_keyword_argument_is_refused(operation: str) -> None:
    """Nothing listens at that address: what is refused was not sent."""
    mix = Mix(server_url="http://localhost:1")
    function = operator.attrgetter(operation)(mix)
    needed: dict[str, Any] = {
        name: "x" for name, _, default in parameters(function) if default is inspect.Parameter.empty
    }
    needed.pop("options", None)
    if "to" in needed:
        needed["to"] = io.BytesIO()
    if "file" in needed:
        needed["file"] = {"file_name": "f", "content": b""}
    with pytest.raises(TypeError, match="unexpected keyword argument 'timeout_s'"):
        function(**needed, timeout_s=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'timeout_s'"):
        twin = operator.attrgetter(f"{operation}_async")(mix)(**needed, timeout_s=1)
        asyncio.run(twin)


def test_no_twin_is_alone() -> None:
    for group, owner in groups().items():
        for name, _ in inspect.getmembers(owner, inspect.ismethod):
            if name.endswith("_async"):
                assert hasattr(owner, name.removesuffix("_async")), f"{group}.{name}"


def test_documented_twins_say_so(pair: tuple[Any, Any]) -> None:
    plain, twin = pair
    assert twin.__doc__ == f"Does what `{plain.__name__}` does, asynchronously."
    documented = plain.__doc__ or ""
    assert [n for n, _, _ in parameters(plain) if not re.search(rf"\n            (\*\*)?{n}: ", documented)] == []
    assert "Raises:" in documented


def test_turns_take_the_same() -> None:
    mix = Mix()
    assert parameters(mix.turn) == parameters(mix.turn_async)
    expected = {name: SHELLS.get(kind, kind) for name, kind in types_of(mix.turn).items()}
    assert types_of(mix.turn_async) == expected


@pytest.mark.parametrize(("plain", "twin"), SHELLS.items())
def test_streams_have_the_same_parts(plain: type, twin: type) -> None:
    def parts(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    # A thread that reads is woken from another one; a task that reads is cancelled.
    assert parts(plain) - {"interrupt"} == parts(twin)


@pytest.mark.parametrize(
    ("operation", "names"), [(f"{g}.{o}", p.split()) for g, ops in OFFICIAL.items() for o, p in ops.items()]
)
def test_every_operation_of_the_official_client_is_here(operation: str, names: list[str]) -> None:
    group, _, name = operation.partition(".")
    taken = {p for p, _, _ in parameters(getattr(groups()[group], name))}
    assert set(names) <= taken


def test_the_installed_official_client_has_nothing_else() -> None:
    """The table above is complete: what the official client has now is in it."""
    official = importlib.import_module("mix_python_sdk")
    ignored = {*OPTIONS, "self"}
    client = official.Mix(server_url="http://localhost:1")
    for group, ops in OFFICIAL.items():
        owner = getattr(client, group)
        for name, function in inspect.getmembers(type(owner), inspect.isfunction):
            if name.startswith(("_", "do_request")) or name.endswith("_async"):
                continue
            assert name in ops, f"{group}.{name}"
            theirs = {p for p in inspect.signature(function).parameters if p not in ignored}
            assert theirs == set(ops[name].split()), f"{group}.{name}"
    assert set(client._sub_sdk_map) == set(OFFICIAL)


@pytest.mark.parametrize("helper", ["query", "send_with_callbacks", "StreamingSession", "StreamEvent"])
def test_the_helpers_of_the_official_client_are_here(helper: str) -> None:
    theirs = getattr(importlib.import_module("mix_python_sdk.helpers"), helper)
    ours = getattr(importlib.import_module("langchain_mix.client.helpers"), helper)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    their_names = [n for n, p in inspect.signature(theirs).parameters.items() if p.kind in positional]
    our_names = [n for n, p in inspect.signature(ours).parameters.items() if p.kind in positional]
    assert len(their_names) == len(our_names)
    if helper != "StreamEvent":  # Its first argument is called `event_type` there, after which the attribute is not.
        assert their_names == our_names
    their_keywords = {n for n, p in inspect.signature(theirs).parameters.items() if p.kind not in positional}
    assert their_keywords <= set(inspect.signature(ours).parameters)
    if inspect.isclass(theirs):
        public = {n for n in vars(theirs) if not n.startswith("_")}
        assert public <= set(dir(ours))


def test_the_constructor_is_that_of_the_official_client() -> None:
    official = importlib.import_module("mix_python_sdk")
    theirs = inspect.signature(official.Mix).parameters
    ours = {n: p for n, p in inspect.signature(Mix).parameters.items() if p.kind is not p.KEYWORD_ONLY}
    # The documented order; the last releases put the URL first and allow it by keyword alone.
    assert set(theirs) <= set(ours)
    assert types_of(Mix.__init__)["client"] == httpx.Client | None
