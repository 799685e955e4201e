from __future__ import annotations

import csv
import io
import statistics
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.emulator.agents import OfflineAgent
from langchain_mix.emulator.agents.offline.table import Table, date_of
from langchain_mix.emulator.agents.offline.table_answers import compute
from langchain_mix.emulator.agents.offline.table_query import understand

AGENT = OfflineAgent()
SALES = """date,quarter,region,product,units,revenue
2023-11-02,Q4,North,Widget,5,50.50
2024-01-15,Q1,North,Widget,10,100.25
2024-02-20,Q1,South,Gadget,7,140.00
2024-07-04,Q3,South,Widget,3,30.10
2024-08-11,Q3,North,Gadget,9,180.90
2024-12-24,Q4,West,Gizmo,1,999.99
"""


def ask(question: str, text: str = SALES) -> str:
    table = Table.parse(list(enumerate(text.splitlines(), 1)))
    assert table is not None
    query = understand(question, table)
    assert query is not None
    return compute(query, table, "sales.csv")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the total revenue?", "**1501.74**"),
        ("What was the total revenue in 2024?", "**1451.24**"),
        ("What is the revenue total in Q3?", "**211**"),
        ("total revenue in Q4 2024", "**999.99**"),
        ("sum of units in July", "**3**"),
        (
            "What's the average revenue for Widget?",
            f"**{(Decimal('50.50') + Decimal('100.25') + Decimal('30.10')) / 3:.4f}".rstrip("0"),
        ),
        ("median units", "**6**"),
        ("Which region has the highest revenue?", "**West** has the highest total revenue: **999.99**"),
        ("Which region has the lowest revenue in Q3?", "**South** has the lowest"),
        ("Which product has the highest average units?", "**Gadget** has the highest average units: **8**"),
        ("What is the highest revenue?", "999.99"),
        ("How many rows are there?", "**6**"),
        ("How many units were sold in Q1?", "**17**"),
        ("how many rows have revenue over 100", "**4**"),
        ("How many rows with units at least 9?", "**2**"),
        ("How many rows are in the South region?", "**2**"),
        ("top 2 regions by revenue", "1. West: **999.99**\n2. North: **331.65**"),
        ("total revenue by region", "| North | 331.65 |\n| South | 170.1 |\n| West | 999.99 |"),
        ("average units per product", "| Widget | 6 |\n| Gadget | 8 |\n| Gizmo | 1 |"),
        ("What is the total revenue in 2030?", "No row of `sales.csv` matches (2030)"),
    ],
)
def test_questions(question: str, expected: str) -> None:
    assert expected in ask(question)


def test_the_source_names_lines_and_rows() -> None:
    assert "Source: `sales.csv:5-6`, 2 of 6 rows." in ask("total revenue in Q3")


def test_what_is_no_question_for_a_table() -> None:
    table = Table.parse(list(enumerate(SALES.splitlines(), 1)))
    assert table is not None
    for text in ("Tell me about widgets", "Who wrote this?", "Where is the total eclipse?", "hello"):
        assert understand(text, table) is None


def test_ties_are_all_named() -> None:
    assert "**a**, **b** have the highest x: **2**" in ask("which name has the highest x?", "name,x\na,2\nb,2\nc,1\n")


def test_what_is_left_out_is_said() -> None:
    answer = ask("what is the total x?", "name,x\na,1\nb,\nc,2\nd,3\ne,4\nbroken\n")
    assert "**10**" in answer
    assert "1 row(s) without a number" in answer
    assert "1 malformed line(s)" in answer


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", "1"),
        ("-2.50", "-2.50"),
        ("$1,234.56", "1234.56"),
        ("(30)", "-30"),
        ("12%", "12"),
        ("1e3", "1E+3"),
        ("-$5", "-5"),
        ("", None),
        ("n/a", None),
        ("1,23", None),
        ("1e999999", None),
        ("١", None),
    ],
)
def test_numbers(cell: str, value: str | None) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["a", "b"], ["x", cell]])
    table = Table.parse(list(enumerate(out.getvalue().splitlines(), 1)))
    assert table is not None
    assert table.number(table.rows[0], "b") == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    "text",
    ["a;b\nx;1,5\ny;2,5\n", "a\tb\nx\t1.5\ny\t2.5\n", "a|b\nx|1.5\ny|2.5\n", '"a", "b"\n"x", "1.5"\n"y", "2.5"\n'],
)
def test_delimiters(text: str) -> None:
    assert "**4**" in ask("total b", text)


def test_quoted_cells_keep_their_delimiters_and_line_numbers() -> None:
    table = Table.parse(list(enumerate('a,b\n"x, y\nz",1\nw,2'.splitlines(), 1)))
    assert table is not None
    assert table.rows[0].cells["a"] == "x, y\nz"
    assert [row.line for row in table.rows] == [3, 4]


@pytest.mark.parametrize("text", ["", "\n\n", "a,b", "\n"])
def test_no_table(text: str) -> None:
    assert Table.parse(list(enumerate(text.splitlines(), 1))) is None


def test_dates() -> None:
    assert date_of("2024-03-05T10:00:00") == date_of("05.03.2024") == date_of("2024-03-05 10:00")
    assert date_of("Widget") is None


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.integers(-(10**6), 10**6)), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_agrees_with_python(rows: list[tuple[str, int]]) -> None:
    cents = [(f"group{g}", Decimal(n) / 100) for g, n in rows]
    text = "team,amount\n" + "".join(f"{g},{n}\n" for g, n in cents)
    values = [n for _, n in cents]
    assert _bold(ask("total amount", text)) == sum(values)
    assert abs(_bold(ask("average amount", text)) - Decimal(statistics.mean(values))) <= Decimal("0.00005")
    assert abs(_bold(ask("median amount", text)) - Decimal(statistics.median(values))) <= Decimal("0.00005")
    assert _bold(ask("how many rows", text)) == len(values)
    groups = {g: sum(n for h, n in cents if h == g) for g, _ in cents}
    best = max(groups.values())
    answer = ask("which team has the highest amount?", text)
    assert {g for g in groups if f"**{g}**" in answer} == {g for g, n in groups.items() if n == best}


def _bold(answer: str) -> Decimal:
    return Decimal(answer.partition("\n")[0].rsplit("**", 2)[1])


async def test_reads_the_table_with_the_tool(desk) -> None:
    (desk.request.uploads / "sales.csv").write_text(SALES)
    (desk.request.uploads / "notes.txt").write_text("total nonsense\n")
    answer = await desk.say(AGENT, "What was the total revenue in Q3?")
    assert [call.name for call in desk.used] == ["Glob", "ReadText"]
    assert "**211**" in answer
    assert "`sales.csv:5-6`" in answer
    assert "**West**" in await desk.say(AGENT, "Which region has the highest revenue?")


async def test_chooses_the_table_that_fits(desk) -> None:
    (desk.request.uploads / "a_people.csv").write_text("name,age\nAnn,30\nBob,40\n")
    (desk.request.uploads / "sales.csv").write_text(SALES)
    assert "**1501.74**" in await desk.say(AGENT, "what is the total revenue?")
    assert "**35**" in await desk.say(AGENT, "What is the average age in a_people.csv?")


async def test_large_tables_are_read_page_by_page(desk) -> None:
    rows = [(i, i * 3 % 1000) for i in range(60_000)]
    (desk.request.uploads / "big.csv").write_text("key,amount\n" + "".join(f"k{i},{n}\n" for i, n in rows))
    answer = await desk.say(AGENT, "what is the total amount in big.csv?")
    assert f"**{sum(n for _, n in rows)}**" in answer
    assert len([c for c in desk.used if c.name == "ReadText"]) >= 3


async def test_a_question_that_fits_no_table_is_searched(desk) -> None:
    (desk.request.uploads / "sales.csv").write_text(SALES)
    (desk.request.uploads / "zoo.txt").write_text("The zebra is the most striped animal.\n")
    assert "`zoo.txt:1`" in await desk.say(AGENT, "Which animal is the most striped?")


async def test_counting_what_no_table_holds_is_searched(desk) -> None:
    (desk.request.uploads / "sales.csv").write_text(SALES)
    (desk.request.uploads / "handbook.md").write_text("Every employee has 30 vacation days.\n")
    assert "30 vacation days" in await desk.say(AGENT, "How many vacation days does an employee have?")
    assert "**3**" in await desk.say(AGENT, "How many products are there?")
    assert "**3**" in await desk.say(AGENT, "How many Widgets were there?")
