from __future__ import annotations

import pytest

from langchain_mix.emulator.agents import OfflineAgent

AGENT = OfflineAgent()
SALES = """date,quarter,region,product,units,revenue
2023-11-02,Q4,North,Widget,5,50.50
2024-01-15,Q1,North,Widget,10,100.25
2024-02-20,Q1,South,Gadget,7,140.00
2024-12-24,Q4,West,Gizmo,1,"$1,999.99"
"""


async def test_finds_reads_and_quotes_a_passage_with_its_place(desk) -> None:
    (desk.request.uploads / "handbook.md").write_text(
        "# Holidays\n\nEvery employee has 30 vacation days.\n\n# Pay\n\nPaid on the 25th.\n"
    )
    (desk.request.uploads / "other.txt").write_text("Nothing of interest.\n")
    answer = await desk.say(AGENT, "How many vacation days does an employee have?")
    assert [call.name for call in desk.used] == ["Glob", "Grep", "ReadText"]
    assert answer == "From `handbook.md`:\n\n> Every employee has 30 vacation days.\n\n(`handbook.md:3`)"
    assert desk.asked == []


async def test_a_heading_is_quoted_with_its_first_line(desk) -> None:
    (desk.request.uploads / "handbook.md").write_text("# Pay\n\nOn the 25th.\n")
    assert "> # Pay\n> On the 25th.\n\n(`handbook.md:1-3`)" in await desk.say(AGENT, "When is pay due?")


@pytest.mark.parametrize(
    ("content", "question", "expected"),
    [
        ("東京の人口は約1400万人です。\n大阪は別の町です。\n", "東京の人口は？", "`t.txt:1`"),
        ("Die Straße heißt Lindenallee.\nSonst nichts.\n", "Wie heißt die Straße?", "Lindenallee"),
        ("Столица — Москва.\nДругое.\n", "Какая столица?", "Москва"),
        ("Café ÉCLAIR costs 3 euros\n", "what does an éclair cost?", "3 euros"),
    ],
)
async def test_searches_in_every_script(desk, content: str, question: str, expected: str) -> None:
    (desk.request.uploads / "t.txt").write_text(content)
    assert expected in await desk.say(AGENT, question)


async def test_says_so_when_the_files_hold_nothing(desk) -> None:
    (desk.request.uploads / "a.txt").write_text("apples\n")
    answer = await desk.say(AGENT, "What do the files say about zebras?")
    assert "found nothing" in answer
    assert "zebra" in answer
    assert "found nothing" in await desk.say(AGENT, "Why are zebras striped, according to a.txt?")


async def test_says_so_without_files(desk) -> None:
    assert "no files" in await desk.say(AGENT, "What files are there?")
    assert "no files" in await desk.say(AGENT, "What does the uploaded document say about zebras?")


async def test_lists_and_shows_files(desk) -> None:
    (desk.request.uploads / "a.txt").write_text("apples\npears\n")
    (desk.request.workspace / "b.md").write_text("x")
    (desk.request.uploads / "p.png").write_bytes(b"\x89PNG\0")
    listed = await desk.say(AGENT, "Which files are there?")
    assert "`a.txt`" in listed
    assert "`b.md`" in listed
    assert "apples\npears" in await desk.say(AGENT, "Show me a.txt")
    assert "not a text file" in await desk.say(AGENT, "What is in p.png?")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the total revenue?", "The total revenue is **2290.74**."),
        ("Which region has the highest revenue in sales.csv?", "**West** has the highest total revenue: **1999.99**."),
        ("Which product has the most units?", "**Widget** has the highest total units: **15**."),
        ("What is the highest revenue?", "The highest revenue is **1999.99** (line 5)."),
        ("sum of the units by region", "| North | 15 |\n| South | 7 |\n| West | 1 |"),
    ],
)
async def test_adds_up_a_column_of_a_table_or_finds_its_maximum(desk, question: str, expected: str) -> None:
    (desk.request.uploads / "notes.txt").write_text("total nonsense\n")
    (desk.request.uploads / "sales.csv").write_text(SALES)
    answer = await desk.say(AGENT, question)
    assert expected in answer
    assert answer.endswith("Source: `sales.csv:2-5`, 4 rows.")
    assert [call.name for call in desk.used] == ["Glob", "ReadText"]


@pytest.mark.parametrize(
    "text", ["a;b\nx;1.5\ny;2.5\n", "a\tb\nx\t1.5\ny\t2.5\n", '"a", "b"\n"x", "1.5"\n"y", "2.5"\n']
)
async def test_delimiters(desk, text: str) -> None:
    (desk.request.uploads / "t.csv").write_text(text)
    assert "**4**" in await desk.say(AGENT, "total b in t.csv")


async def test_cells_without_a_number_are_reported(desk) -> None:
    (desk.request.uploads / "t.csv").write_text("name,x\na,1\nb,\nc,2\nbroken\n")
    answer = await desk.say(AGENT, "what is the total x in t.csv?")
    assert "**3**" in answer
    assert "3 rows. 1 row was left out: no number in x." in answer


async def test_ties_are_all_named(desk) -> None:
    (desk.request.uploads / "t.csv").write_text("name,x\na,2\nb,2\nc,1\n")
    assert "**a**, **b** have the highest x: **2**" in await desk.say(AGENT, "which name has the highest x?")


@pytest.mark.parametrize("count", [30_000, pytest.param(60_000, marks=pytest.mark.exhaustive)])
async def test_large_tables_are_read_page_by_page(desk, count) -> None:
    rows = [(i, i * 3 % 1000) for i in range(count)]
    (desk.request.uploads / "big.csv").write_text("key,amount\n" + "".join(f"k{i},{n}\n" for i, n in rows))
    answer = await desk.say(AGENT, "what is the total amount in big.csv?")
    assert f"**{sum(n for _, n in rows)}**" in answer
    assert len([c for c in desk.used if c.name == "ReadText"]) >= 3


async def test_a_question_that_fits_no_table_is_searched(desk) -> None:
    (desk.request.uploads / "sales.csv").write_text(SALES)
    (desk.request.uploads / "zoo.txt").write_text("The zebra is the most striped animal.\n")
    assert "`zoo.txt:1`" in await desk.say(AGENT, "Which animal is the most striped?")


async def test_one_row_is_no_rows(desk) -> None:
    (desk.request.uploads / "t.csv").write_text("name,x\na,1\n")
    answer = await desk.say(AGENT, "what is the total x in t.csv?")
    assert answer.endswith("Source: `t.csv:2`, 1 row.")
