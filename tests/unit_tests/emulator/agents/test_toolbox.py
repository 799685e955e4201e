from __future__ import annotations

import io
import json
import os
import time
import wave
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from langchain_mix.emulator.agents.base import Outcome, Request
from langchain_mix.emulator.agents.toolbox import FileToolbox

BOX = FileToolbox()


async def run(request: Request, name: str, **arguments: object) -> Outcome:
    return await BOX.run(name, arguments, request)


async def test_reads_with_line_numbers_offset_and_limit(request_: Request) -> None:
    (request_.uploads / "a.txt").write_text("one\ntwo\nthree\n")
    assert (await run(request_, "ReadText", file_path="a.txt")).output == "     1|one\n     2|two\n     3|three"
    part = await run(request_, "ReadText", file_path=str(request_.uploads / "a.txt"), offset=1, limit=1)
    assert part.output == "     2|two\n(File has more lines. Use 'offset' 2 to read on)"
    assert (await run(request_, "ReadText", file_path="a.txt", offset=3)).is_error


async def test_the_workspace_comes_before_the_uploads(request_: Request) -> None:
    (request_.uploads / "a.txt").write_text("upload")
    (request_.workspace / "a.txt").write_text("own")
    assert (await run(request_, "ReadText", file_path="a.txt")).output.endswith("own")


async def test_long_files_are_cut_with_a_note_never_silently(request_: Request) -> None:
    (request_.uploads / "big.txt").write_text("\n".join(f"line {i} " + "x" * 200 for i in range(5000)))
    seen, offset = 0, 0
    while True:
        lines = (await run(request_, "ReadText", file_path="big.txt", offset=offset, limit=20_000)).output.split("\n")
        note = lines.pop() if lines[-1].startswith("(File has more") else ""
        seen += len(lines)
        if not note:
            break
        offset = int(note.split("'offset' ")[1].split()[0])
    assert seen == 5000
    (request_.uploads / "wide.txt").write_text("y" * 3000)
    assert "(line cut)" in (await run(request_, "ReadText", file_path="wide.txt")).output


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0", b"a\0b", bytes(range(1, 32)) * 10 + b"\xff"])
async def test_binary_is_refused(request_: Request, content: bytes) -> None:
    (request_.uploads / "b.bin").write_bytes(content)
    outcome = await run(request_, "ReadText", file_path="b.bin")
    assert outcome.is_error
    assert "not a text file" in outcome.output


async def test_encodings(request_: Request) -> None:
    for name, encoding in (("u16", "utf-16"), ("bom", "utf-8-sig"), ("win", "cp1252")):
        (request_.uploads / name).write_bytes("naïve café".encode(encoding))
        assert (await run(request_, "ReadText", file_path=name)).output == "     1|naïve café"


HOSTILE = [
    "../secret.txt",
    "/etc/passwd",
    "a/../../secret.txt",
    "..",
    "/",
    "a\0b",
    "\ud800",
    "x" * 5000,
    "https://example.com/a",
    "file:///etc/passwd",
    "/proc/self/environ",
]


@pytest.mark.parametrize("path", HOSTILE)
async def test_hostile_paths_are_error_results(request_: Request, path: str) -> None:
    (request_.workspace.parent / "secret.txt").write_text("secret a")
    before = sorted(request_.workspace.parent.rglob("*"))
    for tool, more in {
        "ReadText": {},
        "Write": {"content": "x"},
        "Edit": {"old_string": "a", "new_string": "b"},
        "ReadMedia": {"media_type": "image", "prompt": "?"},
    }.items():
        assert (await run(request_, tool, file_path=path, **more)).is_error, tool
    assert sorted(request_.workspace.parent.rglob("*")) == before
    assert (request_.workspace.parent / "secret.txt").read_text() == "secret a"


@pytest.mark.parametrize("path", ["..", "/etc", "../..", "a/../.."])
async def test_searching_outside_is_refused(request_: Request, path: str) -> None:
    assert (await run(request_, "Glob", pattern="*", path=path)).is_error
    assert (await run(request_, "Grep", pattern="root", path=path)).is_error
    assert (await run(request_, "Glob", pattern=f"{path}/*")).is_error or ".." not in path


async def test_links_out_of_the_directories_lead_nowhere(request_: Request, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (request_.workspace / "dir").symlink_to(outside)
    (request_.uploads / "file.txt").symlink_to(outside / "secret.txt")
    (request_.workspace / "loop").symlink_to(request_.workspace / "loop")
    for path in ("dir/secret.txt", "file.txt", "loop"):
        assert (await run(request_, "ReadText", file_path=path)).is_error, path
    assert (await run(request_, "Write", file_path="dir/new.txt", content="x")).is_error
    assert not (outside / "new.txt").exists()
    assert (await run(request_, "Grep", pattern="secret")).output == "No files found"
    assert "secret" not in (await run(request_, "Glob", pattern="**/*")).output
    assert "file.txt" not in (await run(request_, "Glob", pattern="**/*")).output


async def test_links_inside_are_followed(request_: Request) -> None:
    (request_.uploads / "real.txt").write_text("yes")
    (request_.workspace / "link.txt").symlink_to(request_.uploads / "real.txt")
    assert (await run(request_, "ReadText", file_path="link.txt")).output == "     1|yes"
    assert (await run(request_, "Write", file_path="link.txt", content="no")).is_error


async def test_a_pipe_is_not_waited_for(request_: Request) -> None:
    os.mkfifo(request_.workspace / "pipe")
    assert (await run(request_, "ReadText", file_path="pipe")).is_error
    assert (await run(request_, "Grep", pattern="x")).output == "No files found"


async def test_names_that_are_no_unicode_are_shown_replaced(request_: Request) -> None:
    (request_.uploads / os.fsdecode(b"a\xff.txt")).write_text("hit")
    for outcome in (await run(request_, "Glob", pattern="*"), await run(request_, "Grep", pattern="hit")):
        assert "a\ufffd.txt" in outcome.output
        json.dumps(outcome.output).encode()


async def test_glob_lists_both_directories_sorted(request_: Request) -> None:
    for path in (request_.uploads / "b.csv", request_.uploads / "sub" / "c.csv", request_.workspace / "z.csv"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    found = (await run(request_, "Glob", pattern="**/*.csv")).output.split("\n")
    assert [Path(p).name for p in found] == ["z.csv", "b.csv", "c.csv"]
    assert (await run(request_, "Glob", pattern="*.none")).output == "No files found"
    for i in range(150):
        (request_.uploads / f"n{i}.txt").write_text("x")
    many = (await run(request_, "Glob", pattern="*.txt")).output.split("\n")
    assert len([p for p in many if p.startswith("/")]) == 100
    assert "truncated" in many[-1]


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("hit")


@pytest.mark.parametrize(
    "hidden",
    [
        ".secret.txt",
        ".cache/a.txt",
        "node_modules/a.txt",
        "a/build/b.txt",
        "a/tmp",
        "logs/x/y.txt",
        "__pycache__/a.txt",
    ],
)
async def test_looking_around_meets_no_hidden_files(request_: Request, hidden: str) -> None:
    for root in (request_.workspace, request_.uploads):
        put(root, hidden, "seen.txt", "a/builds/c.txt")
    globbed = (await run(request_, "Glob", pattern="**/*")).output
    grepped = (await run(request_, "Grep", pattern="hit")).output
    assert [globbed.count(f"/{name}") for name in (hidden, "seen.txt", "a/builds/c.txt")] == [0, 2, 2]
    assert [grepped.count(f"/{name}") for name in (hidden, "seen.txt", "a/builds/c.txt")] == [0, 2, 2]
    assert (await run(request_, "ReadText", file_path=hidden)).output == "     1|hit", "who knows the name can read it"


async def test_naming_a_directory_of_tools_shows_nothing_of_it(request_: Request) -> None:
    put(request_.uploads, ".cache/a.txt", "vendor/lib/a.txt")
    for where, found in ((".cache", True), ("vendor", False), ("vendor/lib", False)):
        assert ("a.txt" in (await run(request_, "Glob", pattern="*", path=where)).output) == found
        assert ("a.txt" in (await run(request_, "Grep", pattern="hit", path=where)).output) == found


async def test_grep_regex_literal_include_and_limit(request_: Request) -> None:
    (request_.uploads / "a.py").write_text("def f(x):\n    return x\n")
    (request_.uploads / "a.txt").write_text("f(x) is a call\n")
    (request_.uploads / "a.bin").write_bytes(b"f(x)\0")
    assert "Line 1: def f(x):" in (await run(request_, "Grep", pattern=r"f\(\w\)", include="*.py")).output
    literal = (await run(request_, "Grep", pattern="f(x)", literal_text=True)).output
    assert literal.startswith("Found 2 matches")
    assert "a.bin" not in literal
    assert (await run(request_, "Grep", pattern="(")).is_error
    (request_.uploads / "many.txt").write_text("hit\n" * 300)
    many = (await run(request_, "Grep", pattern="hit")).output
    assert many.count("Line ") == 100
    assert "truncated" in many


async def test_a_regex_bomb_ends_within_its_time(request_: Request) -> None:
    (request_.uploads / "a.txt").write_text(("a" * 5000 + "!\n") * 200)
    box = FileToolbox(search_seconds=1.0)
    started = time.monotonic()
    outcome = await box.run("Grep", {"pattern": "(a+)+$|((a|aa)+)+b"}, request_)
    assert time.monotonic() - started < 10
    assert outcome.output == "No files found" or "stopped after" in outcome.output


async def test_grep_says_when_its_time_is_over(request_: Request) -> None:
    (request_.uploads / "a.txt").write_text("no\n" * 10)
    outcome = await FileToolbox(search_seconds=-1).run("Grep", {"pattern": "x"}, request_)
    assert outcome.is_error
    assert "stopped" in outcome.output


async def test_write_and_edit(request_: Request) -> None:
    assert not (await run(request_, "write", file_path="d/new.txt", content="one\r\ntwo\n")).is_error
    path = request_.workspace / "d" / "new.txt"
    assert path.read_bytes() == b"one\r\ntwo\n"
    assert not (await run(request_, "Edit", file_path=str(path), old_string="one", new_string="eins")).is_error
    assert path.read_bytes() == b"eins\r\ntwo\n"
    assert "not found" in (await run(request_, "Edit", file_path="d/new.txt", old_string="zzz", new_string="")).output
    path.write_text("x x")
    twice = await run(request_, "Edit", file_path="d/new.txt", old_string="x", new_string="y")
    assert twice.is_error
    assert "2 times" in twice.output
    assert path.read_text() == "x x"
    assert (await run(request_, "Edit", file_path="d/new.txt", old_string="", new_string="y")).is_error
    assert (await run(request_, "Write", file_path="d", content="x")).is_error
    assert (await run(request_, "Write", file_path="d/new.txt/deeper", content="x")).is_error
    assert (await run(request_, "Write", file_path="s.txt", content="\ud800")).is_error
    assert [p.name for p in path.parent.iterdir()] == ["new.txt"]


async def test_uploads_are_never_written(request_: Request) -> None:
    (request_.uploads / "a.txt").write_text("keep")
    assert (await run(request_, "Write", file_path=str(request_.uploads / "a.txt"), content="x")).is_error
    assert (
        await run(request_, "Edit", file_path=str(request_.uploads / "a.txt"), old_string="keep", new_string="x")
    ).is_error
    assert (request_.uploads / "a.txt").read_text() == "keep"


def test_what_asks(request_: Request) -> None:
    bash = BOX.asks("bash", {"command": "make"}, request_)
    assert bash is not None
    assert bash.description.startswith("Execute command: make")
    assert bash.action.startswith("Execute command: ")
    assert (bash.path, bash.params) == (str(request_.workspace), {"command": "make", "timeout": 0})
    write = BOX.asks("Write", {"file_path": "sub/a.txt", "content": "hello"}, request_)
    assert write is not None
    assert write.path == str(request_.workspace / "sub")
    assert "+hello" in write.params["diff"]
    (request_.workspace / "e.txt").write_text("old")
    edit = BOX.asks("Edit", {"file_path": "e.txt", "old_string": "old", "new_string": "new"}, request_)
    assert edit is not None
    assert "-old" in edit.params["diff"]
    assert (request_.workspace / "e.txt").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ReadText", {"file_path": "a"}), ("Glob", {"pattern": "*"}), ("Grep", {"pattern": "a"}), ("TodoWrite", {"todos": []}),
        ("ExitPlanMode", {"plan": "p"}), ("Show", {"outputs": []}), ("Write", {"file_path": "../x", "content": ""}), ("Edit", {}), ("Bash", {}), ("Nope", {}),
    ],
)  # fmt: skip
def test_what_does_not_ask(request_: Request, name: str, arguments: dict[str, object]) -> None:
    assert BOX.asks(name, arguments, request_) is None


async def test_permission_for_a_huge_write_is_requested_quickly(request_: Request) -> None:
    (request_.workspace / "a.txt").write_text("".join(f"{i}\n" for i in range(60_000)))
    started = time.monotonic()
    ask = BOX.asks(
        "Write", {"file_path": "a.txt", "content": "".join(f"{i} \n" for i in range(60_000, 0, -1))}, request_
    )
    assert time.monotonic() - started < 3
    assert ask is not None
    assert len(ask.params["diff"]) < 25_000


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Bash", "runs no commands"),
        ("Search", "no network"),
        ("WebFetch", "no network"),
    ],
)
async def test_nothing_is_executed_or_fetched(request_: Request, name: str, word: str, tmp_path: Path) -> None:
    outcome = await run(request_, name, command=f"touch {tmp_path}/ran", query="x", url="http://127.0.0.1/", code="1")
    assert outcome.is_error
    assert word in outcome.output
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["Nope", "", "Task", "python_execution"])
async def test_unknown_tools(request_: Request, name: str) -> None:
    assert await run(request_, name) == Outcome(f"Tool not found: {name}", is_error=True)


async def test_a_tool_that_the_turn_has_not_is_not_found(request_: Request) -> None:
    request = replace(request_, tools=("ReadText",))
    assert await run(request, "Write", file_path="a", content="b") == Outcome("Tool not found: Write", is_error=True)
    assert BOX.asks("Write", {"file_path": "a", "content": "b"}, request) is None


@pytest.mark.parametrize("name", ["todo_write", "TodoWrite", "TODOWRITE"])
async def test_names_are_compared_without_case_and_underscores(request_: Request, name: str) -> None:
    assert not (await run(request_, name, todos=[])).is_error


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ReadText", {}), ("ReadText", {"file_path": 3}), ("ReadText", {"file_path": "a.txt", "offset": -1}), ("ReadText", {"file_path": "a.txt", "limit": "many"}),
        ("ReadText", {"file_path": "a.txt", "offset": True}), ("Glob", {"pattern": None}), ("Grep", {"pattern": []}), ("Write", {"file_path": "a"}),
        ("TodoWrite", {"todos": "x"}), ("TodoWrite", {"todos": [{"id": "1"}]}), ("ExitPlanMode", {}), ("Show", {"outputs": [{"type": "image", "title": "x"}]}),
        ("Show", {"outputs": [{"type": "image", "title": "x", "path": "missing.png"}]}), ("Show", {"outputs": []}), ("ReadMedia", {"file_path": "a.txt", "media_type": "smell", "prompt": "?"}),
    ],
)  # fmt: skip
async def test_wrong_arguments_are_error_results(request_: Request, name: str, arguments: dict[str, object]) -> None:
    (request_.uploads / "a.txt").write_text("x")
    assert (await BOX.run(name, arguments, request_)).is_error


async def test_todos_and_plans(request_: Request) -> None:
    todo = {"id": "1", "content": "tea", "status": "pending", "priority": "low"}
    assert '"tea"' in (await run(request_, "TodoWrite", todos=[todo])).output
    assert (await run(request_, "TodoWrite", todos=[todo, todo])).is_error
    assert "boil" in (await run(request_, "ExitPlanMode", plan="boil")).output


def sound(seconds: float) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0" * round(8000 * 4 * seconds))
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "kind", "facts"),
    [
        (sound(0.5), "audio", "WAV audio, 2 channel(s), 8000 Hz, 0.500 s"),
        (b"ID3\x04" + bytes(20), "audio", "MP3 audio"),
        (b"\x1aE\xdf\xa3" + bytes(20), "video", "Matroska or WebM video"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "video", "MPEG-4 video"),
    ],
)
async def test_sounds_and_films_are_recognised(request_: Request, content: bytes, kind: str, facts: str) -> None:
    (request_.uploads / "m").write_bytes(content)
    found = json.loads((await run(request_, "ReadMedia", file_path="m", media_type=kind, prompt="?")).output)
    assert found["summary"] == f"m: {facts}"
    (request_.uploads / "m").write_bytes(content[:8])
    assert (await run(request_, "ReadMedia", file_path="m", media_type="pdf", prompt="?")).is_error


async def test_what_is_shown_is_named_and_files_are_checked(request_: Request) -> None:
    moving = {"type": "gsap_animation", "title": "Ball"}
    assert (await run(request_, "Show", outputs=[moving])).is_error
    outputs = [moving | {"config": {}}, {"type": "video", "title": "Film", "path": "https://example.com/f.mp4"}]
    assert (await run(request_, "Show", outputs=outputs)).output.splitlines()[1:] == [
        "- Ball (gsap_animation)",
        "- Film (video): https://example.com/f.mp4 (not checked: no network)",
    ]
    assert (await run(request_, "Show", outputs=[{"type": "smell", "title": "x", "path": "a"}])).is_error


async def test_media_facts_are_reported_without_a_model(request_: Request) -> None:
    Image.new("RGB", (30, 20)).save(request_.uploads / "p.png")
    (request_.uploads / "d.pdf").write_bytes(b"%PDF-1.7\n")
    found = json.loads(
        (await run(request_, "ReadMedia", file_path="p.png", media_type="image", prompt="What is it?")).output
    )
    assert "30x20" in found["results"][0]["analysis"]
    assert "looks at no media" in found["results"][0]["analysis"]
    assert "PDF 1.7" in (await run(request_, "ReadMedia", file_path="d.pdf", media_type="pdf", prompt="?")).output
    assert (await run(request_, "ReadMedia", file_path="d.pdf", media_type="image", prompt="?")).is_error
    shown = await run(request_, "ShowMedia", outputs=[{"type": "image", "title": "P", "path": "p.png"}])
    assert str(request_.uploads / "p.png") in shown.output
