"""What counts as an approval, a refusal or an answer, whichever interface people use."""

from __future__ import annotations

import jsonschema
import pytest

from langchain_mix.errors import MixResumeError
from langchain_mix.protocol.permissions import ANSWER_SCHEMA, PERMISSION_SCHEMA, read_answer, read_permission

ARGS = {"file_path": "a.md", "content": "x"}
APPROVALS = [
    True,
    "yes",
    " Yes\n",
    "APPROVE",
    "approved",
    "y",
    "true",
    {"type": "approve"},
    {"decisions": [{"type": "approve"}]},
    {"decisions": ({"type": " Approve "},)},
    [{"type": "approve"}],
    [{"type": "accept", "args": None}],
    {"type": "accept"},
    [{"type": "accept", "args": {"action": "Write", "args": ARGS}}],
    [{"type": "edit", "args": {"action": "Write", "args": ARGS}}],
    {"decisions": [{"type": "edit", "edited_action": {"name": "Write", "args": ARGS}}]},
]
REFUSALS = [
    False,
    "no",
    " NO ",
    "Reject",
    "n",
    "deny",
    {"type": "reject"},
    {"decisions": [{"type": "reject", "message": "not there"}]},
    [{"type": "ignore", "args": None}],
    {"type": "ignore"},
    [{"type": "reject", "args": "not there"}],
]
NEITHER = [
    None,
    0,
    1,
    1.0,
    b"yes",
    "",
    "maybe",
    "yes please",
    "nope",
    {},
    [],
    [True],
    ["yes"],
    {"approved": True},
    {"approve": True},
    {"type": "maybe"},
    {"type": None},
    {"type": True},
    {"decisions": []},
    {"decisions": None},
    {"decisions": "approve"},
    {"decisions": {"type": "approve"}},
    {"decisions": ["approve"]},
    {"decisions": [{"type": "approve"}] * 2},
    {"decisions": [{"type": "approve"}, {"type": "reject"}]},
    [{"type": "accept"}] * 2,
    [[{"type": "accept"}]],
    {"decisions": [{"decisions": [{"type": "approve"}]}]},
    {"type": "edit"},
    {"type": "edit", "args": "b.md"},
]
IMPOSSIBLE = [
    {"decisions": [{"type": "edit", "edited_action": {"name": "Write", "args": {"file_path": "b.md"}}}]},
    [{"type": "edit", "args": {"action": "Write", "args": {"file_path": "b.md"}}}],
    [{"type": "accept", "args": {"action": "Write", "args": {"file_path": "b.md"}}}],
    {"decisions": [{"type": "respond", "message": "I did it myself"}]},
    [{"type": "response", "args": "I did it myself"}],
]


@pytest.mark.parametrize("value", APPROVALS, ids=repr)
def test_an_approval(value):
    assert read_permission(value, ARGS).kind == "approve"


@pytest.mark.parametrize("value", REFUSALS, ids=repr)
def test_a_refusal(value):
    assert read_permission(value, ARGS).kind == "reject"


@pytest.mark.parametrize("value", NEITHER, ids=repr)
def test_what_is_neither_is_an_error_that_says_what_is(value):
    with pytest.raises(MixResumeError, match=r"not a decision.*True or False.*approve.*accept"):
        read_permission(value, ARGS)


@pytest.mark.parametrize("value", IMPOSSIBLE, ids=repr)
def test_what_the_server_cannot_do_is_an_error_that_says_so(value):
    with pytest.raises(MixResumeError, match=r"cannot be honoured.*(edited|result).*True or False"):
        read_permission(value, ARGS)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("blue", "blue"),
        ("yes", "yes"),
        ("", ""),
        (True, ""),
        (False, ""),
        ({"type": "approve"}, ""),
        ([{"type": "accept", "args": None}], ""),
        ([{"type": "ignore"}], ""),
        ({"decisions": [{"type": "respond", "message": "blue"}]}, "blue"),
        ({"type": "respond", "text": "blue"}, "blue"),
        ([{"type": "response", "args": "blue"}], "blue"),
    ],
    ids=repr,
)
def test_an_answer(value, answer):
    assert read_answer(value) == answer


@pytest.mark.parametrize(
    "value", [None, 7, {}, {"answer": "blue"}, ["blue"], {"type": "respond"}, [{"type": "edit", "args": {}}]], ids=repr
)
def test_what_is_no_answer_is_an_error(value):
    with pytest.raises(MixResumeError, match=r"not an answer.*respond"):
        read_answer(value)


def test_a_choice_is_one_of_the_choices():
    assert read_answer(" BLUE ", ["Red", "Blue"]) == "Blue"
    with pytest.raises(MixResumeError, match=r"'Red', 'Blue'"):
        read_answer("green", ["Red", "Blue"])


def test_the_schemas_describe_what_is_read():
    for value in (True, False, "yes", "no", {"decisions": [{"type": "approve"}]}, [{"type": "ignore"}]):
        jsonschema.validate(value, PERMISSION_SCHEMA)
    for value in ("maybe", {"approved": True}, {"decisions": [{"type": "approve"}] * 2}, 1):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, PERMISSION_SCHEMA)
        with pytest.raises(MixResumeError):
            read_permission(value)
    for value in ("blue", True, {"decisions": [{"type": "respond", "message": "blue"}]}, [{"type": "accept"}]):
        jsonschema.validate(value, ANSWER_SCHEMA)
        read_answer(value)
