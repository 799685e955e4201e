"""Every public name of four releases of the official client can be imported from the same path below ours, and works.

`official_names.json` holds facts about the releases 0.5.7, 0.6.4, 0.7.3 and 0.8.1: names by module, the keys of typed
dictionaries, the fields of models, and the values of literals and enumerations.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import importlib
import json
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from langchain_mix.client import Mix, models, types
from langchain_mix.client.httpclient import AsyncHttpClient, HttpClient, close_clients

FACTS = json.loads(Path(__file__).with_name("official_names.json").read_text(encoding="utf-8"))

LEFT_OUT = {
    # The module imports these for itself.
    "": "Dict Field Optional Tuple Union cast dataclass ClientOwner remove_suffix "
    # They describe the generator of the official client.
    "OPENAPI_DOC_VERSION SDKHooks SPEAKEASY_GENERATOR_VERSION USER_AGENT VERSION",
    "sdk": "TYPE_CHECKING",
    # What generated code is made of; it builds requests and reads replies with it.
    "utils": "FieldMetadata FormMetadata HeaderMetadata MultipartFormMetadata OpenEnumMeta PathParamMetadata "
    "QueryParamMetadata RequestMetadata Retries SecurityMetadata SerializedRequestBody cast_partial find_metadata "
    "generate_url get_body_content get_discriminator get_global_from_env get_headers get_pydantic_model "
    "get_query_params get_response_headers get_security marshal_json match_content_type match_response "
    "match_status_codes remove_suffix retry retry_async serialize_decimal serialize_float serialize_int "
    "serialize_request_body stream_to_bytes stream_to_bytes_async stream_to_text stream_to_text_async template_url "
    "unmarshal unmarshal_json validate_const validate_decimal validate_float validate_int validate_open_enum",
}


def module(name: str) -> Any:
    return importlib.import_module(f"langchain_mix.client.{name}" if name else "langchain_mix.client")


def names() -> list[tuple[str, str, str]]:
    return [
        (home, release, name)
        for home, releases in FACTS["names"].items()
        for release, listed in releases.items()
        for name in listed.split()
        if name not in LEFT_OUT.get(home, "").split()
    ]


def find(name: str) -> Any:
    return getattr(models, name, None) or getattr(module("tool_models"), name)


def test_every_name_can_be_imported() -> None:
    missing = [f"{home}.{name} of {release}" for home, release, name in names() if not hasattr(module(home), name)]
    assert missing == []
    assert len({(home, name) for home, _, name in names()}) > 380


def test_a_star_imports_the_models() -> None:
    everything: dict[str, Any] = {}
    exec("from langchain_mix.client.models import *", everything)
    wanted = {name for home, _, name in names() if home == "models"}
    assert wanted <= set(everything)


UNWRAPPED = {
    "StreamEventsResponse",
    "StreamEventsResponseTypedDict",
    "ExportSessionResponse",
    "ExportSessionResponseTypedDict",
}
"""Operations return here what the official client has in `.result` of these."""


def missing(facts: dict[str, str], has: Callable[[str], Any]) -> list[str]:
    """Returns the listed words that a name lacks, as `Name.word`."""
    return [
        f"{name}.{word}"
        for name, listed in facts.items()
        if name not in UNWRAPPED
        for word in sorted(set(listed.split()) - set(has(name)))
    ]


def test_typed_dictionaries_have_their_keys() -> None:
    facts = FACTS["keys"]
    assert len(facts) > 100
    assert missing(facts, lambda name: getattr(models, name).__annotations__) == []
    for name, keys in facts.items():
        if name not in UNWRAPPED:
            typed = getattr(models, name)
            assert typing.is_typeddict(typed), name
            values = dict.fromkeys(keys.split(), "x")
            assert typed(**values) == values, name
            typing.get_type_hints(typed)


def test_models_have_their_fields() -> None:
    def fields(name: str) -> set[str]:
        model = find(name)
        return (
            {f.name for f in dataclasses.fields(model)} if dataclasses.is_dataclass(model) else set(model.model_fields)
        )

    assert len(FACTS["fields"]) > 150
    assert missing(FACTS["fields"], fields) == []


def test_literals_have_their_values() -> None:
    assert len(FACTS["literals"]) > 30
    for name, values in FACTS["literals"].items():
        kind = find(name)
        if isinstance(kind, enum.EnumMeta):
            assert {kind(value) for value in values.split()} <= set(kind), name
        else:
            assert set(values.split()) <= set(typing.get_args(kind)), name


def test_enumerations_have_their_members() -> None:
    assert FACTS["enums"]
    for name, members in FACTS["enums"].items():
        kind = find(name)
        for member, value in members.items():
            assert kind[member] is kind(value), f"{name}.{member}"
            # Generations spell tools differently; every spelling finds its member.
            assert name == "CoreToolName" or kind[member] == value, f"{name}.{member}"


def test_request_models_carry_what_they_are_given() -> None:
    body = models.SendMessageRequestBody(text="hello", plan_mode=True)
    assert models.SendMessageRequest(id="s", request_body=body).request_body.text == "hello"
    assert body.model_dump(by_alias=True, exclude_none=True) == {"text": "hello", "plan_mode": True}
    fork = models.ForkSessionRequestBody(message_index=3)
    assert fork.model_dump(by_alias=True, exclude_none=True) == {"messageIndex": 3}
    create = models.CreateSessionRequest(title="t", prompt_mode="append", custom_system_prompt="p")
    assert create.model_dump(by_alias=True, exclude_none=True) == {
        "title": "t", "promptMode": "append", "customSystemPrompt": "p",
    }  # fmt: skip
    stream = models.StreamEventsRequest(session_id="s", last_event_id="3")
    assert stream.model_dump(by_alias=True) == {"sessionId": "s", "Last-Event-ID": "3"}
    key = models.StoreAPIKeyRequest(api_key="sk-secret", provider="openai")
    assert "sk-secret" not in repr(key)
    kinds: tuple[Any, ...] = (models.SendMessageRequestBody, models.CreateSessionRequest, models.DeleteSessionRequest)
    for kind in kinds:
        with pytest.raises(ValueError, match="Field required"):
            kind()


def test_typed_dictionaries_are_taken_by_operations() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(418, text="no")

    mix = Mix(client=httpx.Client(transport=httpx.MockTransport(answer)), api="0.7")
    callback = models.CallbackTypedDict(type="bash_script", tool_name="*", bash_command="ls")
    with pytest.raises(module("errors").MixDefaultError):
        mix.sessions.create(title="t", callbacks=[callback])
    sent = json.loads(asked[0].content)["callbacks"][0]
    assert sent == {"type": "bash_script", "toolName": "*", "bashCommand": "ls"}
    with pytest.raises(module("errors").MixDefaultError):
        mix.files.upload_session_file(id="s", file=models.FileTypedDict(file_name="f.txt", content=b"words"))
    assert b"words" in asked[1].content


class Wrapped(HttpClient):
    """A user's own client."""

    def __init__(self, inner: httpx.Client) -> None:
        self.inner = inner
        self.closed = False

    def build_request(self, method: str, url: Any, **options: Any) -> httpx.Request:
        return self.inner.build_request(method, url, **options)

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        request.headers["X-Wrapped"] = "yes"
        return self.inner.send(request, **options)

    def close(self) -> None:
        self.closed = True
        self.inner.close()


class WrappedAsync(AsyncHttpClient):
    """The same for asynchronous code."""

    def __init__(self, inner: httpx.AsyncClient) -> None:
        self.inner = inner
        self.closed = False

    def build_request(self, method: str, url: Any, **options: Any) -> httpx.Request:
        return self.inner.build_request(method, url, **options)

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        request.headers["X-Wrapped"] = "yes"
        return await self.inner.send(request, **options)

    async def aclose(self) -> None:
        self.closed = True
        await self.inner.aclose()


def test_a_wrapped_client_sends_everything() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-wrapped"] == "yes"
        if request.url.path == "/stream":
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, text="event: heartbeat\ndata: {}\n\n"
            )
        return httpx.Response(200, json=[])

    transport = httpx.MockTransport(answer)
    wrapped, wrapped_async = (
        Wrapped(httpx.Client(transport=transport)),
        WrappedAsync(httpx.AsyncClient(transport=transport)),
    )
    given: Any = {"client": wrapped, "async_client": wrapped_async}
    mix = Mix(**given)
    assert mix.sessions.list() == []
    with mix.streaming.stream_events(session_id="s") as events:
        assert [e.event for e in events] == ["heartbeat"]

    async def main() -> None:
        assert await mix.sessions.list_async() == []
        async with await mix.streaming.stream_events_async(session_id="s") as events:
            assert [e.event async for e in events] == ["heartbeat"]

    asyncio.run(main())
    mix.close()
    assert (wrapped.closed, wrapped_async.closed) == (False, False)
    assert isinstance(httpx.Client(), HttpClient)
    assert isinstance(httpx.AsyncClient(), AsyncHttpClient)
    assert not isinstance(object(), HttpClient)


@pytest.mark.parametrize("supplied", [True, False])
def test_clients_of_an_owner_are_closed_unless_supplied(supplied: bool) -> None:
    class Owner:
        client: HttpClient | None = None
        async_client: AsyncHttpClient | None = None

    owner = Owner()
    owner.client, owner.async_client = Wrapped(httpx.Client()), WrappedAsync(httpx.AsyncClient())
    own, own_async = owner.client, owner.async_client
    close_clients(owner, own, supplied, own_async, supplied)
    assert (owner.client, owner.async_client) == (None, None)
    assert (own.closed, own_async.closed) == (not supplied, not supplied)


def test_unset_is_false() -> None:
    assert not types.UNSET
    assert module("").UNSET is types.UNSET
    assert repr(types.UNSET) == "UNSET"
