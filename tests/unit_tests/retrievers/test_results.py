from __future__ import annotations

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage

from langchain_mix import cite

PASSAGES = [
    Document(
        page_content=f"passage {rank}",
        metadata={"rank": rank, "source": f"http://x/{rank}", "file_name": f"{rank}.md", "start_index": rank * 10},
    )
    for rank in (1, 2, 3)
]


def cited(answer, documents=PASSAGES):
    found = cite(answer, documents).content_blocks[0]["annotations"]
    return [(answer[one["start_index"] : one["end_index"]], one["cited_text"][-1]) for one in found]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            "Trucks broke [1]. Kettles came back [2, 3].",
            [("Trucks broke [1]", "1"), *(("Kettles came back [2, 3]", n) for n in "23")],
        ),
        ("Late. [1] Back! [2]", [("Late. [1]", "1"), ("Back! [2]", "2")]),
        ("It cost 3.50 each.[1][2] More.", [("It cost 3.50 each.[1]", "1"), ("It cost 3.50 each.[1][2]", "2")]),
        ("今年は遅れた【1】。次【2】", [("今年は遅れた【1】", "1"), ("次【2】", "2")]),
        ("- One [1-3]\n- Two [^2]", [*(("- One [1-3]", n) for n in "123"), ("- Two [^2]", "2")]),
        ("Use `x[1]`.\n```\ny[2]\n```\n  So [3].", [("So [3]", "3")]),
        ("[1] Starts with it.", [("[1]", "1")]),
        ("None, [x], [], [1990-2020].", []),
    ],
)
def test_numbers_become_citations_of_their_sentence(answer, expected):
    assert cited(answer) == expected


def test_a_citation_names_the_file_and_the_place_in_it():
    (citation,) = cite("Late [2].", PASSAGES).content_blocks[0]["annotations"]
    assert {**citation, "id": ""} == {
        "type": "citation",
        "id": "",
        "url": "http://x/2",
        "title": "2.md",
        "start_index": 0,
        "end_index": 8,
        "cited_text": "passage 2",
        "extras": PASSAGES[1].metadata,
    }


def test_documents_without_ranks_are_counted_from_one():
    documents = [Document(page_content="of number 1"), Document(page_content="of number 2")]
    assert cited("See [2].", documents) == [("See [2]", "2")]


def test_numbers_of_no_passage_are_reported():
    message = cite("So [7], [1, 8] and [7].", PASSAGES)
    assert message.response_metadata["unknown_citations"] == [7, 8]
    assert "unknown_citations" not in cite("So [1].", PASSAGES).response_metadata


def test_the_rest_of_the_answer_stays():
    blocks = [
        {"type": "reasoning", "reasoning": "[1]"},
        {"type": "text", "text": "So [1].", "annotations": [{"type": "citation", "id": "before"}]},
    ]
    answer = AIMessage(content=blocks, id="x", response_metadata={"output_version": "v1", "model": "m"})
    message = cite(answer, PASSAGES)
    assert (message.id, message.response_metadata["model"], message.text) == ("x", "m", "So [1].")
    assert message.content_blocks[0] == blocks[0]
    assert [one.get("cited_text") for one in message.content_blocks[1]["annotations"]] == [None, "passage 1"]
    assert answer.content == blocks, "the answer that was given is left alone"
