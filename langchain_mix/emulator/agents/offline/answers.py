"""Answers of the offline agent that need no file: greetings, memory, small sums, capitals; and its errands.

Each strategy recognises a question by a regular expression and leaves every other one to the next strategy.
"""

from __future__ import annotations

import re
from decimal import Decimal

from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Move, Say, Step

INTRODUCTION = (
    "I am the offline agent of the langchain-mix emulator: no language model, but I can list, search and quote this "
    "session's files, add up a table's column, remember this conversation, write files and call your tools."
)
_GREETS = re.compile(r"^\s*(?:hello|hi|hey|good (?:morning|afternoon|evening))\b[\s,\w]{0,30}[!.?]*\s*$", re.IGNORECASE)
_INTRODUCES = re.compile(r"\b(?:who|what) are you\b|\bwhat can you do\b|^\s*help\s*[!.?]*$", re.IGNORECASE)
_QUOTED_CHARS = 300


def greet(talk: Conversation) -> Move | None:
    """Answers a greeting, and questions about the agent."""
    if _GREETS.match(talk.ask):
        return Say("Hello! How can I help you?", ("The user greets me.", "I greet back."))
    return Say(INTRODUCTION, ("The user asks what I am.",)) if _INTRODUCES.search(talk.ask) else None


def fallback(talk: Conversation) -> Move:
    """Says that no strategy answers the question, and quotes it."""
    if not talk.question:
        return Say(f"Your message is empty. {INTRODUCTION}")
    quoted = "\n".join(f"> {line}" for line in talk.question[:1000].splitlines())
    thoughts = ("None of what I can do fits this.", "I say so instead of making something up.")
    return Say(f"You said:\n\n{quoted}\n\nI have no answer to that. {INTRODUCTION}", thoughts)


# Memory: what the user said about themselves, found again in the rows, so that a fork or a rewind changes it.

_FACT = re.compile(r"\bmy\s+([\w' -]{2,40}?)\s+(?:is|are|was)\s+([^\n.;!?]{1,120})", re.IGNORECASE)
_NOTE = re.compile(r"(?<!you to )(?<!you )\bremember(?:\s+that|\s+this|:)?\s*:?\s+([^\n?]{2,300})", re.IGNORECASE)
_ASKS_FACT = re.compile(
    r"\b(?:what(?:'s| is| was| are| were)?|do you (?:know|remember)|tell me)\s+my\s+([\w' -]{2,40}?)\s*(?:\?|$|again)",
    re.IGNORECASE,
)
_ASKS_NOTES = re.compile(r"\bwhat\b.{0,40}\b(?:ask(?:ed)?|told|tell)\b.{0,20}\b(?:remember|note)\b", re.IGNORECASE)
_ASKS_FIRST = re.compile(r"\bmy (?:very )?first (?:message|question)\b", re.IGNORECASE)
_ASKS_LAST = re.compile(
    r"\bwhat (?:did|have) i (?:just )?(?:say|said|ask|asked|write|written)\b|\bmy (?:last|previous) message\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"\s+(?:and|but|so)\s+(?:i|my|please)\b.*", re.IGNORECASE)
_ABOUT_FILES = re.compile(r"\b(?:directory|files?|documents?|uploads?)\b", re.IGNORECASE)


def recall(talk: Conversation) -> Move | None:
    """Takes note of "my … is …" and "remember …", and answers questions about them and about earlier messages."""
    ask = talk.ask
    if _ASKS_NOTES.search(ask):
        notes = [note.strip() for exchange in talk.earlier for note in _NOTE.findall(exchange.user)]
        listed = "\n".join(f"- {note}" for note in notes)
        return Say(f"You asked me to remember:\n\n{listed}" if notes else "You have not asked me to remember anything.")
    if _ASKS_FIRST.search(ask):
        return _quoted(talk, 0, "Your first message in this conversation was")
    if _ASKS_LAST.search(ask):
        return _quoted(talk, -1, "Before this you wrote")
    wanted = _ASKS_FACT.search(ask)
    return _fact(talk, wanted[1].strip()) if wanted is not None else _noted(ask)


def _noted(ask: str) -> Move | None:
    note, fact = _NOTE.search(ask), _FACT.match(ask)
    if ask.endswith("?"):
        return None
    if note is not None:
        return Say(f"I will remember: {note[1].strip()}", ("The user wants me to keep something in mind.",))
    return Say(f"Noted: your {fact[1].strip()} is {_CLAUSE.sub('', fact[2]).strip()}.") if fact is not None else None


def _fact(talk: Conversation, wanted: str) -> Move | None:
    # Replayed history is in the prompt or in the message.
    said = [talk.question, *(exchange.user for exchange in reversed(talk.earlier)), talk.request.system_prompt]
    for text in said:
        for name, value in reversed(_FACT.findall(text)):
            if _key(name) == _key(wanted):
                return Say(f"Your {wanted} is **{_CLAUSE.sub('', value).strip()}**, as you told me.")
    if _ABOUT_FILES.search(wanted):
        return None
    return Say(f"You have not told me your {wanted} in this conversation.")


def _key(name: str) -> str:
    return name.casefold().replace("favorite", "favourite").strip()


def _quoted(talk: Conversation, index: int, words: str) -> Move:
    if not talk.earlier:
        return Say("This is your first message in this conversation; you have said nothing before it.")
    said = " ".join(talk.earlier[index].user.split())
    shown = said if len(said) <= _QUOTED_CHARS else said[: _QUOTED_CHARS - 1] + "…"
    return Say(f"{words}:\n\n> {shown}", ("I look back at the conversation.",))


# Knowledge, so that the samples of the documentation get sensible answers.

_SUM = re.compile(
    r"(-?\d{1,15}(?:\.\d{1,9})?)\s*([-+*/x\u00d7÷]|times|plus|minus|divided by)\s*(-?\d{1,15}(?:\.\d{1,9})?)"
)
_ASKS_SUM = re.compile(r"^(?:and\s+)?(?:what(?:'s| is)|how much is|calculate|compute)\b|^[-\d]", re.IGNORECASE)
_DIVIDES = ("/", "÷", "divided by")
_CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Germany": "Berlin", "Spain": "Madrid", "Austria": "Vienna",
    "Japan": "Tokyo", "Kenya": "Nairobi", "Canada": "Ottawa", "Australia": "Canberra",
}  # fmt: skip
_CAPITAL = re.compile(rf"\bcapital of ({'|'.join(_CAPITALS)})\b", re.IGNORECASE)


def calculate(talk: Conversation) -> Move | None:
    """Answers a sum of two numbers in the last line of a message."""
    question = talk.ask.rpartition("\n")[2].rstrip(" ?=.")
    found = _SUM.search(question)
    if found is None or not _ASKS_SUM.search(question) or found.end() != len(question):
        return None
    left, sign, right = found.groups()
    if sign in _DIVIDES and Decimal(right) == 0:
        return Say(f"`{found[0]}` divides by zero.")
    shown = f"{round(_value(Decimal(left), sign, Decimal(right)), 10):f}"
    shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return Say(f"{found[0]} = **{shown}**", ("The user wants a calculation.", f"I compute {found[0]}."))


def _value(left: Decimal, sign: str, right: Decimal) -> Decimal:
    if sign in ("+", "plus"):
        return left + right
    if sign in ("-", "minus"):
        return left - right
    return left / right if sign in _DIVIDES else left * right


def name_capital(talk: Conversation) -> Move | None:
    """Answers which city is the capital of a country."""
    found = _CAPITAL.search(talk.ask)
    if found is None or _ABOUT_FILES.search(talk.ask):
        return None
    country = found[1].title()
    return Say(f"The capital of {country} is **{_CAPITALS[country]}**.", ("The user asks for a capital.",))


# Errands: what needs one of the server's other tools.

_FILE = r"[`\"']?(?P<file>[\w][\w\-./ ]{0,120}?\.\w{1,8}|/[^\s`\"']{1,200})[`\"']?"
_START = r"^\s*(?:please\s+|can you\s+|could you\s+|now\s+)*"
_WRITE = re.compile(
    rf"{_START}(?:write|save|put)\s+(?P<content>.+?)\s+(?:to|in|into|as)\s+(?:a\s+|the\s+)?(?:file\s+)?{_FILE}"
    r"\s*[.!?]?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_EARLIER = re.compile(r"^(?:this|that|it|(?:the|your)\s+(?:last\s+)?(?:answer|reply|result))$", re.IGNORECASE)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”"}
_LONGEST_REQUEST = 100_000


def write_file(talk: Conversation) -> Move | None:
    """Writes a text to a file, with the tool Write; the server asks for permission."""
    match = _WRITE.match(talk.question[:_LONGEST_REQUEST])
    if match is None:
        return None
    name, content = match["file"].strip(), match["content"].strip()
    if talk.request.plan_mode or not talk.can("Write"):
        return Say(f"I may not write files in this turn, so `{name}` was not written.")
    written = talk.done("Write")
    if written:
        return _outcome(written[-1], name)
    if _EARLIER.match(content):
        content = next((exchange.agent for exchange in reversed(talk.earlier) if exchange.agent), "")
        if not content:
            return Say("There is no earlier answer that I could save.")
    elif len(content) > 1 and content.endswith(_QUOTES.get(content[0], "\0")):
        content = content[1:-1]
    thoughts = (
        f"The user wants a file {name}.",
        f"I write {len(content)} character{'' if len(content) == 1 else 's'}; this needs permission.",
    )
    return Act("Write", {"file_path": name, "content": content}, f"I will write `{name}`.\n\n", thoughts)


def _outcome(step: Step, name: str) -> Say:
    if step.denied:
        return Say(f"You denied permission, so I wrote nothing; `{name}` is as it was.", ("Permission was denied.",))
    if step.result.is_error:
        return Say(f"`{name}` could not be written: {step.result.output}", ("The tool failed.",))
    return Say(f"Done, I wrote `{name}`.", ("The tool succeeded.",))


_DELEGATES = re.compile(
    r"\b(?:delegate|(?:ask|use|start|let|have)\s+(?:a|an|the|your)?\s*sub-?\s?agent)\b\s*"
    r"(?:to\b|:|for\b|this\b)?\s*(?P<task>.*)",
    re.IGNORECASE | re.DOTALL,
)
_TODO = re.compile(r"\bto-?\s?do(?:s|\s+list)?\b\s*:\s*(?P<items>.+)", re.IGNORECASE | re.DOTALL)
_BETWEEN_ITEMS = re.compile(r"\s*(?:;|,|\n[-*\s]*)\s*(?:and\s+)?")
_MAX_TODOS = 30


def delegate(talk: Conversation) -> Move | None:
    """Gives a task to a sub-agent, with the tool Task, and reports its answer."""
    match = _DELEGATES.search(talk.ask)
    if match is None or talk.request.is_subagent:
        return None
    done = talk.done("Task")
    if done:
        step = done[-1]
        if step.denied or step.result.is_error or not step.result.output:
            return Say(f"The sub-agent did not finish: {step.result.output or 'it gave no answer'}")
        return Say(f"The sub-agent answered:\n\n{step.result.output}", ("The sub-agent is done.",))
    if not talk.can("Task"):
        return Say("I cannot start sub-agents in this turn.")
    task = match["task"].strip(" :") or talk.ask
    arguments = {"description": " ".join(task.split()[:5]), "prompt": task, "subagent_type": "general-purpose"}
    thoughts = ("The user wants this delegated.", "I start a sub-agent.")
    return Act("Task", arguments, "I will ask a sub-agent.\n\n", thoughts)


def keep_todos(talk: Conversation) -> Move | None:
    """Keeps the list of tasks that follows "todo:", with the tool TodoWrite."""
    match = _TODO.search(talk.ask)
    if match is None or not talk.can("TodoWrite"):
        return None
    items = [item.strip(" .-*") for item in _BETWEEN_ITEMS.split(match["items"]) if item.strip(" .-*")][:_MAX_TODOS]
    done = talk.done("TodoWrite")
    if not done:
        todos = [
            {"id": str(number), "content": item, "status": "pending", "priority": "medium"}
            for number, item in enumerate(items, 1)
        ]
        return Act("TodoWrite", {"todos": todos}, thoughts=(f"The user names {len(items)} tasks.", "I keep them."))
    if done[-1].result.is_error:
        return Say(f"The list could not be kept: {done[-1].result.output}")
    return Say("Your todo list:\n\n" + "\n".join(f"- [ ] {item}" for item in items))
