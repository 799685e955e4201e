"""Cassettes as files: vcrpy's own format, in UTF-8 and readable.

Owns: how a cassette looks. Refuses to know: what is in it.

vcrpy reads these files, too: our data is in keys of its own, `x_order` in an answer and `x_about` at the top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # Its types are a package of their own, for one call.
from vcr.request import Request  # type: ignore[import-untyped]  # vcrpy has no types.
from vcr.serialize import deserialize, serialize  # type: ignore[import-untyped]  # The same.

from langchain_mix.testing.cassette_order import CassetteError
from langchain_mix.testing.scrubbing import find_secrets

_WIDE: Final = 1 << 20
_OTHER_BREAKS: Final = frozenset("\r\x85\u2028\u2029")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # The one in C is not always there.


def read_cassette(path: Path) -> tuple[list[Any], list[dict[str, Any]], dict[str, Any]]:
    """Reads a cassette: the requests, the answers, and what is said about all of it.

    Raises:
        CassetteError: There is none, or it is none.
    """
    if not path.is_file():
        raise CassetteError(
            f"There is no cassette at {path}.", hint='Record it: use_cassette(..., record="once"), with a server.'
        )
    try:
        whole = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506  # Both are safe ones.
        requests, answers = deserialize("", _Loaded(whole))
        about = dict(whole.get("x_about", {}))
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as problem:
        raise CassetteError(f"{path} is no cassette: {problem}", hint="Record it again.") from problem
    return requests, answers, about


def write_cassette(
    path: Path, requests: Sequence[Any], answers: Sequence[dict[str, Any]], about: Mapping[str, Any]
) -> None:
    """Writes a cassette, all of it or nothing; a file that is there is replaced.

    Raises:
        CassetteError: It holds what looks like a secret. Nothing is written.
    """
    head = _dumped({"x_about": dict(about)}) if about else ""
    text = head + serialize({"requests": requests, "responses": answers}, _Readable)
    found = find_secrets(text)
    if found:
        listed = "; ".join(f"{one.what} ({one.shown}…) in line {one.where}" for one in found[:5])
        raise CassetteError(
            f"{path} was not written: it would hold {listed}.", hint="Name the text in `replacements=`."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as file:
        file.write(text)


@contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    with NamedTemporaryFile("w", encoding="utf-8", newline="\n", dir=path.parent, suffix=".new", delete=False) as file:
        new = Path(file.name)
        try:
            yield file
        except BaseException:
            new.unlink()
            raise
    new.chmod(0o644)
    new.replace(path)


def request_of(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
    """A request as vcrpy has it."""
    return Request(method, url, body, dict(headers))


class _Loaded:
    """A serializer, as vcrpy wants one to read with, of what was read already."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def deserialize(self, _: str) -> Any:
        return self._whole


class _Readable:
    """A serializer, as vcrpy wants one to write with: texts of several lines are blocks, numbers in one line."""

    @staticmethod
    def serialize(cassette: Mapping[str, Any]) -> str:
        return _dumped(dict(cassette))


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # Without types it is Any.
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML says which parameters it takes.
        """Whatever comes twice is written twice."""
        return True


def _text(dumper: Any, text: str) -> Any:
    # A block keeps no line breaks but this one.
    style = '"' if _OTHER_BREAKS.intersection(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _list(dumper: Any, items: list[Any]) -> Any:
    numbers = bool(items) and all(type(item) is int for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=numbers)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


def _dumped(value: dict[str, Any]) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_WIDE))
