"""Rules of permissions. Whatever it cannot vouch for is a no."""

from __future__ import annotations

import pytest

from langchain_mix import ChatMix, Mix
from langchain_mix.chat_models.permissions import Approvals
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.events import SSEPermissionEventData
from langchain_mix.protocol.permissions import PermissionRule, parse_rule


def allowed(rule, tool="Write", /, **params):
    request = SSEPermissionEventData(type="permission", id="p", session_id="s", tool_name=tool, params=params)
    return Approvals([rule]).for_permissions(request)


@pytest.mark.parametrize(
    ("rule", "tool", "params", "verdict"),
    [
        ("Write", "write", {"file_path": "/etc/x"}, True),
        ("Write(*.md)", "Write", {"file_path": "notes/a.md"}, True),
        ("Write(*.md)", "Edit", {"file_path": "notes/a.md"}, False),
        ("Write(notes/*)", "Write", {"file_path": "notes/../secret"}, False),
        ("Write(notes/*)", "Write", {"file_path": "notes/..\\secret"}, False),
        ("Write(*.md)", "Write", {"content": "x"}, False),
        ("Write(*.md)", "Write", {"file_path": ["/etc/x"], "path": "a.md"}, False),
        ("Write(*.md)", "Write", {"command": "x.md", "file_path": "/root/.ssh/authorized_keys"}, False),
        ("Write(*.md)", "Write", {"path": "x.md", "url": "x.md"}, False),
        ("Write(*.md)", "Write", {"file_path": ""}, False),
        ("Write(*.md)", "Write", {"file_path": "a.md", "File_Path": "/etc/passwd"}, False),
        ("Write(*.md)", "Write", {"file_path": "a.MD"}, False),
        ("Write(*.md)", "Write", {"file_path": "a.md\n/etc/x.md"}, False),
        ("Write(/srv/*)", "Write", {"file_path": "srv/a"}, False),
        ("Write(notes/*)", "Write", {"file_path": "/root/notes/a"}, False),
        ("Write(notes.md)", "Write", {"file_path": "/root/notes.md"}, False),
        ("Write(C:/notes/*)", "Write", {"file_path": "C:/notes/..\\..\\x"}, False),
        ("Write(a/../b)", "Write", {"file_path": "a/../b"}, True),
        ("Write(notes (1).md)", "Write", {"file_path": "notes (1).md"}, True),
        (" Write ( *.md ) ", "Write", {"file_path": "a.md"}, False),
        (" Write (*.md) ", "Write", {"file_path": "a.md"}, True),
        ("edit(*.md)", "Edit", {"file_path": "a.md", "old_string": "..", "new_string": "/"}, True),
        ("read_text(*.md)", "ReadText", {"file_path": "a.md"}, True),
        ("ReadText(*.md)", "ReadText", {"file_path": "https://evil.example/?x=.md"}, False),
        ("ReadText(https://example.com/*)", "ReadText", {"file_path": "https://example.com/a.md"}, True),
        ("Write(*)", "wri_te", {"file_path": "a.md"}, False),
        ("Write", "wri_te", {"file_path": "a.md"}, False),
        ("todo_write", "TodoWrite", {}, True),
        ("fs_write", "fs_write", {"path": "/etc/x"}, True),
        ("Search(cats*)", "Search", {"query": "cats and dogs", "path": "x"}, True),
        ("python_execution(print*)", "python_execution", {"code": "print"}, False),
        ("python_execution(print)", "python_execution", {"code": "print"}, True),
        ("Bash(cat n/*)", "Bash", {"command": "cat n/../x"}, False),
        ("Bash(cat n/*)", "Bash", {"command": "cat n/'..'/x"}, False),
        ("Bash(cat n/*)", "Bash", {"command": "cat n/.*/x"}, False),
        ("Bash(cat n/*)", "Bash", {"command": "cat n/{.,x}./x"}, False),
        ("Bash(cat n/*)", "Bash", {"command": "cat n/*.md 'a b'"}, True),
        ("Bash(ls)", "Bash", {"file_path": "ls", "command": "rm x"}, False),
        ("Bash(ls *)", "Bash", {"command": "ls -la"}, True),
        ("Bash(ls *)", "Bash", {"command": "ls; rm -rf /"}, False),
        ("Bash(ls *)", "Bash", {"command": "ls $(rm x)"}, False),
        ("Bash(ls *)", "Bash", {"command": "ls x\nrm y"}, False),
        ("Bash(ls *)", "Bash", {"command": "ls > /etc/passwd"}, False),
        ("Bash(ls | wc)", "Bash", {"command": "ls | wc"}, True),
        ("Glob(src)", "Glob", {"path": "src", "pattern": "*.py"}, True),
        ("Glob(src)", "Glob", {"path": "src", "pattern": "../../etc/*"}, False),
        ("Glob(src)", "Glob", {"path": "src", "pattern": "/etc/*"}, False),
        ("Glob(*.py)", "Glob", {"pattern": "*.py"}, False),
        ("Grep(src)", "Grep", {"path": "src", "pattern": "x", "include": "..\\*"}, False),
    ],
)
def test_rules(rule, tool, params, verdict):
    assert allowed(rule, tool, **params) is verdict


@pytest.mark.parametrize("policy", ["Write", None, True, {"Write": False}, ["Write", 7]])
def test_what_is_no_policy_is_refused(policy):
    with pytest.raises(MixInputError, match="no policy"):
        Approvals(policy)


@pytest.mark.parametrize("policy", ["allow", 7, True])
def test_what_is_no_notification_policy_is_refused(policy):
    with pytest.raises(MixInputError, match="no policy"):
        Approvals("deny", policy)


@pytest.mark.parametrize(
    "request_of",
    [
        ("Glob(src/*)", "Glob", {"path": "src/a", "pattern": "{..,a}/*"}),
        ("Glob(src/*)", "Glob", {"path": "src/a", "pattern": "[.][.]/*"}),
        ("Glob(src/*)", "Glob", {"path": "src/a", "pattern": "{/etc,a}/*"}),
        ("Grep(src/*)", "Grep", {"path": "src/a", "pattern": "x", "include": "a/{b,..}/*"}),
        ("Bash(ls *)", "Bash", {"command": "ls a\u2028id"}),
    ],
)
def test_no_spelling_leads_out_of_a_pattern(request_of):
    rule, tool, params = request_of
    request = SSEPermissionEventData.model_construct(tool_name=tool, params=params)
    assert not parse_rule(rule).allows(request)
    within = {**params, "pattern": "**/*.{ts,tsx}", "include": "*.md", "command": "ls a"}
    assert parse_rule(rule).allows(SSEPermissionEventData.model_construct(tool_name=tool, params=within))


@pytest.mark.parametrize("rule", ["Write(", "Write( )", "Write(*.md", "Write)", "Write()", "Write(*.md))", "(*.md)", "", " ", "*",
                                  "Write Edit", "Write,Edit", "Write(a) b"])  # fmt: skip
def test_a_rule_that_cannot_be_read_is_refused_where_it_is_given(rule):
    for policy in ([rule], ("ReadText", rule), {rule}):
        with pytest.raises(MixInputError, match="is no rule"):
            Approvals(policy)
        with pytest.raises(MixInputError, match="is no rule"):
            ChatMix(permissions=policy)
    with pytest.raises(MixInputError, match="is no rule"):
        ChatMix().invoke("Hi", permissions=[rule])


@pytest.mark.parametrize(
    ("rule", "params"),
    [
        (("Wriet", "*.md"), {"file_path": "a.md"}),
        (("TodoWrite", "*"), {"todos": []}),
        (("Show", "*.md"), {"outputs": [{"path": "a.md"}], "path": "a.md"}),
        (("Task", "*"), {"prompt": "p", "query": "p"}),
        (("fs_write", "*.md"), {"file_path": "a.md", "path": "a.md", "command": "a.md"}),
    ],
)
def test_a_pattern_for_a_tool_that_takes_none_is_refused_where_it_is_given(rule, params):
    tool, pattern = rule
    with pytest.raises(MixInputError, match=f"{tool} takes no pattern") as caught:
        ChatMix(permissions=["ReadText", f"{tool}({pattern})"])
    assert "Bash, ReadText, ReadMedia, Write, Edit, Glob, Grep, Search, python_execution" in caught.value.hint
    assert not PermissionRule(tool, pattern).allows(
        SSEPermissionEventData.model_construct(tool_name=tool, params=params)
    )
    assert ChatMix(permissions=[tool]).permissions == [tool]


@pytest.mark.parametrize("field", ["permissions", "on_notification"])
def test_a_policy_that_there_is_not_is_refused_where_it_is_given(field):
    for call in (
        lambda: ChatMix(**{field: "alow"}),
        lambda: ChatMix().invoke("Hi", **{field: "alow"}),
        lambda: ChatMix().bind(**{field: "alow"}).invoke("Hi"),
        lambda: Mix("http://localhost:1").turn("S", "Hi", **{field: "alow"}),
        lambda: Mix("http://localhost:1").turn("S", "Hi", **{field: ["alow"]}),
    ):
        with pytest.raises(MixInputError, match="alow"):
            call()
