"""Tool names of every generation, and the inputs and outputs of each tool as documented."""

import json

import pytest
from pydantic import ValidationError

from langchain_mix.protocol import tools
from langchain_mix.protocol.models.base import Payload
from langchain_mix.protocol.tools import CoreToolName, same_tool

SPELLINGS = [
    ["bash", "Bash"],
    ["ReadText"],
    ["glob", "Glob"],
    ["ReadMedia"],
    ["grep", "Grep"],
    ["write", "Write"],
    ["edit", "Edit"],
    ["python_execution"],
    ["search", "Search"],
    ["todo_write", "TodoWrite"],
    ["exit_plan_mode", "ExitPlanMode"],
    ["show_media", "ShowMedia"],
    ["Show"],
    ["task", "Task"],
]


def test_every_generations_spelling_finds_its_tool_and_no_other():
    found = [{CoreToolName(spelling) for spelling in group} for group in SPELLINGS]
    assert all(len(group) == 1 for group in found)
    assert {member for group in found for member in group} == set(CoreToolName)


def test_same_tool_ignores_case_and_underscores_only():
    assert same_tool("todo_write", "TodoWrite")
    assert same_tool("EXIT_PLAN_MODE", "exitplanmode")
    assert not same_tool("Show", "ShowMedia")
    assert not same_tool("todo-write", "TodoWrite")
    assert not same_tool("", "Bash")


def test_an_unknown_tool_is_no_core_tool():
    with pytest.raises(ValueError, match="Notify"):
        CoreToolName("Notify")
    with pytest.raises(ValueError, match="None"):
        CoreToolName(None)


INPUTS = [
    (tools.BashParams, {"command": "ls", "timeout": 5}, {"timeout": 60_000}),
    (tools.ReadTextParams, {"file_path": "a", "offset": 1, "limit": 5}, {"offset": None, "limit": 2000}),
    (tools.GlobParams, {"pattern": "*", "path": "p"}, {"path": None}),
    (
        tools.GrepParams,
        {"pattern": "x", "path": "p", "include": "*.py", "literal_text": True},
        {"path": None, "include": None, "literal_text": False},
    ),
    (tools.WriteParams, {"file_path": "a", "content": ""}, {}),
    (tools.EditParams, {"file_path": "a", "old_string": "b", "new_string": "c"}, {}),
    (
        tools.ReadMediaParams,
        {"file_path": "a", "media_type": "pdf", "prompt": "p", "pdf_pages": "1-3", "video_interval": "0"},
        {"pdf_pages": None, "video_interval": None},
    ),
    (tools.PythonExecutionParams, {"code": "1"}, {}),
    (
        tools.SearchParams,
        {
            "query": "ab",
            "search_type": "images",
            "allowed_domains": ["a"],
            "blocked_domains": ["b"],
            "safesearch": "off",
            "spellcheck": False,
        },
        {
            "search_type": "web",
            "allowed_domains": None,
            "blocked_domains": None,
            "safesearch": "strict",
            "spellcheck": True,
        },
    ),
    (
        tools.TodoWriteParams,
        {"todos": [{"id": "1", "content": "c", "status": "in_progress", "priority": "high"}]},
        {},
    ),
    (tools.ExitPlanModeParams, {"plan": "# p"}, {}),
    (
        tools.MediaShowcaseParams,
        {
            "outputs": [
                {
                    "path": "/a",
                    "type": "gsap_animation",
                    "title": "t",
                    "description": "d",
                    "config": {"a": 1},
                    "startTime": 0,
                    "duration": 1,
                }
            ]
        },
        {},
    ),
    (tools.TaskParams, {"description": "d", "prompt": "p", "subagent_type": "general-purpose"}, {}),
]


@pytest.mark.parametrize(("kind", "full", "defaults"), INPUTS, ids=[kind.__name__ for kind, _, _ in INPUTS])
def test_inputs_read_and_write_the_documented_json(kind, full, defaults):
    given = kind.model_validate_json(json.dumps(full))
    assert given.model_extra == {}
    assert given.model_dump(mode="json", by_alias=True) == full
    least = kind.model_validate({key: value for key, value in full.items() if key not in defaults})
    assert {key: getattr(least, key) for key in defaults} == defaults
    for key in full.keys() - defaults.keys():
        with pytest.raises(ValidationError):
            kind.model_validate({k: v for k, v in full.items() if k != key})


def test_documented_choices_become_members_and_others_stay_text():
    todo = tools.Todo(id="1", content="c", status="pending", priority="someday")
    assert todo.status is tools.TodoStatus.PENDING
    assert type(todo.priority) is str
    assert todo.priority == "someday"
    assert tools.SearchParams(query="ab", search_type="maps").search_type == "maps"
    assert tools.MediaOutput(type="hologram", title="t").type == "hologram"


def test_media_takes_both_spellings_and_checks_times():
    assert tools.MediaOutput(type=tools.MediaType.VIDEO, title="t", start_time=3).model_dump(
        by_alias=True, exclude_none=True
    ) == {"type": "video", "title": "t", "startTime": 3}
    with pytest.raises(ValidationError):
        tools.MediaOutput(type="video", title="t", start_time=-1)
    with pytest.raises(ValidationError):
        tools.MediaOutput(type="video", title="t", duration=0)


def test_a_search_needs_two_characters():
    with pytest.raises(ValidationError):
        tools.SearchParams(query="a")


META = {"scheme": "https", "netloc": "n", "hostname": "h", "favicon": "f", "path": "/"}
OUTPUTS = [
    (tools.BashResponseMetadata, {"start_time": 1, "end_time": 2}),
    (tools.ReadTextResponseMetadata, {"file_path": "a", "content": "b"}),
    (tools.GlobResponseMetadata, {"number_of_files": 1, "truncated": False}),
    (tools.GrepResponseMetadata, {"number_of_matches": 1, "truncated": True}),
    (tools.WriteResponseMetadata, {"diff": "", "additions": 1, "removals": 0}),
    (tools.EditResponseMetadata, {"diff": "", "additions": 1, "removals": 0}),
    (
        tools.ReadMediaResponse,
        {"results": [{"file_path": "a", "media_type": "pdf", "analysis": "x", "error": "e"}], "summary": "s"},
    ),
    (
        tools.PythonExecutionResult,
        {"type": "code_execution_result", "stdout": "o", "stderr": "e", "return_code": 1},
    ),
    (
        tools.BraveSearchResponse,
        {"type": "search", "web": {"type": "w", "results": [{"title": "t", "url": "u", "description": "d"}]}},
    ),
    (
        tools.ImageSearchResponse,
        {
            "type": "images",
            "results": [
                {
                    "type": "i",
                    "title": "t",
                    "url": "u",
                    "source": "s",
                    "page_fetched": "p",
                    "thumbnail": {"src": "s"},
                    "properties": {"url": "u", "placeholder": "p"},
                    "meta_url": META,
                    "confidence": "high",
                }
            ],
        },
    ),
    (
        tools.VideoSearchResponse,
        {
            "type": "videos",
            "results": [
                {
                    "type": "v",
                    "title": "t",
                    "url": "u",
                    "source": "s",
                    "page_fetched": "p",
                    "thumbnail": {"src": "s"},
                    "properties": {
                        "url": "u",
                        "duration": "1:00",
                        "views": "5",
                        "upload_date": "d",
                        "placeholder": "p",
                    },
                    "meta_url": META,
                    "confidence": "high",
                }
            ],
        },
    ),
]


@pytest.mark.parametrize(("kind", "body"), OUTPUTS, ids=[kind.__name__ for kind, _ in OUTPUTS])
def test_outputs_read_the_documented_json(kind, body):
    assert kind.model_validate_json(json.dumps(body)).model_dump(mode="json", by_alias=True) == body


def test_outputs_live_with_what_is_missing_or_counted():
    video = tools.VideoSearchResponse.model_validate(
        {"results": [{"title": "t", "url": "u", "properties": {"views": 5}, "new": 1}]}
    ).results[0]
    assert video.properties.views == "5"
    assert video.thumbnail.src == ""
    assert video.new == 1
    assert tools.BraveSearchResponse.model_validate({"type": "search"}).web.results == []


def test_tools_is_the_import_path_of_everything():
    assert len(tools.__all__) == len(set(tools.__all__))
    for name in tools.__all__:
        assert hasattr(tools, name)
    for name, kind in vars(tools).items():
        own = isinstance(kind, type) and issubclass(kind, Payload) and kind.__module__ == tools.__name__
        base = name in ("ResultThumbnail", "ResultMetaURL")
        assert not own or base or name in tools.__all__, name
