"""Who lacks an extra is told the line for pip, not just the name of a package they never asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from langchain_mix.extras import extra

WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == {away!r}:
            raise ModuleNotFoundError("No module named " + name, name=name)

sys.meta_path.insert(0, Without())
try:
    {statement}
except ModuleNotFoundError as error:
    print(error.name, "|", error)
"""


@pytest.mark.parametrize(
    ("statement", "away", "part", "extra"),
    [
        ("from langchain_mix import MixEmulator", "starlette", "MixEmulator", "emulator"),
        ("from langchain_mix.emulator import MixEmulator", "uvicorn", "MixEmulator", "emulator"),
        ("from langchain_mix.emulator import MixEmulator", "re2", "MixEmulator", "emulator"),
        ("from langchain_mix.testing import MixEmulator", "PIL", "MixEmulator", "testing"),
        ("from langchain_mix.testing import use_cassette", "vcr", "use_cassette", "testing"),
        ("import langchain_mix.testing.plugin", "pytest", "langchain_mix.testing.plugin", "testing"),
        (
            "from langchain_mix import MixRetriever; MixRetriever(stemming='german')",
            "Stemmer",
            "`stemming`",
            "stemming",
        ),
        ("from langchain_mix.notebook import show", "markdown_it", "langchain_mix.notebook", "notebook"),
    ],
)
def test_a_missing_extra_names_the_line_for_pip(statement, away, part, extra):
    code = WITHOUT.format(away=away, statement=statement)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    name, _, said = ran.stdout.partition(" | ")
    assert name.partition(".")[0] == away
    assert said.startswith(f"{part} needs {name}, which is not installed.")
    assert said.strip().endswith(f"pip install 'langchain-mix[{extra}]'")


@pytest.mark.parametrize("name", [None, "langchain_mix", "langchain_mix.emulator.nothing"])
def test_a_module_of_our_own_that_is_missing_is_no_extra(name):
    missing = ModuleNotFoundError("gone", name=name)
    with pytest.raises(ModuleNotFoundError) as caught, extra("emulator", part="It"):
        raise missing
    assert caught.value is missing


@pytest.mark.parametrize("package", ["emulator", "testing"])
def test_names_are_listed_before_they_are_imported(package):
    code = f"import langchain_mix.{package} as p; print(set(p.__all__) - set(dir(p)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


@pytest.mark.parametrize("away", ["starlette", "re2", "nothing"])
def test_all_names_are_imported_by_a_star_but_those_of_a_missing_extra(away):
    code = WITHOUT.format(away=away, statement="from langchain_mix import *; print(MixError, 'MixEmulator' in dir())")
    code += "\nimport langchain_mix; print({'MixEmulator', *langchain_mix.__all__} - set(dir()))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    there = away == "nothing"
    missing = "set()" if there else "{'MixEmulator'}"
    assert ran.stdout == f"<class 'langchain_mix.errors.MixError'> {there}\n{missing}\n"
