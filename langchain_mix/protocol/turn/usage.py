"""Counts the tokens and the cost of a turn, from whichever listing has them.

Owns: what each listing counts, and which of it is the turn's. Refuses to know: which rows are the turn's
(`stored_rows.py`, `attribution.py`), and when which listing is read (`reconciliation.py`).

Mix 0.8.1 lists tokens and cost with each message, and a turn is the sum of its own. Servers before it have counters of
the session alone, in the export: the tokens of the last model call, and the cost of everything so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from langchain_mix.protocol.models import BackendMessage, ExportSession


@dataclass(slots=True, kw_only=True)
class Usage:
    """Tokens and cost of a turn.

    Attributes:
        input_tokens: Tokens read, as the server counts them.
        output_tokens: Tokens written.
        cache_creation_tokens: Of these, tokens written to the provider's cache.
        cache_read_tokens: Of these, tokens read from it.
        cost: US dollars, or None where the turn's share is unknown.
        whole_turn: True if all model calls are counted. Before Mix 0.8 servers list only the last one's tokens.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0
    cost: float | None = None
    whole_turn: bool = True


def usage_of_message(message: BackendMessage) -> Usage | None:
    """Returns what a row of the message listing counts; None if it counts nothing."""
    usage = Usage(
        input_tokens=message.input_tokens or 0,
        output_tokens=message.output_tokens or 0,
        cache_creation_tokens=message.cache_creation_tokens or 0,
        cache_read_tokens=message.cache_read_tokens or 0,
        cost=message.cost or 0.0,
    )
    return None if usage == Usage(cost=0.0) else usage


def usage_of_last_call(export: ExportSession) -> Usage:
    """Returns the counters of a session: the tokens of its last model call, and the cost of all of them."""
    return Usage(
        input_tokens=export.prompt_tokens,
        output_tokens=export.completion_tokens,
        cost=export.cost,
        whole_turn=False,
    )


def usage_of_turn(listed: Sequence[Usage | None], last_call: Usage | None, cost_before: float | None) -> Usage | None:
    """Counts a turn.

    Args:
        listed: What the turn's assistant rows count, one for each model call.
        last_call: The counters of the session, where the listing has them.
        cost_before: The session's cost before the turn in US dollars, if known.

    Returns:
        The sum of the rows; where none counts anything, what the counters of the session show. None if nothing does.
    """
    counted = [usage for usage in listed if usage is not None]
    if counted:
        return _sum(counted)
    if last_call is None or not listed:
        return None
    cost = None if cost_before is None or last_call.cost is None else max(last_call.cost - cost_before, 0.0)
    return replace(last_call, cost=cost, whole_turn=len(listed) == 1)


def usage_of_turns(turns: Sequence[Usage | None]) -> Usage | None:
    """Adds what several turns used; where one of them is unknown, it says that it is not the whole."""
    counted = [usage for usage in turns if usage is not None]
    if not counted:
        return None
    return _sum(counted) if len(counted) == len(turns) else replace(_sum(counted), cost=None, whole_turn=False)


def _sum(counted: Sequence[Usage]) -> Usage:
    costs = [usage.cost for usage in counted if usage.cost is not None]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in counted),
        output_tokens=sum(usage.output_tokens for usage in counted),
        cache_creation_tokens=sum(usage.cache_creation_tokens for usage in counted),
        cache_read_tokens=sum(usage.cache_read_tokens for usage in counted),
        cost=sum(costs) if len(costs) == len(counted) else None,
        whole_turn=all(usage.whole_turn for usage in counted),
    )
