"""Cassettes as files."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vcr.cassette import Cassette as VcrCassette
from vcr.request import Request
from vcr.serialize import deserialize, serialize
from vcr.serializers import yamlserializer

from langchain_mix.testing.cassette_order import CassetteError
from langchain_mix.testing.vcr import read_cassette, request_of, write_cassette

BODY = 'id: 1\nevent: content\ndata: {"content":"Käse «€» 🧀"}\n\nid: 2\n\n'


def answer(body):
    return {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["text/plain"]},
        "body": {"string": body},
        "x_order": {"requested": 1, "answered": 2, "events": [3, 4], "ending": "left"},
    }


def asked(body=None):
    return request_of("POST", "http://mix.invalid/x?a=b", body, {"accept": "*/*"})


def test_a_cassette_survives_its_file(tmp_path):
    path = tmp_path / "new" / "one.yaml"
    write_cassette(path, [asked(b'{"a":1}')], [answer(BODY.encode())], {"proves": "A thing.", "seen": ["ü"]})
    (request,), (read,), about = read_cassette(path)
    assert (request.method, request.uri, request.body) == ("POST", "http://mix.invalid/x?a=b", b'{"a":1}')
    assert read["body"]["string"] == BODY.encode()
    assert read["x_order"]["events"] == [3, 4]
    assert about == {"proves": "A thing.", "seen": ["ü"]}
    assert [p.name for p in path.parent.iterdir()] == ["one.yaml"], "no half-written file is left"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.one_of(st.text(), st.binary(), st.text("\n\r \t\x85\u2028é🧀:-#|'\"")))
def test_any_body_survives_its_file(tmp_path, body):
    path = tmp_path / "one.yaml"
    raw = body if isinstance(body, bytes) else body.encode("utf-8", "replace")
    write_cassette(path, [asked(raw)], [answer(raw)], {})
    (request,), (read,), _ = read_cassette(path)
    assert read["body"]["string"] == raw
    assert (request.body or b"") == raw


def test_a_cassette_can_be_read_by_people_and_is_utf_8(tmp_path):
    path = tmp_path / "one.yaml"
    write_cassette(path, [asked()], [answer(BODY.encode())], {"proves": "A thing."})
    text = path.read_bytes().decode("utf-8")
    assert text.startswith("x_about:\n  proves: A thing.\n")
    assert '\n        data: {"content":"Käse «€» 🧀"}\n' in text
    assert "events: [3, 4]" in text


def test_vcrpy_reads_what_is_written_here(tmp_path):
    path = tmp_path / "one.yaml"
    write_cassette(path, [asked(b"x")], [answer(BODY.encode())], {"proves": "A thing."})
    tape = VcrCassette.load(path=str(path), record_mode="none")
    assert len(tape) == 1
    assert tape.responses[0]["body"]["string"] == BODY.encode()


def test_what_vcrpy_writes_is_read_here(tmp_path):
    path = tmp_path / "one.yaml"
    plain = {key: value for key, value in answer(b"hello").items() if key != "x_order"}
    path.write_text(serialize({"requests": [asked()], "responses": [plain]}, yamlserializer), encoding="utf-8")
    _, (read,), about = read_cassette(path)
    assert read["body"]["string"] == b"hello"
    assert about == {}


def test_a_missing_cassette_says_how_to_record_it(tmp_path):
    with pytest.raises(CassetteError, match=r'There is no cassette .*record="once"'):
        read_cassette(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "text", ["", "just words", "version: 1\n", "interactions: [1]\n", "a: [", "- request: 1\n", "\xff"]
)
def test_what_is_no_cassette_is_told(tmp_path, text):
    path = tmp_path / "one.yaml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(CassetteError, match="is no cassette"):
        read_cassette(path)


def test_a_secret_is_never_written(tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text("before")
    with pytest.raises(CassetteError, match=r"an API key \(sk-ant-abcde…\) in line \d+") as caught:
        write_cassette(path, [asked(b"sk-ant-abcdefghijklmnopqrstuvwx")], [answer(b"")], {})
    assert "uvwx" not in str(caught.value)
    assert path.read_text() == "before"


def test_the_names_of_vcrpy_that_this_package_stands_on():
    assert callable(deserialize)
    assert callable(serialize)
    request = Request("GET", "http://h/x?b=1", b"x", {"A": "b"})
    assert request._to_dict() == {"method": "GET", "uri": "http://h/x?b=1", "body": b"x", "headers": {"A": ["b"]}}
    assert (request.method, request.uri, request.body, dict(request.headers)) == (
        "GET",
        "http://h/x?b=1",
        b"x",
        {"A": "b"},
    )
