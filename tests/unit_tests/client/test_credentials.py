"""Credentials leave a URL whole, and leave nothing of themselves in it."""

from __future__ import annotations

from base64 import b64encode

import pytest
from pydantic import ValidationError

from langchain_mix import ChatMix, MixRetriever, MixSaver
from langchain_mix.client import Mix
from langchain_mix.client.credentials import (
    HIDDEN,
    check_headers,
    secrets_of,
    shown_body,
    shown_headers,
    split_url,
)
from langchain_mix.errors import MixConfigurationError

SECRET = "hunter2"  # A test's.


@pytest.mark.parametrize(
    ("url", "bare", "credentials"),
    [
        ("http://mix.example:8088", "http://mix.example:8088", ""),
        ("https://ann:hunter%402@mix.example:8443/base", "https://mix.example:8443/base", "ann:hunter@2"),
        ("http://ann@mix.example", "http://mix.example", "ann:"),
        ("http://:key@[::1]:8088/", "http://[::1]:8088/", ":key"),
        (" HTTP://mix.example/base ", "http://mix.example/base", ""),
        ("http://ann:a%2Fb%3Fc%23d%5Ce@mix.example", "http://mix.example", "ann:a/b?c#d\\e"),
        ("http://ann:a@b@mix.example", "http://mix.example", "ann:a@b"),
    ],
)
def test_the_user_and_the_password_are_taken_out(url, bare, credentials):
    assert split_url(url) == (bare, credentials)


@pytest.mark.parametrize("kind", [Mix, ChatMix, MixSaver, MixRetriever])
@pytest.mark.parametrize(
    "url",
    [
        f"http://ann:a/{SECRET}@host:8088",
        f"http://ann:12/{SECRET}@host",
        f"http://ann:{SECRET}/x@host",
        f"http://ann:{SECRET}#x@host:8088",
        f"http://ann:1#{SECRET}@host",
        f"http://ann:{SECRET}?x@host",
        f"http://ann:{SECRET}\\@host",
        f"http://ann:{SECRET}@ho st",
        f"http://ann:{SECRET}@host:99999999",
        f"http://ann:{SECRET}@host:70000",
        f"http://ann:{SECRET}@",
        f"http://ann:{SECRET}",
        f"http://ann:x@{SECRET}@host:bad",
        f"http://[{SECRET}",
        f"http:/ann:{SECRET}@host",
        f"https:ann:{SECRET}@host",
        f"ann:{SECRET}@host:80",
        f"{SECRET}@host",
        f"ftp://ann:{SECRET}@host",
        f"http://host:8088/?token={SECRET}",
        f"http://host:8088?api_key={SECRET}",
        f"http://host:8088/#{SECRET}",
        f"http://host/\n{SECRET}",
        f"http://host\x00{SECRET}",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_its_secret(kind, url) -> None:
    with pytest.raises(ValueError, match="The server URL") as caught:
        kind(server_url=url)
    assert SECRET not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None or SECRET not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("localhost:8088", "'localhost:8088' begins with neither"),
        ("http://host:8088/x?y=1", "'http://host:8088…' has a query"),
        ("ftp://host", "'ftp://host' begins with neither"),
        ("http://ann:b@c/d@host", "written %2F"),
        ("http://{host}", "url_params"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(url, shown) -> None:
    with pytest.raises(MixConfigurationError) as caught:
        Mix(server_url=url, url_params={"port": "1"})
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    "value", [f"{SECRET}\n", f"{SECRET}\r\nX: y", f" {SECRET}", f"{SECRET}\t", f"{SECRET}é", f"{SECRET}\x00", 7]
)
def test_a_header_that_cannot_be_sent_is_named_without_its_value(value) -> None:
    with pytest.raises(MixConfigurationError, match="'X-Key'") as caught:
        check_headers({"X-Fine": "a\tb c", "X-Key": value})
    assert SECRET not in str(caught.value)
    for make in (
        lambda: Mix(headers={"X-Key": value}),
        lambda: MixSaver(headers={"X-Key": value}),
        lambda: ChatMix(headers={"X-Key": value}),
        lambda: ChatMix(api_key=value),
        lambda: MixRetriever(api_key=value),
    ):
        with pytest.raises(ValueError, match=r"X-Key|Authorization|api_key") as refused:
            make()
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize("name", ["", "X Key", "X:Key", "Schlüssel", "X-Key\n"])
def test_a_name_that_is_none_is_refused(name) -> None:
    with pytest.raises(MixConfigurationError, match="a name that cannot be sent"):
        check_headers({name: SECRET})


def test_only_values_of_harmless_headers_are_shown() -> None:
    shown = {"Accept": "a", "User-Agent": "b", "Content-Type": "c", "Host": "d"}
    hidden = ("CF-Access-Client-Secret", "PRIVATE-TOKEN", "X-New", "Referer", "Cookie", "Forwarded")
    assert shown_headers({**shown, **dict.fromkeys(hidden, SECRET)}) == {**shown, **dict.fromkeys(hidden, HIDDEN)}
    assert secrets_of({"Accept": "application/json", "X": "short", "Authorization": f"Bearer {SECRET}"}) == [
        f"Bearer {SECRET}",
        SECRET,
    ]


def test_texts_of_bodies_are_shown_by_their_lengths() -> None:
    body = {
        "text": "abc",
        "planMode": True,
        "cdpUrl": "ws://x?t=1",
        "sessionType": "main",
        "list": [{"apiKey": "k"}, 3],
    }
    assert shown_body(body) == {
        "text": "<3 characters>",
        "planMode": True,
        "cdpUrl": "<10 characters>",
        "sessionType": "main",
        "list": [{"apiKey": "<1 characters>"}, 3],
    }
    assert shown_body(None) is None


@pytest.mark.parametrize("kind", [ChatMix, MixRetriever])
@pytest.mark.parametrize("value", [{"server_url": f"http://ann:{SECRET}@host"}, {"api_key": SECRET}])
def test_what_is_set_or_copied_in_is_kept_as_a_secret_too(kind, value):
    plain = kind(server_url="http://host")
    changed = kind(server_url="http://host")
    for name, given in value.items():
        setattr(changed, name, given)
    for model in (changed, plain.model_copy(update=value), kind.model_construct(**value)):
        shown = f"{model!r} {model} {model.model_dump()} {model.model_dump_json()} {model.lc_attributes}"
        assert SECRET not in shown
        assert SECRET in (model.api_key or model.url_credentials).get_secret_value()


def test_a_password_stays_with_its_url():
    model = ChatMix(server_url=f"http://ann:{SECRET}@host")
    assert model.model_copy(update={"server_url": "http://other"}).request_headers() == {}
    assert model.model_copy(update={"title": "x"}).request_headers() == model.request_headers() != {}


@pytest.mark.parametrize("kind", [ChatMix, MixRetriever])
@pytest.mark.parametrize(
    "fields",
    [
        {"api_key": f"{SECRET}\n"},
        {"api_key": [SECRET]},
        {"server_url": f"ftp://ann:{SECRET}@host"},
        {"headers": [SECRET]},
        {"timeout": -1, "api_key": SECRET},
    ],
)
def test_no_form_of_an_error_holds_a_value(kind, fields):
    with pytest.raises(ValidationError) as caught:
        kind(**{"server_url": "http://host", **fields})
    error = caught.value
    assert error.error_count() >= 1
    assert SECRET not in f"{error} {error!r} {error.errors()} {error.json()}"
    assert error.__context__ is None


def test_a_password_that_is_echoed_alone_is_a_secret():
    assert SECRET in secrets_of({"Authorization": "Basic " + b64encode(f"ann:{SECRET}".encode()).decode()})
