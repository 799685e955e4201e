"""Requests that need one of the server's other tools: sub-agents, todo lists, plans, commands.

Owns: recognising them and reporting what the tool gave.
Refuses to know: files and knowledge.
"""

from __future__ import annotations

import re

from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Move, Say

_DELEGATES = re.compile(
    r"\b(?:delegate|(?:ask|use|start|spawn|launch|let|have)\s+(?:a|an|the|your)?\s*(?:other\s+"
    r")?sub-?\s?agents?)\b\s*(?:to|:|for|the task(?: of)?|and)?\s*(?P<task>.*)",
    re.IGNORECASE | re.DOTALL,
)
_TODO = re.compile(r"\bto-?\s?do(?:s|\s+list)?\b|\btask list\b", re.IGNORECASE)
_PLAN = re.compile(
    r"\bplan\b|^\s*(?:please\s+)?(?:write|build|create|implement|add|refactor|fix|edit|save|delete|"
    r"make|change|migrate)\b",
    re.IGNORECASE,
)
_RUN = re.compile(
    r"^\s*(?:please\s+)?(?:run|execute)\s+(?:the\s+)?(?:shell\s+|bash\s+"
    r")?(?:command\s*:?\s*)?[`\"']?(?P<command>[^`\n]+?)[`\"']?\s*[.?]?\s*$",
    re.IGNORECASE,
)
_WHERE = re.compile(r"\bwhat(?:'s| is)\s+(?:your|the)\s+(?:current\s+)?working directory\b|\bpwd\b", re.IGNORECASE)
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*", re.MULTILINE)
_MAX_TODOS = 30


def delegate(talk: Conversation) -> Move | None:
    """Gives a task to a sub-agent and reports its answer."""
    match = _DELEGATES.search(talk.ask)
    if match is None or talk.request.is_subagent:
        return None
    task = match["task"].strip() or talk.ask
    done = talk.done("Task")
    if done:
        step = done[-1]
        if step.denied or step.result.is_error or not step.result.output:
            return Say(f"The sub-agent did not finish: {step.result.output or 'it gave no answer'}")
        return Say(f"The sub-agent answered:\n\n{step.result.output}", ("The sub-agent is done.",))
    if not talk.can("Task"):
        return Say("I cannot start sub-agents in this turn.")
    arguments = {"description": " ".join(task.split()[:5]), "prompt": task, "subagent_type": "general-purpose"}
    return Act(
        "Task", arguments, "I will ask a sub-agent.\n\n", ("The user wants this delegated.", "I start a sub-agent.")
    )


def keep_todos(talk: Conversation) -> Move | None:
    """Writes a list of tasks."""
    if not _TODO.search(talk.ask) or talk.ask.endswith("?") or not talk.can("TodoWrite"):
        return None
    items = _items(talk.ask)
    if not items:
        return Say("Tell me the tasks after a colon or as a list, and I will keep them as todos.")
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


def present_plan(talk: Conversation) -> Move | None:
    """In plan mode, answers requests to do something with a plan."""
    if not talk.request.plan_mode or not _PLAN.search(talk.ask) or not talk.can("ExitPlanMode"):
        return None
    plan = _plan(talk.ask)
    done = talk.done("ExitPlanMode")
    if done:
        refused = done[-1].denied or done[-1].result.is_error
        return Say(
            "The plan was not accepted; nothing was changed." if refused else f"{plan}\n\nNothing was changed yet."
        )
    thoughts = ("This is plan mode: I may look, but change nothing.", "I make a plan.")
    return Act("ExitPlanMode", {"plan": plan}, "Here is my plan.\n\n", thoughts)


def run_command(talk: Conversation) -> Move | None:
    """Asks for a command to be run, which the emulator's tool refuses, and says so; tells the working directory."""
    if _WHERE.search(talk.ask):
        return Say(f"My working directory is `{talk.request.workspace}`.", ("The user asks where I work.",))
    match = _RUN.match(talk.ask)
    if match is None or not talk.can("Bash"):
        return None
    command = match["command"].strip()
    done = talk.done("Bash")
    if not done:
        return Act("Bash", {"command": command}, f"I will run `{command}`.\n\n", ("The user wants a command run.",))
    if done[-1].denied:
        return Say(f"You denied permission, so `{command}` was not run.")
    if done[-1].result.is_error:
        return Say(f"`{command}` was not run: {done[-1].result.output}")
    return Say(f"`{command}` gave:\n\n```\n{done[-1].result.output}\n```")


def _items(ask: str) -> list[str]:
    marked = [line for line in ask.splitlines() if _LIST_MARK.match(line)]
    if marked:
        items = [_LIST_MARK.sub("", line) for line in marked]
    else:
        _, colon, listed = ask.partition(":")
        items = re.split(r"\s*(?:;|,|\n)\s*(?:and\s+)?", listed) if colon else []
    return [item.strip().rstrip(".") for item in items if item.strip(" .")][:_MAX_TODOS]


def _plan(ask: str) -> str:
    goal = " ".join(ask.split())
    steps = (
        "Find the files that this concerns (Glob, Grep).",
        "Read them and note what has to change.",
        f"Make the change: {goal}",
        "Read the result again and report it with its places.",
    )
    return "## Plan\n\n" + "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
