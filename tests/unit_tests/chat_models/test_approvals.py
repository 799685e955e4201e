"""What a rule allows. Whatever it cannot vouch for is a no."""

from __future__ import annotations

import pytest

from langchain_mix.chat_models.approvals import Approvals
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.events import SSEPermissionEventData


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
        ("Write(*.md", "Write", {"file_path": "a.md"}, False),
        ("Write()", "Write", {"file_path": ""}, False),
        ("Bash(ls *)", "Bash", {"command": "ls -la"}, True),
        ("Bash(ls *)", "Bash", {"command": "ls; rm -rf /"}, False),
        ("Bash(ls *)", "Bash", {"command": "ls $(rm x)"}, False),
        ("Bash(ls *)", "Bash", {"command": "ls x\nrm y"}, False),
        ("Bash(ls *)", "Bash", {"command": "ls > /etc/passwd"}, False),
        ("Bash(ls | wc)", "Bash", {"command": "ls | wc"}, True),
        ("Glob(src)", "Glob", {"path": "src", "pattern": "*.py"}, True),
        ("Glob(src)", "Glob", {"path": "src", "pattern": "../../etc/*"}, False),
        ("*", "Bash", {"command": "ls"}, False),
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
