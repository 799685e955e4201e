"""No text is taken for a command by accident."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_mix.protocol.api import ALL, UNKNOWN, ApiKnowledge, ApiVersion
from langchain_mix.protocol.guard import GUARD, guarded

# What Go's strings.TrimSpace takes away, the most that a server may trim.
GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


@given(space=st.text(GO_SPACE, max_size=4), text=st.text(max_size=10), version=st.sampled_from(ALL))
@example("", "/help", ApiVersion.V0_8)
@example(" \n", "/etc/x.txt please read", ApiVersion.V0_5)
def test_no_message_begins_with_a_slash_after_what_a_server_trims(space: str, text: str, version: ApiVersion) -> None:
    sent = guarded(space + text, ApiKnowledge([version]))
    assert not sent.strip(GO_SPACE).startswith("/")
    assert sent in {space + text, GUARD + space + text}


@pytest.mark.parametrize("text", ["", "hello", "a/b", "5/3", "Hi!", "\\/x", "."])
def test_other_texts_go_out_as_they_are(text: str) -> None:
    assert guarded(text, UNKNOWN) == text


@pytest.mark.parametrize("text", ["!ls", " !rm -rf /", "\n!x"])
def test_a_shell_escape_is_guarded_where_a_shell_may_listen(text: str) -> None:
    assert guarded(text, ApiKnowledge([ApiVersion.V0_5])) == GUARD + text
    assert guarded(text, UNKNOWN) == GUARD + text
    assert guarded(text, ApiKnowledge([ApiVersion.V0_6, ApiVersion.V0_8])) == text
