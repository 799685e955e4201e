"""Greetings, thanks, questions about the agent, and the answer when nothing else fits.

Owns: saying honestly what this agent is.
Refuses to know: everything else.
"""

from __future__ import annotations

import re

from langchain_mix.emulator.agents.offline.conversation import Conversation, Move, Say

WHAT_I_AM = (
    "I am the offline agent of the langchain-mix emulator: no language model, but I can look through this session's "
    "files, compute over CSV tables, do arithmetic, remember this conversation and write files."
)
_GREETS = re.compile(
    r"^\s*(?:hello|hi|hey|good (?:morning|afternoon|evening|day)|greetings|hallo|bonjour|hola|こんにちは|"
    r"你好)\b[\s,\w]{0,30}[!.?]*\s*$",
    re.IGNORECASE,
)
_HOW = re.compile(r"^\s*how are you\b", re.IGNORECASE)
_THANKS = re.compile(r"^\s*(?:thanks|thank you|thx|merci|danke)\b", re.IGNORECASE)
_LEAVES = re.compile(r"^\s*(?:bye|goodbye|see you|ciao)\b", re.IGNORECASE)
_WHO = re.compile(r"\b(?:who|what) are you\b|\bwhat can you do\b|\byour name\b|^\s*help\s*[!.?]*$", re.IGNORECASE)
_QUOTED_CHARS = 1000


def smalltalk(talk: Conversation) -> Move | None:
    """Answers what needs no knowledge."""
    ask = talk.ask
    if _GREETS.match(ask):
        return Say("Hello! How can I help you?", ("The user greets me.", "I greet back."))
    if _HOW.match(ask):
        return Say("I am running well, thank you. What can I do for you?", ("The user asks how I am.",))
    if _THANKS.match(ask):
        return Say("You are welcome!", ("The user thanks me.",))
    if _LEAVES.match(ask):
        return Say("Goodbye!", ("The user leaves.",))
    return Say(WHAT_I_AM, ("The user asks what I am.",)) if _WHO.search(ask) else None


def honest(talk: Conversation) -> Move:
    """Says that it does not know, and what it understood."""
    said = talk.question if len(talk.question) <= _QUOTED_CHARS else talk.question[:_QUOTED_CHARS] + "…"
    if not said:
        return Say(f"Your message is empty. {WHAT_I_AM}")
    quoted = "\n".join(f"> {line}" for line in said.splitlines())
    thoughts = ("None of what I can do fits this.", "I say so instead of making something up.")
    return Say(f"You said:\n\n{quoted}\n\nI have no answer to that. {WHAT_I_AM}", thoughts)
