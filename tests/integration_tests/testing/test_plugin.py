"""The fixtures, in a project of somebody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.testing import plugin

pytest_plugins = ["pytester"]

CONFTEST = 'pytest_plugins = ["langchain_mix.testing.plugin"]\n'
EXAMPLE = """
import pytest
from langchain_mix import ChatMix
from langchain_mix.testing import CutStream, say, turn, use

def test_my_agent_reads_the_notes(mix_emulator):
    look = use("ReadText", {"file_path": "notes.txt"}, result="Buy milk.")
    server = mix_emulator(turn([*say("Let me look. "), look], "Buy milk!"), "You are welcome.")
    model = ChatMix(server_url=server.url)
    with model.client:
        reply = model.invoke("What do my notes say?")
    assert reply.text.endswith("Buy milk!")
    assert [r.path for r in server.requests if r.method == "POST"][0] == "/api/sessions"

@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_my_agent_survives_a_cut_stream(mix_emulator, api):
    server = mix_emulator("All of it, whatever happens.", api=api, faults=[CutStream(2)])
    model = ChatMix(server_url=server.url)
    with model.client:
        assert model.invoke("Go.").text == "All of it, whatever happens."

def test_two_servers_without_a_script(mix_emulator):
    one, other = mix_emulator(), mix_emulator(api="0.5")
    assert one.url != other.url
    model = ChatMix(server_url=one.url)
    with model.client:
        assert "42" in model.invoke("What is 6 times 7?").text
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    def forget_the_project(_: Any) -> None:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(pytester.path)):
                del sys.modules[name]

    # Forgetting all modules loads parts of the package twice: a client waits for ever for an event of the other class.
    monkeypatch.setattr("_pytest.pytester.SysModulesSnapshot.restore", forget_the_project)
    pytester.makeconftest(CONFTEST)
    pytester.makeini(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
        "filterwarnings =\n    error\n    ignore:Module already imported so cannot be rewritten\n"
    )
    return pytester


QUIET = ("-q", "-p", "no:codspeed", "-p", "no:langsmith_plugin", "-p", "no:cacheprovider")


def run(project: pytest.Pytester, *arguments: str) -> Any:
    """Runs the project's tests in this process."""
    return project.runpytest_inprocess(*QUIET, *arguments)


def test_the_example_of_the_documentation(project: pytest.Pytester) -> None:
    project.makepyfile(EXAMPLE)
    run(project).assert_outcomes(passed=4)


def test_options_reach_the_server_and_mistakes_are_told(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import httpx
        import pytest
        from langchain_mix.client import Mix
        from langchain_mix.testing import Faults, HttpError, Script, turn, use

        def answer(server, text="hello", api="0.8", **options):
            with Mix(server_url=server.url, api=api) as mix:
                session = mix.sessions.create(title="x")
                return mix.turn(session.id, text, **options).run().full_text

        def test_an_agent_of_ones_own(mix_emulator):
            assert answer(mix_emulator(agent=Script("from the agent"))) == "from the agent"

        def test_a_loop(mix_emulator):
            server = mix_emulator("once", loop=True)
            with Mix(server_url=server.url) as mix:
                session = mix.sessions.create(title="x").id
                assert [mix.turn(session, "a").run().full_text for _ in range(2)] == ["once", "once"]

        def test_a_sub_agent(mix_emulator):
            task = use("Task", {"description": "d", "prompt": "Count"}, id="t")
            server = mix_emulator(turn(task, "Done."), subagent=["Three."])
            with Mix(server_url=server.url) as mix:
                result = mix.turn(mix.sessions.create(title="x").id, "go").run()
            assert "Three." in result.tool_calls[0].output

        def test_faults_as_a_set(mix_emulator):
            faults = Faults(HttpError("GET /health", 503, count=None))
            server = mix_emulator(faults=faults)
            assert server.faults is faults
            assert httpx.get(f"{server.url}/health").status_code == 503

        def test_options_of_the_emulator(mix_emulator):
            assert mix_emulator(auth_required=True).state.auth_required

        def test_both_is_an_error(mix_emulator):
            with pytest.raises(ValueError, match="not both"):
                mix_emulator("text", agent=Script())
    """)
    run(project).assert_outcomes(passed=6)


def test_servers_stop_with_their_test(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import httpx
        import pytest
        URL = []

        def test_one(mix_emulator):
            URL.append(mix_emulator().url)

        def test_two():
            with pytest.raises(httpx.ConnectError):
                httpx.get(URL[0])
    """)
    run(project).assert_outcomes(passed=2)


CASSETTE_TEST = """
    import os
    import httpx
    import pytest

    URL = os.environ["HEALTH_URL"]

    @pytest.mark.parametrize("what", ["a/b c"])
    def test_health(mix_cassette, what):
        assert httpx.get(URL + "/health").status_code == 200
"""


def test_a_cassette_named_after_its_test(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    from langchain_mix.emulator import MixEmulator

    project.makepyfile(test_things=CASSETTE_TEST)
    monkeypatch.setenv("HEALTH_URL", "http://mix.invalid")
    run(project).assert_outcomes(errors=1)
    with MixEmulator("0.8") as server:
        monkeypatch.setenv("HEALTH_URL", server.url)
        run(project, "--mix-record=once").assert_outcomes(passed=1)
        assert len(server.requests) == 1
    assert (project.path / "cassettes" / "test_things" / "test_health-a-b-c.yaml").is_file()
    monkeypatch.setenv("HEALTH_URL", "http://mix.invalid")
    run(project).assert_outcomes(passed=1)


def test_what_does_not_use_it_does_not_pay_for_it() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import langchain_mix.testing.plugin, langchain_mix.testing;"
        "print({m.split('.')[0] for m in set(sys.modules) - before} & {'httpx','vcr','yaml','starlette','uvicorn','pydantic','langchain_core'})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_every_public_name_can_be_imported() -> None:
    from langchain_mix import testing

    for name in testing.__all__:
        assert getattr(testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = testing.Nothing


def test_how_to_enable_it_is_documented() -> None:
    assert CONFTEST.strip() in (plugin.__doc__ or "")
    assert Path(plugin.__file__).name == "plugin.py"
