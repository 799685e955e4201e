from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.emulator.state import ApiError
from langchain_mix.emulator.state.files import inside, stored_name
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion

OLD, NEW = CAPABILITIES[ApiVersion.V0_6], CAPABILITIES[ApiVersion.V0_8]


@pytest.mark.parametrize(
    ("sent", "old", "new"),
    [
        ("a.txt", "a.txt", "a.txt"),
        ("../etc/passwd", "passwd", "passwd"),
        ("/abs/olute.md", "olute.md", "olute.md"),
        ("dir/", "dir", "dir"),
        ("my file.txt", "my_file.txt", "my_file.txt"),
        ("a \t\n\u00a0\u2003\u3000b.txt", "a_b.txt", "a_b.txt"),
        ("a__b___c.txt", "a_b_c.txt", "a_b_c.txt"),
        ("v1.2.3.tar.gz", "v1.2.3.tar.gz", "v1_2_3_tar.gz"),
        ("a . b.txt", "a_._b.txt", "a_b.txt"),
        (".env", ".env", ".env"),
        (".bashrc", ".bashrc", ".bashrc"),
        (".env.local", ".env.local", "_env.local"),
        ("..b", "..b", "_.b"),
        (".a.b", ".a.b", "_a.b"),
        ("trailing.", "trailing.", "trailing."),
        ("héllo 😀.pdf", "héllo_😀.pdf", "héllo_😀.pdf"),
        ("back\\slash.txt", "back\\slash.txt", "back\\slash.txt"),
        ("ctrl\x1c.txt", "ctrl\x1c.txt", "ctrl\x1c.txt"),
        ("a\ud800.txt", "a\ufffd.txt", "a\ufffd.txt"),
        ("...", "...", "_."),
    ],
)
def test_q28_names_are_rewritten(sent: str, old: str, new: str) -> None:
    assert (stored_name(sent, OLD), stored_name(sent, NEW)) == (old, new)


@pytest.mark.parametrize("sent", ["", "/", "//", ".", "..", "a/..", "nul\0.txt"])
def test_names_that_are_none_are_refused(sent: str) -> None:
    with pytest.raises(ApiError) as caught:
        stored_name(sent, OLD)
    assert (caught.value.status, caught.value.type) == (400, "validation_error")


@given(st.text(), st.sampled_from([OLD, NEW]))
def test_no_name_leads_anywhere(sent: str, caps: object) -> None:
    try:
        name = stored_name(sent, caps)  # type: ignore[arg-type]
    except ApiError:
        return
    assert "/" not in name
    assert name not in {"", ".", ".."}
    assert inside(name) == name
    assert stored_name(name, caps) == name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("a", "a"),
        ("a/b", "a/b"),
        ("a/../b", "b"),
        ("a//b/./c", "a/b/c"),
        ("...", "..."),
        ("..a", "..a"),
        ("", "."),
        (".", "."),
        ("a/..", "."),
        ("..", None),
        ("../a", None),
        ("a/../../b", None),
        ("/etc/passwd", None),
        ("//etc", None),
    ],
)
def test_only_names_inside_are_resolved(name: str, below: str | None) -> None:
    assert inside(name) == below
