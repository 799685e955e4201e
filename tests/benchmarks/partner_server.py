"""Servers that say what the benchmarks' Mix server says, in the words of OpenAI, Anthropic or Ollama.

Owns: the three wires, one for each process: `python -m tests.benchmarks.partner_server openai 5000`.
Refuses to know: who reads. Each piece of text is a write and an HTTP chunk of its own, as in `server.py`.
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from tests.benchmarks.hosting import tell
from tests.benchmarks.server import chunk, words

_MODEL: Final = "benchmark"
_CREATED: Final = 1770897600


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def openai(count: int) -> Iterator[str]:
    """An answer of `/chat/completions`, as OpenAI streams it."""

    def told(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> str:
        head = {"id": "chatcmpl-D8jzQ7vYw1bN2", "object": "chat.completion.chunk", "created": _CREATED, "model": _MODEL}
        more = {"service_tier": "default", "system_fingerprint": "fp_1a2b3c4d5e"}
        return f"data: {_compact({**head, **more, 'choices': choices, 'usage': usage})}\n\n"

    def choice(delta: dict[str, Any], reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    yield told(choice({"role": "assistant", "content": "", "refusal": None}))
    yield from (told(choice({"content": word})) for word in words(count))
    yield told(choice({}, "stop"))
    yield told([], {"prompt_tokens": 10, "completion_tokens": count, "total_tokens": count + 10})
    yield "data: [DONE]\n\n"


def anthropic(count: int) -> Iterator[str]:
    """An answer of `/v1/messages`, as Anthropic streams it."""

    def told(kind: str, **fields: Any) -> str:
        return f"event: {kind}\ndata: {_compact({'type': kind, **fields})}\n\n"

    usage = {"input_tokens": 10, "output_tokens": 1}
    message = {"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "content": []}
    ending = {"stop_reason": None, "stop_sequence": None}
    yield told("message_start", message={**message, "model": _MODEL, **ending, "usage": usage})
    yield told("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield told("ping")
    for word in words(count):
        yield told("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
    yield told("content_block_stop", index=0)
    yield told("message_delta", delta={**ending, "stop_reason": "end_turn"}, usage={"output_tokens": count})
    yield told("message_stop")


def ollama(count: int) -> Iterator[str]:
    """An answer of `/api/chat`, as Ollama streams it."""

    def told(text: str, **fields: Any) -> str:
        message = {"role": "assistant", "content": text}
        head = {"model": _MODEL, "created_at": "2026-02-12T12:00:00.123456789Z", "message": message}
        return _compact({**head, "done": False, **fields}) + "\n"

    yield from (told(word) for word in words(count))
    durations = dict.fromkeys(("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"), 1_000_000)
    yield told("", done=True, done_reason="stop", **durations, prompt_eval_count=10, eval_count=count)


WIRES: Final[dict[str, tuple[Callable[[int], Iterator[str]], str]]] = {
    "openai": (openai, "text/event-stream; charset=utf-8"),
    "anthropic": (anthropic, "text/event-stream; charset=utf-8"),
    "ollama": (ollama, "application/x-ndjson"),
}


class Wire(socketserver.ThreadingTCPServer):
    """The server: a thread for each connection, and one answer to whatever is asked."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, name: str, count: int) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        tell_all, kind = WIRES[name]
        self.head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        self.pieces = [chunk(piece.encode()) for piece in tell_all(count)]


class Connection(socketserver.StreamRequestHandler):
    """One connection and its requests."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answers requests until the client goes away."""
        wire = cast("Wire", self.server)
        try:
            while self.rfile.readline():
                length = 0
                while header := self.rfile.readline().strip():
                    name, _, value = header.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                self.rfile.read(length)
                self.wfile.write(wire.head)
                for piece in wire.pieces:
                    self.wfile.write(piece)
                self.wfile.write(b"0\r\n\r\n")
        except (ConnectionError, TimeoutError):
            return  # The client has left, as it may at any time.


def main(name: str, count: int) -> None:
    """Serves until standard input ends.

    Args:
        name: Whose wire: `openai`, `anthropic` or `ollama`.
        count: Pieces of text in each answer.
    """
    with Wire(name, count) as wire:
        threading.Thread(target=wire.serve_forever, daemon=True).start()
        tell(wire.server_address[1])
        sys.stdin.read()
        wire.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
