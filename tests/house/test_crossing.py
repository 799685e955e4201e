"""Tests of several axes run pairwise by default, and in full under the marker `exhaustive`."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations, product

import pytest

from tests.crossing import cover

pytest_plugins = ["pytester"]

APIS = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
FAULTS = tuple(range(7))


def crossed(**axes):
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def met(cases, one, other):
    return {(case[one], case[other]) for case in cases}


def test_every_pair_of_values_meets():
    cases = crossed(fault=FAULTS, size=(0, 1, 64), place=("a", "b", "c", "d"))
    chosen = [cases[i] for i in cover(cases)]
    for one, other in combinations(cases[0], 2):
        assert met(chosen, one, other) == met(cases, one, other)
    assert len(chosen) < len(cases) / 2


def test_a_scenario_runs_on_every_other_generation_and_in_one_of_two_ways():
    """A number of scenarios runs on all generations and in both ways, each with half of them."""
    cases = crossed(fault=FAULTS, api=APIS, shell=("sync", "async"))
    chosen = [cases[i] for i in cover(cases)]
    assert {case["api"] for case in chosen} == set(APIS)
    assert {case["shell"] for case in chosen} == {"sync", "async"}
    for fault in FAULTS:
        of_fault = [case for case in chosen if case["fault"] == fault]
        assert {APIS.index(case["api"]) % 2 for case in of_fault} in ({0}, {1})
        assert len({case["api"] for case in of_fault}) == 3
        assert len(of_fault) == 3


def test_of_many_scenarios_every_other_one_runs_in_the_same_way():
    cases = crossed(fault=FAULTS, called=("sync", "async"))
    chosen = [cases[i] for i in cover(cases)]
    assert [case["fault"] for case in chosen if case["called"] == "sync"] in ([0, 2, 4, 6], [1, 3, 5])
    assert [case["fault"] for case in sorted(chosen, key=lambda case: case["fault"])] == list(FAULTS)


def test_few_scenarios_run_in_every_way():
    cases = crossed(fault=FAULTS[:3], called=("sync", "async"))
    assert cover(cases) == set(range(len(cases)))


def test_ways_and_generations_of_scenarios_all_meet_in_several_tests():
    cases = crossed(fault=FAULTS, api=APIS, mode=("invoke", "stream", "ainvoke", "astream"))
    everywhere = [cases[i] for name in map(str, range(40)) for i in cover(cases, name)]
    for one, other in combinations(cases[0], 2):
        assert met(everywhere, one, other) == met(cases, one, other)


@pytest.mark.parametrize("few", [APIS[:2], APIS[3:]], ids=len)
def test_few_generations_all_run(few):
    cases = crossed(api=few, shell=("sync", "async"))
    assert {cases[i]["api"] for i in cover(cases)} == set(few)


def test_generations_and_modes_of_one_scenario_meet_in_several():
    cases = crossed(where=APIS, shell=("sync", "async"))
    for name in "abc":
        chosen = [cases[i] for i in cover(cases, name)]
        assert len({case["where"] for case in chosen}) == 3
        assert {case["shell"] for case in chosen} == {"sync", "async"}
        assert len(chosen) == 3
    everywhere = [cases[i] for name in map(str, range(40)) for i in cover(cases, name)]
    assert met(everywhere, "where", "shell") == met(cases, "where", "shell")


@pytest.mark.parametrize("axes", [{"fault": FAULTS}, {"fault": FAULTS, "size": (0, 1)}], ids=len)
def test_one_axis_and_two_run_in_full(axes):
    cases = crossed(**axes)
    assert cover(cases) == set(range(len(cases)))


def test_axes_that_only_meet_in_part_are_covered_as_far_as_they_meet():
    cases = [
        case
        for case in crossed(fault=FAULTS, size=(0, 1, 64), shell=("sync", "async"))
        if case["size"] or case["fault"] > 2
    ]
    chosen = [cases[i] for i in cover(cases)]
    assert met(chosen, "fault", "size") == met(cases, "fault", "size")


def test_all_processes_choose_the_same():
    code = "from tests.house.test_crossing import *; print(sorted(cover(crossed(a=FAULTS, b=APIS, c=APIS), 'name')))"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in "12"
    }
    assert len(runs) == 1


def test_the_rest_is_marked_and_nothing_is_lost(pytester):
    pytester.makeconftest("from tests.conftest import pytest_collection_modifyitems")
    pytester.makeini("[pytest]\nmarkers = exhaustive\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile("""
        import pytest

        @pytest.fixture(params=["sync", "async"])
        def shell(request):
            return request.param

        @pytest.mark.parametrize(("fault", "api"), [(f, a) for f in (object(), {}, []) for a in "56"])
        def test_faults(shell, fault, api):
            pass

        def test_plain():
            pass
    """)
    pytester.runpytest_inprocess("-m", "not exhaustive").assert_outcomes(passed=7, deselected=6)
    pytester.runpytest_inprocess("-m", "exhaustive").assert_outcomes(passed=6, deselected=7)


def test_a_member_of_an_enumeration_and_its_string_are_two_values(pytester):
    pytester.makeconftest("from tests.conftest import pytest_collection_modifyitems")
    pytester.makeini("[pytest]\nmarkers = exhaustive\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile("""
        import pytest
        from enum import StrEnum

        class Mode(StrEnum):
            LOCAL = "local"

        @pytest.mark.parametrize("browser_mode", [Mode.LOCAL, "local"])
        @pytest.mark.parametrize("fault", ["a", "b"])
        def test_faults(fault, browser_mode):
            pass
    """)
    pytester.runpytest_inprocess("-m", "not exhaustive").assert_outcomes(passed=4)


def test_what_a_test_marks_itself_covers_nothing(pytester):
    pytester.makeconftest("from tests.conftest import pytest_collection_modifyitems")
    pytester.makeini("[pytest]\nmarkers = exhaustive\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile("""
        import pytest

        LONG = pytest.param(100, marks=pytest.mark.exhaustive)

        @pytest.mark.parametrize("length", [LONG, 1])
        @pytest.mark.parametrize("shell", ["sync", "async"])
        @pytest.mark.parametrize("fault", ["a", "b"])
        def test_faults(fault, shell, length):
            pass
    """)
    pytester.runpytest_inprocess("-m", "not exhaustive").assert_outcomes(passed=4, deselected=4)
