from __future__ import annotations

import subprocess
import sys

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel

from langchain_mix.emulator import agents
from langchain_mix.emulator.agents import Script, make_agent
from langchain_mix.emulator.agents.model import ModelAgent
from langchain_mix.emulator.agents.offline import OfflineAgent


def test_makes_each_kind() -> None:
    assert isinstance(make_agent("offline"), OfflineAgent)
    script = Script("x")
    assert make_agent(script) is script
    assert isinstance(make_agent(GenericFakeChatModel(messages=iter([]))), ModelAgent)


@pytest.mark.parametrize("spec", ["", "online", "model:", "model: ", "Offline", 3, None, object()])
def test_names_the_choices(spec: object) -> None:
    with pytest.raises(ValueError, match='"offline"'):
        make_agent(spec)  # type: ignore[arg-type]


def test_says_when_langchain_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain.chat_models", None)
    with pytest.raises(ImportError, match=r"pip install 'langchain-mix\[agents\]"):
        make_agent("model:openai:x")


def test_every_public_name_is_there() -> None:
    for name in agents.__all__:
        assert getattr(agents, name) is not None
    with pytest.raises(AttributeError):
        agents.nothing  # noqa: B018


def test_scripts_load_neither_langchain_nor_pillow() -> None:
    code = (
        "import sys; from langchain_mix.emulator.agents import Script, make_agent; make_agent(Script('x'));"
        "print([m for m in ('langchain_core', 'PIL', 'starlette') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_earlier_names_are_aliases() -> None:
    assert agents.Brain is agents.Agent
    assert agents.ModelBrain is agents.ModelAgent
    assert agents.make_brain is agents.make_agent
