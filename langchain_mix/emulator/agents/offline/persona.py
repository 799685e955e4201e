"""Simple instructions about the form of answers, in the session's prompt or the message itself.

Owns: "answer only with …", "always end with …", "always start with …", "reply in JSON", upper and lower case.
Refuses to know: what is answered.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from langchain_mix.emulator.agents.offline.conversation import Conversation, Move, Say

_LEAD = r"(?P<lead>:\s*|(?::\s*)?the (?:word|text|phrase|sentence)s?\s*:?\s*)?"
_VALUE = rf"\s*{_LEAD}(?:[\"“'`](?P<quoted>[^\"”'`]{{1,300}})[\"”'`]|(?P<bare>[^\s.,;:][^\n.;]{{0,200}}))"
_ANSWER = r"(?:answer|reply|respond|say)"
_EVERY = r"(?:\s+(?:every|each|all|your)\s+(?:answer|reply|response|answers|replies|responses))?"
_ONLY = (
    re.compile(rf"\b{_ANSWER}(?:\s+with)?\s+(?:only|just|exactly)\b(?:\s+with\b)?{_VALUE}", re.IGNORECASE),
    re.compile(rf"\bonly\s+{_ANSWER}(?:\s+with\b)?{_VALUE}", re.IGNORECASE),
)
_END = re.compile(rf"\b(?:always\s+)?(?:end|finish|close){_EVERY}\s+with\b{_VALUE}", re.IGNORECASE)
_START = re.compile(rf"\b(?:always\s+)?(?:start|begin){_EVERY}\s+with\b{_VALUE}", re.IGNORECASE)
_JSON = re.compile(rf"\b{_ANSWER}(?:\s+(?:only|always))?\s+(?:in|with|as)\s+(?:valid\s+)?json\b", re.IGNORECASE)
_UPPER = re.compile(rf"\b{_ANSWER}(?:\s+(?:only|always))?\s+in\s+(?:upper\s?case|all caps|capitals)\b", re.IGNORECASE)
_DESCRIBED = re.compile(r"^(?:a|an|the|your|some|one|valid)\b", re.IGNORECASE)
_CHARS = 120_000


def instructions(talk: Conversation) -> str:
    """Gives the session's own prompt where the server would use it. Mix: mode `default` ignores it."""
    return talk.request.system_prompt[:_CHARS] if talk.request.prompt_mode in ("append", "replace") else ""


def only_answer(talk: Conversation) -> Move | None:
    """Says exactly what it was told to say, and nothing else.

    "Answer only with facts" names no answer: words without quotes count if they are announced ("the word …", a colon)
    or in capitals.
    """
    for text in (talk.ask, instructions(talk)):
        match = next((found for pattern in _ONLY if (found := pattern.search(text))), None)
        if match and (match["quoted"] or match["lead"] or match["bare"].strip(" !?").isupper()):
            return Say(_value(match), ("I am told exactly what to answer.",))
    return None


def formed(talk: Conversation, answer: Say) -> Say:
    """Brings an answer into the form that was asked for."""
    prompt = instructions(talk)
    text = answer.text
    if _UPPER.search(prompt) or _UPPER.search(talk.ask):
        text = text.upper()
    start, end = _affix(_START, prompt), _affix(_END, prompt)
    text = f"{start} {text}" if start else text
    text = f"{text} {end}" if end else text
    if _JSON.search(prompt) or _JSON.search(talk.ask):
        text = json.dumps({"answer": text}, ensure_ascii=False)
    return replace(answer, text=text)


def _affix(pattern: re.Pattern[str], prompt: str) -> str:
    match = pattern.search(prompt)
    described = match is not None and not match["quoted"] and _DESCRIBED.match(match["bare"])
    return _value(match) if match is not None and not described else ""


def _value(match: re.Match[str]) -> str:
    return (match["quoted"] or match["bare"]).strip()
