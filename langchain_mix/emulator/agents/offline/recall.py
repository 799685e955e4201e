"""Questions about the conversation itself: names, favourites, what was said.

Owns: what users tell about themselves, and finding it again in what was said before.
Refuses to know: any memory beside the conversation; a fork or rewind forgets what its rows do not hold.
"""

from __future__ import annotations

import re

from langchain_mix.emulator.agents.offline.conversation import Conversation, Move, Say

_NAME = re.compile(
    r"\b(?:my name is|my name's|call me|i am called|i'm called)\s+([^\W\d_][^\n.,;!?]{0,60})", re.IGNORECASE
)
_TOLD = re.compile(r"\bmy\s+([\w' -]{2,40}?)\s+(?:is|are|was)\s+([^\n.;!?]{1,120})", re.IGNORECASE)
_NOTE = re.compile(
    r"(?<!you to )(?<!you )\bremember(?:\s+that|\s+this|:)?\s*:?\s+([^\n?]{2,300})",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(r"\b(?:what(?:'s| is| was)|know|remember|tell me)\s+my\s+name\b|\bwho am i\b", re.IGNORECASE)
_ASKS_ABOUT = re.compile(
    r"\b(?:what(?:'s| is| was| are| were)?|which|do you (?:know|remember)|tell me|remember)\s+my\s+"
    r"([\w' -]{2,40}?)\s*(?:\?|$|again)",
    re.IGNORECASE,
)
_ASKS_NOTES = re.compile(
    r"\bwhat\b.{0,40}\b(?:ask(?:ed)?|told|tell|want(?:ed)?)\b.{0,20}\b(?:remember|note)\b", re.IGNORECASE
)
_ASKS_FIRST = re.compile(r"\b(?:first|very first)\s+(?:message|question|thing)\b", re.IGNORECASE)
_ASKS_SAID = re.compile(
    r"\bwhat (?:did|have) i (?:just )?(?:say|said|ask|asked|tell|told|write|written)\b|\bmy (?:last|"
    r"previous) (?:message|question)\b",
    re.IGNORECASE,
)
_ASKS_ANSWERED = re.compile(
    r"\bwhat did you (?:just )?(?:say|answer|tell)\b|\byour (?:last|previous) answer\b", re.IGNORECASE
)
_ASKS_ALL = re.compile(
    r"\bwhat (?:did|have) we (?:talk|discuss|spoken|been)|\bsummar\w+ (?:our|this|the) (?:chat|conversation)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"\s+(?:and|but|so|who|please)\s+.*", re.IGNORECASE)
_TAIL = re.compile(r"\s+(?:for me|please|for later)\s*$", re.IGNORECASE)
_SHOWN = 10
_QUOTED_CHARS = 300


def recall(talk: Conversation) -> Move | None:
    """Answers questions about what was said, and takes note of what is told."""
    return _asked(talk) or _told(talk)


def _asked(talk: Conversation) -> Move | None:
    ask = talk.ask
    if _ASKS_NAME.search(ask):
        return _name(talk)
    if _ASKS_NOTES.search(ask):
        return _notes(talk)
    if _ASKS_FIRST.search(ask) and re.search(r"\bmy\b|\bi\b", ask, re.IGNORECASE):
        return _quoted(talk, 0, "Your first message in this conversation was")
    if _ASKS_SAID.search(ask):
        return _quoted(talk, -1, "Before this you wrote")
    return _asked_for_more(talk)


def _asked_for_more(talk: Conversation) -> Move | None:
    if _ASKS_ANSWERED.search(talk.ask):
        said = talk.earlier[-1].agent if talk.earlier else ""
        return Say(f"My last answer was:\n\n> {_one_line(said)}" if said else "I have not answered anything before.")
    if _ASKS_ALL.search(talk.ask):
        return _everything(talk)
    about = _ASKS_ABOUT.search(talk.ask)
    return _attribute(talk, about[1]) if about else None


def _told(talk: Conversation) -> Move | None:
    ask = talk.ask
    if ask.endswith("?"):
        return None
    name = _NAME.search(ask)
    if name:
        return Say(f"Nice to meet you, **{_cleaned(name[1])}**. I will keep it in mind for this conversation.")
    note = _NOTE.search(ask)
    if note:
        return Say(
            f"I will remember: {_TAIL.sub('', note[1]).strip()}", ("The user wants me to keep something in mind.",)
        )
    told = _TOLD.match(ask)
    return Say(f"Noted: your {told[1].strip()} is {told[2].strip()}.") if told else None


def _sources(talk: Conversation) -> list[str]:
    """All that the user may have told, newest first; replayed history stands in the prompt or the message."""
    said = [exchange.user for exchange in reversed(talk.earlier)]
    return [talk.question, *said, talk.request.system_prompt]


def _name(talk: Conversation) -> Move:
    for text in _sources(talk):
        found = _NAME.findall(text)
        if found:
            return Say(f"Your name is **{_cleaned(found[-1])}**.", ("The user told me their name earlier.",))
    return Say("You have not told me your name in this conversation.")


def _attribute(talk: Conversation, wanted: str) -> Move | None:
    key = _key(wanted)
    for text in _sources(talk):
        for name, value in reversed(_TOLD.findall(text)):
            if _key(name) == key:
                return Say(f"Your {wanted.strip()} is **{value.strip()}**, as you told me.")
    if re.search(r"\b(?:directory|files?|documents?|uploads?)\b", wanted, re.IGNORECASE):
        return None
    return Say(f"You have not told me your {wanted.strip()} in this conversation.")


def _notes(talk: Conversation) -> Move:
    notes = [note.strip() for exchange in talk.earlier for note in _NOTE.findall(exchange.user)]
    if not notes:
        return Say("You have not asked me to remember anything in this conversation.")
    return Say("You asked me to remember:\n\n" + "\n".join(f"- {note}" for note in notes))


def _quoted(talk: Conversation, index: int, words: str) -> Move:
    if not talk.earlier:
        return Say("This is your first message in this conversation; you have said nothing before it.")
    return Say(f"{words}:\n\n> {_one_line(talk.earlier[index].user)}", ("I look back at the conversation.",))


def _everything(talk: Conversation) -> Move:
    if not talk.earlier:
        return Say("Nothing yet: this is the beginning of our conversation.")
    shown = [f"- You: {_one_line(exchange.user)}" for exchange in talk.earlier[-_SHOWN:]]
    return Say(f"So far, in {len(talk.earlier)} exchange(s):\n\n" + "\n".join(shown))


def _one_line(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= _QUOTED_CHARS else joined[: _QUOTED_CHARS - 1] + "…"


def _cleaned(name: str) -> str:
    return _CLAUSE.sub("", name).strip().strip("\"'`")


def _key(name: str) -> str:
    return name.casefold().replace("favorite", "favourite").strip()
