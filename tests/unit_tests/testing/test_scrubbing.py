"""Secrets and places: taken out, and found where they are left."""

from __future__ import annotations

import json

import pytest

from langchain_mix.testing.scrubbing import CASSETTE_URL, HIDDEN, Scrubber, find_secrets

SECRETS = [
    "sk-ant-api03-abcdefghijklmnop1234567890",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "AKIAIOSFODNN7EXAMPLE",
    "xoxb-1234567890-abcdef",
    "Authorization is Bearer abcdef0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "https://user:hunter2@example.org/x",
    '{"api_key": "hunter2"}',
    '{"a": [{"clientSecret": "hunter2"}]}',
    '{"CF-Access-Client-Secret": "hunter2", "X-Auth-Token": "hunter2", "PRIVATE-TOKEN": "hunter2"}',
    '{"Ocp-Apim-Subscription-Key": "hunter2", "X-Amz-Security-Token": "hunter2"}',
    '{"X-Forwarded-Access-Token": "hunter2", "X-Goog-Api-Key": "hunter2"}',
    "sent Authorization: Basic aHVudGVyMjpodW50ZXIy",
    'id: 1\ndata: {"type":"x","access_token":"hunter2"}\n\n',
    '{"content":"{\\"apiKey\\":\\"hunter2\\"}"}',
]
PLACES = [
    "see /home/ada/notes.txt",
    "see /Users/ada/notes.txt",
    "see /root/notes.txt",
    r"see C:\Users\ada\notes.txt",
    r'{"path":"C:\\Users\\ada\\notes.txt"}',
    "see /tmp/mix-emulator-abc/x",
    "see /private/var/folders/ab/cd/T/x",
    "see http://127.0.0.1:41234/x and http://localhost:8088",
]
HARMLESS = [
    '{"promptTokens":12,"inputTokens":3,"max_tokens":100,"token_count":"7"}',
    '{"cookie":"","password":"","secret":null,"token":"REDACTED"}',
    "the task is to sketch a risk-based plan, and the bearer of this",
    "/api/sessions/5/files/tmp/x /data/home/index.html",
    '{"keys":["a"],"authenticated":true}',
    "http://mix.invalid/stream",
]
SCRUBBER = Scrubber({})


@pytest.mark.parametrize("text", SECRETS + PLACES)
def test_what_must_not_stand_there_is_found_and_taken_out(text):
    assert find_secrets(text)
    scrubbed = SCRUBBER.body(text).decode()
    assert find_secrets(scrubbed) == []
    for word in ("hunter2", "ada", "41234", "mix-emulator", "MIIE", "EXAMPLE"):
        assert word not in scrubbed


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_texts_stay_as_they_are(text):
    assert find_secrets(text) == []
    assert SCRUBBER.body(text).decode() == text


@pytest.mark.parametrize("text", SECRETS + PLACES + HARMLESS)
def test_scrubbing_twice_is_scrubbing_once(text):
    once = SCRUBBER.body(text)
    assert SCRUBBER.body(once) == once


def test_json_stays_json():
    body = SCRUBBER.body('{"provider":"x","api_key":"a\\"b","n":[1,"ü"]}')
    assert json.loads(body) == {"provider": "x", "api_key": HIDDEN, "n": [1, "ü"]}


def test_a_finding_says_where():
    (finding,) = find_secrets("one\ntwo sk-ant-abcdefghijklmnop1234\n")
    assert (finding.what, finding.where) == ("an API key", 2)
    assert "1234" not in finding.shown


@pytest.mark.parametrize("name", ["X-Auth-Token", "Api-Key", "PRIVATE-TOKEN", "Ocp-Apim-Subscription-Key", "Cookie"])
def test_each_header_that_authenticates_is_found(name):
    assert find_secrets(f"    headers:\n      {name}:\n      - x\n")[0].what == f"the header {name!r}"


def test_a_header_that_authenticates_is_found():
    assert find_secrets("    headers:\n      Authorization:\n      - x\n")[0].what == "the header 'Authorization'"


def test_bytes_that_are_no_text_are_left():
    assert SCRUBBER.body(b"\xff\xfe\x00") == b"\xff\xfe\x00"
    assert SCRUBBER.body(None) is None


def test_texts_of_ones_own_are_replaced_longest_first():
    scrubber = Scrubber({"/srv/mix": "/data", "/srv/mix/sessions": "/sessions", "build-7": "host.invalid"})
    assert scrubber.text("/srv/mix/sessions/1 /srv/mix/db on build-7") == "/sessions/1 /data/db on host.invalid"


def test_a_request_keeps_what_it_is_matched_by():
    headers = {"Authorization": "Bearer abcdefgh12345678", "Content-Type": "application/json", "X-Team": "blue"}
    url = "https://user:pw@mix.example.org:8088/api/auth?provider=x&token=abc#frag"
    asked = Scrubber({}, frozenset({"x-team"})).request("POST", url, headers, b'{"api_key":"k"}')
    method, shown, body, kept = asked
    assert (method, shown) == ("POST", f"{CASSETTE_URL}/api/auth?provider=x&token={HIDDEN}")
    assert json.loads(body) == {"api_key": HIDDEN}
    assert kept == {"content-type": "application/json", "x-team": "blue"}


def test_forms_have_the_same_boundary_each_time():
    def form(boundary):
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        return SCRUBBER.request("POST", "http://h/x", headers, f"--{boundary}\r\nx\r\n--{boundary}--".encode())

    assert form("0123abcd") == form("ffff9999")


def test_an_answer_keeps_the_headers_that_replies_are_read_by():
    answer = {
        "status": {"code": 200, "message": "OK"},
        "headers": {
            "Set-Cookie": ["a=b"],
            "Content-Type": ["text/plain"],
            "Content-Length": ["99"],
            "Location": ["http://127.0.0.1:4444/x"],
        },
        "body": {"string": b"in /home/ada"},
    }
    scrubbed = SCRUBBER.answer(answer)
    assert scrubbed["headers"] == {
        "content-type": ["text/plain"],
        "content-length": ["9"],
        "location": [f"{CASSETTE_URL}/x"],
    }
    assert scrubbed["body"]["string"] == b"in /local"
    assert answer["body"]["string"] == b"in /home/ada"
