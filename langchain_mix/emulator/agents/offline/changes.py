"""Requests to write or change a file.

Owns: recognising them, and telling what came of them, a refusal included.
Refuses to know: whether permission is needed; the server asks.
"""

from __future__ import annotations

import re

from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Move, Say
from langchain_mix.emulator.agents.offline.observations import FileText
from langchain_mix.emulator.agents.offline.summaries import SUMMARISES, summary, wanted_text

_FILE = r"[`\"']?(?P<file>[\w][\w\-./ ]{0,120}?\.\w{1,8}|/[^\s`\"']{1,200})[`\"']?"
_START = r"^\s*(?:please\s+|can you\s+|could you\s+|now\s+)*"
_WRITE = re.compile(
    rf"{_START}(?:write|save|store|put|append)\s+(?P<content>.+?)\s+(?:to|in|into|as)\s+(?:(?:a|"
    rf"the)\s+)?(?:new\s+)?(?:file\s+)?(?:called\s+|named\s+)?{_FILE}\s*[.!?]?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_CREATE = re.compile(
    rf"{_START}(?:create|make|write|save)\s+(?:(?:a|the)\s+)?(?:new\s+)?(?:file\s+)?(?:called\s+|"
    rf"named\s+)?{_FILE}\s*(?:with|containing|that says|saying|:)\s*(?:(?:the\s+)?(?:content|"
    rf"text)s?\s*:?\s*)?(?P<content>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_REPLACE = re.compile(
    rf"{_START}(?:replace|change)\s+[`\"'“](?P<old>[^`\"'”]+)[`\"'”]\s+(?:with|to|by|into)\s+"
    rf"[`\"'“](?P<new>[^`\"'”]*)[`\"'”]\s+in\s+(?:the\s+file\s+)?{_FILE}\s*[.!?]?\s*$",
    re.IGNORECASE,
)
_EARLIER = re.compile(
    r"^(?:this|that|it|(?:the|your)\s+(?:last\s+)?(?:answer|reply|result|summary|response))$", re.IGNORECASE
)
_LABEL = re.compile(r"^(?:the\s+)?(?:text|words?|sentence|content|line)s?\s*:?\s+(?=[`\"'“])", re.IGNORECASE)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "«": "»"}
_LONGEST_REQUEST = 100_000


def write_file(talk: Conversation) -> Move | None:
    """Writes what the user wants to a file, with the tool Write."""
    request = talk.question[:_LONGEST_REQUEST]
    match = _CREATE.match(request) or _WRITE.match(request)
    if match is None:
        return None
    name = match["file"].strip()
    if talk.request.plan_mode or not talk.can("Write"):
        return Say(f"I may not write files in this turn, so `{name}` was not written.")
    written = talk.done("Write")
    if written:
        step = written[-1]
        return _outcome(step.denied, step.result.is_error, step.result.output, f"`{name}`", "wrote")
    content = _content(talk, match["content"].strip())
    if not isinstance(content, str):
        return content
    thoughts = (f"The user wants a file {name}.", f"I write {len(content)} characters; this needs permission.")
    return Act("Write", {"file_path": name, "content": content}, f"I will write `{name}`.\n\n", thoughts)


def replace_text(talk: Conversation) -> Move | None:
    """Replaces a quoted text in a file, with the tool Edit."""
    match = _REPLACE.match(talk.ask)
    if match is None:
        return None
    name = match["file"].strip()
    if talk.request.plan_mode or not talk.can("Edit"):
        return Say(f"I may not change files in this turn, so `{name}` is as it was.")
    edited = talk.done("Edit")
    if edited:
        step = edited[-1]
        return _outcome(step.denied, step.result.is_error, step.result.output, f"`{name}`", "changed")
    arguments = {"file_path": name, "old_string": match["old"], "new_string": match["new"]}
    return Act("Edit", arguments, f"I will change `{name}`.\n\n", ("The user wants a text replaced.",))


def _outcome(denied: bool, failed: bool, output: str, name: str, verb: str) -> Say:  # noqa: FBT001  Two plain facts.
    if denied:
        return Say(f"You denied permission, so I {verb} nothing; {name} is as it was.", ("Permission was denied.",))
    if failed:
        return Say(f"{name} could not be {'written' if verb == 'wrote' else verb}: {output}", ("The tool failed.",))
    return Say(f"Done, I {verb} {name}.", ("The tool succeeded.",))


def _content(talk: Conversation, said: str) -> str | Move:
    if _EARLIER.match(said):
        last = next((exchange.agent for exchange in reversed(talk.earlier) if exchange.agent), None)
        return last if last is not None else Say("There is no earlier answer that I could save.")
    if SUMMARISES.search(said) and talk.can("Glob") and talk.can("ReadText"):
        text = wanted_text(_about(talk, said))
        if isinstance(text, FileText):
            return summary(text, talk.name_of(text.path)) + "\n"
        if text is not None:
            return text
    bare = _LABEL.sub("", said)
    closing = _QUOTES.get(bare[:1])
    return bare[1:-1] if closing and bare.endswith(closing) and len(bare) > 1 else said


def _about(talk: Conversation, question: str) -> Conversation:
    return Conversation(talk.request, question, talk.earlier, talk.steps)
