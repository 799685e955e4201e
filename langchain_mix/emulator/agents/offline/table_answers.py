"""Answers questions about tables with numbers that were really computed.

Owns: choosing the table, computing the query, and saying from which lines the answer comes.
Refuses to know: how a question is understood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Move, Say
from langchain_mix.emulator.agents.offline.files import named_file
from langchain_mix.emulator.agents.offline.observations import FileText, known_files, look_around, read_whole
from langchain_mix.emulator.agents.offline.table import TABLES, Row, Table
from langchain_mix.emulator.agents.offline.table_query import TABULAR, Aggregate, Query, understand

_SAYS_TABLE = re.compile(r"\b(?:csv|tsv|table|spreadsheet)\b", re.IGNORECASE)
_MOST_TABLES = 8
_SHOWN_ROWS = 20
_PRECISION = 60
_PLACES = Decimal("0.0001")
_TITLES: dict[Aggregate, str] = {"sum": "total", "average": "average", "median": "median", "count": "number of rows"}
Group = tuple[str, list[Row]]


def answer_from_tables(talk: Conversation) -> Move | None:
    """Computes what a question asks of a CSV file; None if there is no table that fits."""
    if not TABULAR.search(talk.ask) or not (talk.can("Glob") and talk.can("ReadText")):
        return None
    paths = known_files(talk)
    if paths is None:
        return look_around("This may be a question about a table.", "I look which files there are.")
    tables = [path for path in paths if path.lower().endswith(TABLES)]
    named = named_file(talk.ask, paths, talk)
    if named is not None:
        tables = [named] if named in tables else []
    texts: list[FileText] = []
    for path in tables[:_MOST_TABLES]:
        text = read_whole(talk, path)
        if isinstance(text, Act):
            return text
        texts.append(text)
    surely = named is not None or bool(_SAYS_TABLE.search(talk.ask))
    found = (_from_table(talk, text, guess=guess) for guess in (False, surely) for text in texts)
    return next((answer for answer in found if answer is not None), None)


def _from_table(talk: Conversation, text: FileText, *, guess: bool) -> Say | None:
    name = talk.name_of(text.path)
    if text.error:
        return None
    if text.cut:
        return Say(f"`{name}` has lines that are too long to be read whole, so I compute nothing from it.")
    table = Table.parse([(line.number, line.text) for line in text.lines])
    query = understand(talk.ask, table, guess=guess) if table is not None else None
    if table is None or query is None:
        return None
    thoughts = (f"{name} has the columns {', '.join(table.columns)}.", f"I compute over {len(table.rows)} rows.")
    return Say(compute(query, table, name), thoughts)


def compute(query: Query, table: Table, name: str) -> str:
    """Computes a query.

    Args:
        query: What is wanted.
        table: The data.
        name: Of the file, for the source.

    Returns:
        Markdown with the result, the rows it comes from, and what was left out.
    """
    rows = [row for row in table.rows if all(f.test(row) for f in query.filters)]
    where = f" ({', '.join(f.words for f in query.filters)})" if query.filters else ""
    if not rows:
        return f"No row of `{name}` matches{where}."
    with localcontext() as context:
        context.prec = _PRECISION
        if query.extreme is not None and query.measure is not None:
            text = _extremes(query, table, rows, where)
        elif query.grouped and query.label is not None:
            text = _by_group(query, table, rows, where)
        else:
            text = f"The {_title(query)}{where} is **{_shown(_value(query, table, rows))}**."
    return f"{text}\n\n{_source(query, table, rows, name)}"


def _value(query: Query, table: Table, rows: Sequence[Row]) -> Decimal | None:
    if query.aggregate == "count" and query.measure is None:
        if query.label is not None:
            return Decimal(len({row.cells[query.label] for row in rows}))
        return Decimal(len(rows))
    values = sorted(_numbers(query, table, rows))
    if not values:
        return None
    if query.aggregate == "average":
        return sum(values, Decimal()) / len(values)
    if query.aggregate == "median":
        middle = len(values) // 2
        return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
    return sum(values, Decimal())  # "How many units" of a column of numbers means their sum.


def _numbers(query: Query, table: Table, rows: Sequence[Row]) -> list[Decimal]:
    column = query.measure or ""
    return [value for row in rows if (value := table.number(row, column)) is not None]


def _extremes(query: Query, table: Table, rows: list[Row], where: str) -> str:
    groups = _groups(query, rows)
    put_together = any(len(members) > 1 for _, members in groups)
    valued = [(value, label) for label, members in groups if (value := _value(query, table, members)) is not None]
    valued.sort(key=lambda pair: pair[0], reverse=query.extreme == "highest")
    best = valued[: query.limit]
    what = f"{query.extreme} {_title(query) if put_together else query.measure}"
    if not best:
        return f"Column {query.measure} holds no numbers{where}."
    if query.limit > 1:
        listed = [f"{place}. {label}: **{_shown(value)}**" for place, (value, label) in enumerate(best, 1)]
        return f"The {len(best)} {what}{where}:\n\n" + "\n".join(listed)
    value = best[0][0]
    ties = [label for other, label in valued if other == value]
    if query.label is None:
        return f"The {what}{where} is **{_shown(value)}** ({', '.join(ties)})."
    return f"**{'**, **'.join(ties)}** {'has' if len(ties) == 1 else 'have'} the {what}{where}: **{_shown(value)}**."


def _groups(query: Query, rows: list[Row]) -> list[Group]:
    """Puts the rows of the same label together; without a label each row stands for itself."""
    if query.label is None:
        return [(f"line {row.line}", [row]) for row in rows]
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.cells[query.label], []).append(row)
    return list(groups.items())


def _by_group(query: Query, table: Table, rows: list[Row], where: str) -> str:
    title = "number of rows" if query.measure is None else _title(query)
    counted = Query(query.aggregate, None, query.measure, None, grouped=False, limit=1, filters=())
    results = [(label, _value(counted, table, members)) for label, members in _groups(query, rows)]
    shown = [f"| {label} | {_shown(value)} |" for label, value in results[:_SHOWN_ROWS]]
    more = f"\n\n… and {len(results) - _SHOWN_ROWS} more." if len(results) > _SHOWN_ROWS else ""
    head = f"The {title} by {query.label}{where}:\n\n| {query.label} | {title} |\n| --- | --- |\n"
    return head + "\n".join(shown) + more


def _title(query: Query) -> str:
    if query.measure is None:
        return f"number of different {query.label}" if query.label is not None else "number of rows"
    return f"{'total' if query.aggregate in (None, 'count') else _TITLES[query.aggregate]} {query.measure}"


def _source(query: Query, table: Table, rows: Sequence[Row], name: str) -> str:
    lines = sorted(row.line for row in rows)
    span = f"{lines[0]}-{lines[-1]}" if lines[0] != lines[-1] else f"{lines[0]}"
    said = [f"Source: `{name}:{span}`, {len(rows)} of {len(table.rows)} rows."]
    if query.measure is not None:
        missing = len(rows) - len(_numbers(query, table, rows))
        if missing:
            said.append(f"{missing} row(s) without a number in {query.measure} were left out.")
    if table.uneven:
        said.append(f"{len(table.uneven)} malformed line(s) were left out.")
    return " ".join(said)


def _shown(value: Decimal | None) -> str:
    if value is None:
        return "unknown, as there are no numbers"
    rounded = value.quantize(_PLACES, rounding=ROUND_HALF_EVEN)
    text = f"{value:f}" if rounded == value else f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
