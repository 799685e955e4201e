"""Every Python sample of the Mix documentation runs, with nothing changed but the import.

The samples stand in `samples/`, word for word. What a sample takes for granted (a client called `mix`, a session, a
photo) is put there by the test; addresses and ids that a document can only invent are replaced by real ones.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import langchain_mix.client as public
from langchain_mix.client import Mix, errors, models
from langchain_mix.emulator import MixEmulator, Script, think, turn, use

SAMPLES = Path(__file__).parent / "samples"
ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
FORKING = ("0.5", "0.6", "0.6.5", "0.7")
KEY = "sk-or-v1-" + "0" * 48

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., MixEmulator]]:
    """Starts servers, and tells the environment of the last one."""
    running: list[MixEmulator] = []

    def start(api: str, agent: Any = "offline", **options: Any) -> MixEmulator:
        server = MixEmulator(api, agent, **options).start()
        # The samples store a key of this provider only, which does on servers that prefer it.
        server.state.preferences.update({"preferred_provider": "openrouter"})
        running.append(server)
        monkeypatch.setenv("MIX_SERVER_URL", server.url)
        monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def client() -> Iterator[Callable[..., Mix]]:
    """Makes clients for samples that take one for granted."""
    made: list[Mix] = []

    def make(server: MixEmulator) -> Mix:
        made.append(Mix(server_url=server.url))
        return made[-1]

    yield make
    for mix in made:
        mix.close()


def sample(name: str, server: MixEmulator, replaced: dict[str, str] | None = None) -> str:
    """The code of a sample: another import, a server that runs, ids that exist."""
    code = (SAMPLES / f"{name}.txt").read_text()
    code = re.sub(r"^from mix_python_sdk\b", "from langchain_mix.client", code, flags=re.MULTILINE)
    code = code.replace("http://localhost:8088", server.url)
    for invented, real in (replaced or {}).items():
        assert invented in code
        code = code.replace(invented, real)
    return code


def run(code: str, **names: Any) -> dict[str, Any]:
    """Runs a sample as a program, or as the part of an async function that it is."""
    namespace = {"__name__": "__main__", **names}
    compiled = compile(code, "<sample>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:

        async def whole() -> None:
            await eval(compiled, namespace)  # noqa: S307  # The samples are ours.
            mix = namespace.get("mix")
            if isinstance(mix, Mix):
                await mix.aclose()

        asyncio.run(whole())
    else:
        exec(compiled, namespace)  # The samples are ours.
    return namespace


def names_of(*names: str) -> dict[str, Any]:
    """What a sample imported before it began."""
    return {name: getattr(public, name) for name in names}


@pytest.mark.parametrize("api", ALL)
def test_stream_events(serve: Any, api: str, capsys: Any) -> None:
    server = serve(api)
    run(sample("stream_events", server))
    printed = capsys.readouterr().out
    assert "SSEErrorEvent" in printed
    assert "Invalid session ID: <id>" in printed


def test_stream_events_of_a_session(serve: Any, client: Any, capsys: Any) -> None:
    server = serve("0.8", stream_limit=0.2)
    session = client(server).sessions.create(title="Demo")
    with pytest.raises(errors.MixStreamError):  # The server cuts every stream, by default after ten minutes.
        run(sample("stream_events", server, {"<id>": session.id}))
    assert "SSEConnectedEvent" in capsys.readouterr().out


def test_send_streaming_message(serve: Any, capsys: Any) -> None:
    server = serve("0.5")
    run(sample("send_streaming_message", server))
    assert "status='broadcasted'" in capsys.readouterr().out


@pytest.mark.parametrize("api", ALL[1:])
def test_send_streaming_message_where_it_is_gone(serve: Any, client: Any, api: str, capsys: Any) -> None:
    server = serve(api)
    mix = client(server)
    session = mix.sessions.create(title="Demo")
    run(sample("send_streaming_message", server, {"<id>": session.id}))
    assert session.id in capsys.readouterr().out
    server.wait_idle()
    assert [row.user_input for row in mix.messages.list_session(id=session.id) if row.role == "user"] == ["<value>"]


@pytest.mark.parametrize("api", ALL)
def test_quickstart(serve: Any, api: str, capsys: Any) -> None:
    server = serve(api, Script("The capital of France is Paris."), auth_required=True)
    run(sample("quickstart", server))
    assert capsys.readouterr().out == "The capital of France is Paris.\n\n"
    assert server.state.sessions.listing(include_subagents=True) == [], "the session of the block is deleted with it"


@pytest.mark.parametrize("api", ALL)
def test_direct_rest_api(serve: Any, api: str, capsys: Any) -> None:
    server = serve(api, Script("Hi!"), auth_required=True)
    run(sample("direct_rest_api", server))
    assert capsys.readouterr().out == "Hi!\n"


@pytest.mark.parametrize("api", ALL)
def test_query(serve: Any, client: Any, api: str, capsys: Any) -> None:
    server = serve(api)
    mix = client(server)
    session = mix.sessions.create(title="Demo")
    run(sample("query", server), mix=mix, session=session, **names_of("query"))
    assert capsys.readouterr().out == "2+2 = **4**\nDone!\n"


@pytest.mark.parametrize("api", ALL)
def test_send_with_callbacks(serve: Any, client: Any, api: str, capsys: Any) -> None:
    server = serve(api, Script(turn([use("Glob", {"pattern": "*"})], "Nothing here.")))
    mix = client(server)
    session = mix.sessions.create(title="Demo")
    run(sample("send_with_callbacks", server), mix=mix, session=session, **names_of("send_with_callbacks"))
    tool = "Glob" if api in {"0.7", "0.8", "next"} else "glob"
    assert capsys.readouterr().out == f"\nTool: {tool}\nNothing here.\nDone!\n"


def test_context_managers(serve: Any) -> None:
    run(sample("context_managers", serve("0.8")), Mix=Mix)


@pytest.mark.parametrize("api", ALL)
def test_streaming_session_methods(serve: Any, client: Any, api: str, capsys: Any) -> None:
    server = serve(api, Script("Hello", "Hello"))
    mix = client(server)
    code = "async with StreamingSession(mix, title='Demo') as session:\n" + "".join(
        f"    {line}\n" for line in sample("streaming_session_methods", server).splitlines()
    )
    run(code, mix=mix, **names_of("StreamingSession"))
    assert "".join(capsys.readouterr().out.split()) == "HelloHelloDone"


@pytest.mark.parametrize("api", ALL)
def test_streaming_session(serve: Any, client: Any, api: str, capsys: Any) -> None:
    server = serve(api, Script("Hi!"))
    ran = run(sample("streaming_session", server), mix=client(server), **names_of("StreamingSession"))
    assert capsys.readouterr().out == f"Session ID: {ran['session'].id}\nHi!\n"


@pytest.mark.parametrize("api", ALL)
def test_continuous_conversations(serve: Any, client: Any, api: str) -> None:
    brain = Script("Paris", "Rome", "Italy")
    server = serve(api, brain)
    run(sample("continuous_conversations", server), mix=client(server), **names_of("StreamingSession"))
    said = [line.text for line in brain.requests[-1].lines]
    assert said == [
        "What's the capital of France?",
        "Paris",
        "What about Italy?",
        "Rome",
        "Which has a larger population?",
    ]


@pytest.mark.parametrize("api", FORKING)
def test_session_forking(serve: Any, client: Any, api: str) -> None:
    server = serve(api)
    mix = client(server)
    ran = run(sample("session_forking", server), mix=mix)
    assert [m.user_input for m in mix.messages.list_session(id=ran["forked"].id) if m.role == "user"] == [
        "Hello",
        "Tell me about Rust instead",
    ]
    assert len(mix.messages.list_session(id=ran["session"].id)) == 4


@pytest.mark.parametrize("api", ["0.8", "next"])
def test_session_forking_where_it_is_gone(serve: Any, client: Any, api: str) -> None:
    server = serve(api)
    with pytest.raises(errors.MixUnsupportedError, match=r"It exists on API 0\.5, 0\.6, 0\.6\.5, 0\.7"):
        run(sample("session_forking", server), mix=client(server))


@pytest.mark.parametrize("api", ALL)
def test_session_rewinding(serve: Any, client: Any, api: str) -> None:
    server = serve(api)
    mix = client(server)
    session = mix.sessions.create(title="Demo")
    mix.messages.send(id=session.id, text="Hello")
    first = mix.messages.list_session(id=session.id)[0]
    run(sample("session_rewinding", server, {"msg_123": first.id}), mix=mix, session=session)
    assert [m.id for m in mix.messages.list_session(id=session.id)] == [first.id]


@pytest.mark.parametrize("api", ALL)
def test_file_thumbnails(serve: Any, client: Any, api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(api)
    mix = client(server)
    Image.new("RGB", (640, 320), "red").save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    ran = run(sample("file_thumbnails", server), mix=mix, session_id=mix.sessions.create(title="Demo").id)
    for name in ("thumb_100", "thumb_w200"):
        assert ran[name].status_code == 200
        assert ran[name].headers["content-type"] == "image/jpeg"
    (tmp_path / "thumb.jpg").write_bytes(ran["thumb_w200"].content)
    with Image.open(tmp_path / "thumb.jpg") as picture:
        assert picture.width == 200


@pytest.mark.parametrize("api", ALL[:-1])
def test_dual_agent(serve: Any, client: Any, api: str) -> None:
    server = serve(api)
    mix = client(server)
    run(sample("dual_agent", server), mix=mix)
    now = mix.preferences.get_preferences().preferences
    assert now is not None
    assert (now.main_agent_model, now.main_agent_max_tokens) == ("openrouter.deepseek-v3.1", 8000)
    assert (now.sub_agent_model, now.sub_agent_reasoning_effort) == ("openrouter.zai-glm-4.5-air", "low")


def test_retry_configuration(serve: Any) -> None:
    server = serve("0.8")
    with run(sample("retry_configuration", server), Mix=Mix)["mix"] as mix:
        assert mix.system.get_health().status == "ok"


def test_debug_logging(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mix_python_sdk")
    with run(sample("debug_logging", serve("0.8")), Mix=Mix)["mix"] as mix:
        mix.authentication.store_api_key(api_key=KEY, provider="openrouter")
    said = "\n".join(r.getMessage() for r in caplog.records if r.name == "mix_python_sdk")
    assert "POST /api/auth/api-key" in said
    assert KEY not in said


@pytest.mark.parametrize("api", ALL)
def test_low_level_sse(serve: Any, client: Any, api: str, capsys: Any) -> None:
    brain = Script("Streamed to the last word.")
    server = serve(api, brain)
    mix = client(server)
    ran = run(sample("low_level_sse", server), **names_of("SSEContentEvent", "SSECompleteEvent"))
    session = mix.sessions.create(title="Demo")
    ran["stream_message"](mix, session.id, "Hello")
    assert capsys.readouterr().out == "Streamed to the last word."
    server.wait_idle()
    assert len(brain.requests) == 1, "the message ran once, though two streams were open"


@pytest.mark.parametrize("api", ALL)
def test_basic_synchronous_client(serve: Any, api: str, capsys: Any) -> None:
    server = serve(api, Script("Hi!"), auth_required=True)
    run(sample("basic_synchronous_client", server))
    assert capsys.readouterr().out == "Status: ok\nHi!\n"
    assert server.state.sessions.listing(include_subagents=True) == []


@pytest.mark.parametrize("api", ALL)
def test_async_iterator(serve: Any, api: str, capsys: Any) -> None:
    server = serve(api, Script(turn([use("Glob", {"pattern": "*"})], "4")), auth_required=True)
    run(sample("async_iterator", server), api_key=KEY)
    assert capsys.readouterr().out.lower() == "\ntool: glob\n4"
    assert server.state.sessions.listing(include_subagents=True) == []


@pytest.mark.parametrize("api", ALL)
def test_comprehensive_callbacks(serve: Any, api: str, capsys: Any) -> None:
    script = Script(turn([think("Hm."), use("Glob", {"pattern": "*"})], "It is /srv."))
    server = serve(api, script, auth_required=True)
    run(sample("comprehensive_callbacks", server), api_key=KEY)
    printed = capsys.readouterr().out
    assert printed.startswith("Thinking: Hm.\nTool: ")
    assert "Result: Completed " in printed
    assert "".join(printed.split("\nResponse: ")[1:]).startswith("It is /srv.")
    assert printed.endswith("\nComplete!\n")
    assert "Error" not in printed


def test_comprehensive_callbacks_of_a_turn_that_fails(serve: Any, capsys: Any) -> None:
    server = serve("0.8", Script("never asked"))  # The brain is not asked: the provider's key is refused first.
    code = sample("comprehensive_callbacks", server).replace("mix.authentication.store_api_key", "str")
    server.state.auth_required = True
    run(code.replace('str(api_key=api_key, provider="openrouter")', "None"), api_key=KEY)
    assert "\nError: " in capsys.readouterr().out


@pytest.mark.parametrize("api", ALL)
def test_session_analytics(serve: Any, client: Any, api: str, capsys: Any) -> None:
    server = serve(api)
    mix = client(server)
    session = mix.sessions.create(title="Demo")
    mix.messages.send(id=session.id, text="Hello")
    run(sample("session_analytics", server), mix=mix)
    printed = capsys.readouterr().out
    assert "Title: Demo\nMessages: 1 user, 1 assistant\n" in printed
    assert "Cost: $0." in printed


@pytest.mark.parametrize("api", ALL)
def test_session_export(serve: Any, client: Any, api: str, capsys: Any) -> None:
    server = serve(api, Script(turn([think("Hm."), use("Glob", {"pattern": "*"})], "Nothing.")))
    mix = client(server)
    session = mix.sessions.create(title="Demo")
    mix.messages.send(id=session.id, text="Hello")
    run(sample("session_export", server), mix=mix, session_id=session.id)
    printed = capsys.readouterr().out
    assert printed.startswith("Role: user\nContent: Hello\n")
    assert printed.endswith("Role: assistant\nContent: Nothing.\n")
    assert 'Input: {"pattern": "*"}' in printed or 'Input: {"pattern":"*"}' in printed


@pytest.mark.parametrize("api", FORKING)
def test_tool_discovery(serve: Any, client: Any, api: str, capsys: Any) -> None:
    server = serve(api)
    run(sample("tool_discovery", server), mix=client(server))
    assert re.match(r"Category: .+\n(  - .+: (Ready|Needs auth)\n)+", capsys.readouterr().out)


def test_every_sample_is_run() -> None:
    tested = Path(__file__).read_text()
    assert [p.stem for p in SAMPLES.iterdir() if f'sample("{p.stem}"' not in tested] == []


def test_mix_debug(serve: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    serve("0.8")
    monkeypatch.setenv("MIX_DEBUG", "true")
    logger = logging.getLogger("langchain_mix")
    level, handlers = logger.level, list(logger.handlers)
    try:
        with Mix() as mix:
            mix.system.get_health()
    finally:
        logger.setLevel(level)
        logger.handlers[:] = handlers
    assert "GET /health" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("SessionData", "id title created_at assistant_message_count user_message_count tool_call_count cost"),
        ("SessionData", "prompt_tokens completion_tokens first_user_message"),
        ("BackendMessage", "id session_id role user_input assistant_response reasoning reasoning_duration tool_calls"),
        ("ToolCallData", "id name input result finished is_error type"),
        ("FileInfo", "name size modified is_dir url"),
        ("BashResponseMetadata", "start_time end_time"),
        ("ReadTextResponseMetadata", "file_path content"),
        ("GlobResponseMetadata", "number_of_files truncated"),
        ("GrepResponseMetadata", "number_of_matches truncated"),
        ("WriteResponseMetadata", "diff additions removals"),
        ("EditResponseMetadata", "diff additions removals"),
        ("ReadMediaResponse", "results summary"),
        ("ReadMediaResult", "file_path media_type analysis error"),
        ("PythonExecutionResult", "type stdout stderr return_code"),
        ("BraveSearchResponse", "type web"),
        ("ImageSearchResponse", "type results"),
        ("VideoSearchResponse", "type results"),
        ("Todo", "id content status priority"),
        ("MediaOutput", "path type title description config start_time duration"),
        ("SSECompleteEventData", "done content message_id reasoning reasoning_duration"),
    ],
)  # fmt: skip
def test_documented_types_have_their_fields(kind: str, fields: str) -> None:
    assert set(fields.split()) <= set(getattr(public, kind).model_fields)


def test_documented_choices() -> None:
    assert [p.value for p in models.Provider] == ["anthropic", "openai", "openrouter", "gemini", "brave"]
    assert [m.value for m in models.PromptMode] == ["default", "append", "replace"]
    assert issubclass(models.Provider, str)


def test_documented_errors() -> None:
    import httpx

    with pytest.raises(httpx.ConnectError) as caught, Mix(server_url="http://127.0.0.1:1") as mix:
        mix.messages.list_session(id="x", retries=public.RetryConfig("none"))
    assert isinstance(caught.value, errors.MixError)
    assert {"message", "status_code", "headers", "body", "raw_response", "data"} <= set(vars(caught.value))
