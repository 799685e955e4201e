"""The table of generations, and how one is recognised."""

from __future__ import annotations

import itertools
from dataclasses import fields
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.errors import MixConfigurationError, MixUnsupportedError
from langchain_mix.protocol.api import (
    ALL,
    CAPABILITIES,
    UNKNOWN,
    ApiKnowledge,
    ApiName,
    ApiVersion,
    Capabilities,
    before,
    having,
    parse_api,
    require,
    seen_in_event,
    seen_in_session,
    since,
)

V = ApiVersion
VERSIONS = st.sets(st.sampled_from(ALL), min_size=1)
FLAGS = [f.name for f in fields(Capabilities) if f.name not in {"session_fields", "message_fields", "title_limit"}]


def test_every_name_is_read_and_no_other() -> None:
    assert [parse_api(n) for n in get_args(ApiName)] == [None, *ALL]
    for name in ("", "0.4", "latest", "0.80"):
        with pytest.raises(MixConfigurationError, match=repr(name)) as caught:
            parse_api(name)
        assert "'0.6.5'" in caught.value.hint


@pytest.mark.parametrize(
    ("field", "versions"),
    [
        ("send_waits", {V.V0_5, V.V0_6}),
        ("close_cancels", {V.V0_5, V.V0_6}),
        ("stream_write", {V.V0_5}),
        ("send_streams", set(ALL) - {V.V0_5}),
        ("heartbeat_in_turn", set(ALL) - {V.V0_5}),
        ("fork", set(before(V.V0_8))),
        ("tools_status", set(before(V.V0_8))),
        ("errors_twice", set(since(V.V0_6_5))),
        ("user_message_created", set(since(V.V0_7))),
        ("message_ids", set(since(V.V0_7))),
        ("callbacks", set(since(V.V0_7))),
        ("subagents", set(since(V.V0_7))),
        ("llm_tools", set(since(V.V0_7))),
        ("oauth_health", set(since(V.V0_6_5))),
        ("browser_mode", set(since(V.V0_8))),
        ("notifications", set(since(V.V0_8))),
        ("screenshots", set(since(V.V0_8))),
        ("tool_use_events", set(since(V.V0_8))),
        ("tool_results", set(since(V.V0_8))),
        ("message_usage", set(since(V.V0_8))),
        ("preferences", set(before(V.NEXT))),
    ],
)
def test_the_capability_matrix(field: str, versions: set[ApiVersion]) -> None:
    assert set(having(field)) == versions
    assert set(having(field, value=False)) == set(ALL) - versions


def test_strict_bodies_only_grow() -> None:
    for older, newer in itertools.pairwise(ALL):
        assert CAPABILITIES[older].session_fields <= CAPABILITIES[newer].session_fields
        assert CAPABILITIES[older].message_fields <= CAPABILITIES[newer].message_fields


@given(detected=VERSIONS, evidence=VERSIONS)
def test_evidence_narrows_and_contradiction_starts_over(detected: set[ApiVersion], evidence: set[ApiVersion]) -> None:
    narrowed = ApiKnowledge(detected).narrow(evidence)
    assert narrowed == (detected & evidence or evidence)
    assert narrowed.narrow(evidence) == narrowed


@given(detected=VERSIONS, field=st.sampled_from(FLAGS))
def test_agreement_is_unanimous(detected: set[ApiVersion], field: str) -> None:
    values = {getattr(CAPABILITIES[v], field) for v in detected}
    assert ApiKnowledge(detected).supports(field) is (values.pop() if len(values) == 1 else None)


@given(detected=VERSIONS)
def test_one_generation_left_is_the_version(detected: set[ApiVersion]) -> None:
    assert ApiKnowledge(detected).version == (next(iter(detected)) if len(detected) == 1 else None)
    assert ApiKnowledge(detected).newest == max(detected, key=ALL.index)


@pytest.mark.parametrize(
    ("keys", "versions"),
    [
        ({"id"}, before(V.V0_7)),
        ({"sessionType"}, (V.V0_7,)),
        ({"sessionType", "browserMode"}, since(V.V0_8)),
        ({"sessionType", "browserMode", "modelId"}, (V.NEXT,)),
        ({"provider"}, (V.NEXT,)),
    ],
)
def test_a_session_shows_its_generation(keys: set[str], versions: tuple[ApiVersion, ...]) -> None:
    assert seen_in_session(dict.fromkeys(keys)) == versions


@pytest.mark.parametrize(
    ("name", "keys", "versions"),
    [
        ("tool", {}, before(V.V0_8)),
        ("tool_use_start", {}, since(V.V0_8)),
        ("notification", {}, since(V.V0_8)),
        ("user_message_created", {}, since(V.V0_7)),
        ("content", {"assistantMessageId": "M"}, since(V.V0_7)),
        ("content", {}, ALL),
        ("tool_execution_start", {}, ALL),
        ("brand_new", {}, ALL),
        ("tool_use_paused", {}, ALL),
    ],
)
def test_an_event_shows_its_generation(name: str, keys: dict[str, str], versions: tuple[ApiVersion, ...]) -> None:
    assert seen_in_event(name, keys) == versions


def test_what_no_possible_generation_can_do_is_refused_by_name() -> None:
    require(UNKNOWN, "fork", "Forking")
    require([V.V0_7, V.V0_8], "fork", "Forking")
    with pytest.raises(MixUnsupportedError, match=r"Forking.*0\.8") as caught:
        require([V.V0_8], "fork", "Forking")
    assert "0.5, 0.6, 0.6.5, 0.7" in caught.value.hint
