"""An index that follows its files, at the least number of requests."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest

from langchain_mix import MixRetriever
from langchain_mix.client import Mix
from langchain_mix.errors import MixConnectionError, MixNotFoundError
from langchain_mix.protocol.api import ALL
from langchain_mix.retrievers import Limits, MixFileError, Selection, downloads

REFUNDS = "# Refunds\n\nRefunds are paid within ten days."
SAME_SIZE = "# Refunds\n\nRefunds are paid within one week."
assert len(REFUNDS) == len(SAME_SIZE)


class Scene:
    """A server, a session, and the requests to it."""

    def __init__(self, server, mix):
        self.server, self.mix = server, mix
        self.session_id = mix.sessions.create(title="files").id

    def put(self, name, content, session_id=None):
        data = content.encode() if isinstance(content, str) else content
        return self.mix.files.upload_session_file(id=session_id or self.session_id, file=data, file_name=name)

    def delete(self, name):
        self.mix.files.delete_session_file(id=self.session_id, filename=name)

    def retriever(self, **options):
        return MixRetriever(mix=self.mix, session_id=self.session_id, **options)

    @contextmanager
    def counted(self):
        """Listings, and names of downloaded files; several are downloaded at a time, in any order."""
        before, told = len(self.server.requests), []
        yield told
        paths = [r.path for r in list(self.server.requests)[before:]]
        told += ["LIST" for p in paths if p.endswith("/files")]
        told += sorted(p.rsplit("/", 1)[1] for p in paths if not p.endswith("/files"))


@pytest.fixture(params=["0.5", "0.8"])
def api(request):
    return request.param


@pytest.fixture
def scene(emulator, api):
    server = emulator(api)
    with Mix(server_url=server.url) as mix:
        scene = Scene(server, mix)
        scene.put("refunds.md", REFUNDS)
        scene.put("shipping.md", "# Shipping\n\nParcels leave the warehouse on Monday.")
        yield scene


async def refreshed(retriever):
    try:
        return await retriever.arefresh()
    finally:
        await retriever.client.aclose()


def names(documents):
    return [d.metadata["file_name"] for d in documents]


def test_documents_have_their_place(scene, ask):
    scene.put("long.txt", "\n".join(f"Line {n} speaks of nothing." for n in range(200)) + "\nHere be dragons.\n")
    (found,) = ask(scene.retriever(chunk_size=120, chunk_overlap=0), "dragons")
    whole = scene.mix.files.get_session_file(id=scene.session_id, filename="long.txt").content.decode()
    assert whole[found.metadata["start_index"] : found.metadata["end_index"]] == found.page_content
    assert whole.splitlines()[found.metadata["end_line"] - 1] == "Here be dragons."
    assert found.metadata["session_id"] == scene.session_id
    assert found.metadata["source"].startswith(scene.server.url)
    assert found.metadata["rank"] == 1
    assert found.metadata["score"] > 0
    assert found.metadata["kind"] == "text"


@pytest.mark.parametrize(
    "api", [api if api in {"0.5", "0.8"} else pytest.param(api, marks=pytest.mark.exhaustive) for api in ALL]
)
def test_other_scripts_are_found(scene, ask):
    texts = {
        "ru.txt": ("Возвраты оплачиваются в течение десяти дней.", "возврат оплачиваются"),
        "zh.txt": ("退款将在十天内支付。", "退款"),
        "ja.txt": ("返金は十日以内に支払われます。", "返金"),
        "ar.txt": ("تُدفع المبالغ المستردة خلال عشرة أيام.", "المبالغ"),
        "hi.txt": ("रिफंड दस दिनों में दिया जाता है।", "रिफंड"),
        "ko.txt": ("환불은 열흘 안에 지급됩니다.", "환불"),
        "el.txt": ("Οι επιστροφές πληρώνονται σε δέκα ημέρες.", "επιστροφες"),
    }
    for name, (text, _) in texts.items():
        scene.put(name, text)
    retriever = scene.retriever(verify="listing")
    assert {query: names(ask(retriever, query))[:1] for _, query in texts.values()} == {
        query: [name] for name, (_, query) in texts.items()
    }


def test_nothing_in_common_finds_nothing(scene, ask):
    retriever = scene.retriever()
    assert ask(retriever, "zebra") == []
    assert ask(retriever, "") == []
    assert ask(retriever, "… !") == []


def test_a_session_without_files_finds_nothing(emulator, ask):
    server = emulator("0.8")
    with Mix(server_url=server.url) as mix:
        assert ask(Scene(server, mix).retriever(), "anything") == []


def test_an_unchanged_session_is_listed_once_and_nothing_is_downloaded(scene, ask):
    retriever = scene.retriever()
    with scene.counted() as told:
        ask(retriever, "refunds")
    assert told == ["LIST", "refunds.md", "shipping.md"]
    with scene.counted() as told:
        retriever.refresh()
    assert told == ["LIST"]
    with scene.counted() as told:
        asyncio.run(refreshed(retriever))
    assert told == ["LIST"]
    with scene.counted() as told:
        ask(retriever, "nowhere to be found")
    assert told == ["LIST"]


def test_only_what_is_answered_is_verified(scene, ask):
    retriever = scene.retriever()
    ask(retriever, "refunds")
    with scene.counted() as told:
        assert names(ask(retriever, "refunds")) == ["refunds.md"]
    assert told == ["LIST", "refunds.md"]


def test_listing_alone_is_trusted_on_request(scene, ask):
    retriever = scene.retriever(verify="listing")
    ask(retriever, "refunds")
    with scene.counted() as told:
        ask(retriever, "refunds")
    assert told == ["LIST"]
    scene.put("refunds.md", SAME_SIZE)
    assert "ten days" in ask(retriever, "refunds")[0].page_content


def test_a_changed_file_is_downloaded_and_no_other(scene, ask):
    retriever = scene.retriever(verify="listing")
    ask(retriever, "refunds")
    scene.put("refunds.md", "# Refunds\n\nNothing is ever paid back.")
    with scene.counted() as told:
        assert "Nothing is ever" in ask(retriever, "refunds")[0].page_content
    assert told == ["LIST", "refunds.md"]


def test_files_come_and_go(scene, ask):
    retriever = scene.retriever()
    assert ask(retriever, "giraffe") == []
    scene.put("zoo.txt", "The giraffe is fed at noon.")
    assert names(ask(retriever, "giraffe")) == ["zoo.txt"]
    scene.delete("zoo.txt")
    assert ask(retriever, "giraffe") == []
    assert retriever.report.read == ["refunds.md", "shipping.md"]


def test_a_file_overwritten_with_the_same_size_is_never_answered_as_it_was(scene, ask):
    retriever = scene.retriever()
    ask(retriever, "refunds")
    scene.put("refunds.md", SAME_SIZE)
    (found,) = ask(retriever, "refunds")
    assert "one week" in found.page_content
    assert [d.page_content for d in ask(retriever, "refunds")] == [found.page_content]


def test_a_file_overwritten_with_something_else_of_the_same_size_is_not_answered(scene, ask):
    retriever = scene.retriever()
    ask(retriever, "refunds")
    scene.put("refunds.md", "x" * len(REFUNDS))
    found = ask(retriever, "refunds paid")
    assert all("ten days" not in d.page_content for d in found)


@pytest.mark.parametrize("count", [12, pytest.param(30, marks=pytest.mark.exhaustive)])
def test_many_files_overwritten_in_place_are_all_noticed(scene, ask, count):
    for number in range(count):
        scene.put(f"note{number:02}.txt", f"apple {number:02}")
    retriever = scene.retriever(k=2)
    ask(retriever, "apple")
    for number in range(count):
        scene.put(f"note{number:02}.txt", f"grape {number:02}")
    assert ask(retriever, "apple") == []
    assert len(ask(retriever, "grape", k=50)) == count


@pytest.mark.parametrize("verify", ["checksum", 0, 0.0])
def test_every_file_is_looked_at_again_on_request(scene, ask, verify):
    retriever = scene.retriever(verify=verify)
    ask(retriever, "refunds")
    size = len("# Shipping\n\nParcels leave the warehouse on Monday.")
    scene.put("shipping.md", "# Shipping\n\nPenguins carry parcels.".ljust(size, "."))
    with scene.counted() as told:
        assert names(ask(retriever, "penguins")) == ["shipping.md"]
    assert sorted(told) == ["LIST", "refunds.md", "shipping.md"]


def test_files_looked_at_not_long_ago_are_trusted_for_so_many_seconds(scene, ask):
    retriever = scene.retriever(verify=3600)
    ask(retriever, "refunds")
    with scene.counted() as told:
        ask(retriever, "refunds")
    assert told == ["LIST"]


def test_a_private_file_that_hides_an_upload_is_what_is_answered(scene, ask):
    """The agent may write a file of the same name; the listing goes on showing the upload."""
    retriever = scene.retriever()
    ask(retriever, "refunds")
    private = scene.server.data_dir / "sessions" / scene.session_id
    private.mkdir(parents=True, exist_ok=True)
    (private / "refunds.md").write_text("Refunds were abolished.")
    assert ask(retriever, "refunds")[0].page_content == "Refunds were abolished."


def test_ids_stay_as_long_as_the_bytes_do(scene, ask):
    (first,) = ask(scene.retriever(), "refunds")
    other = scene.mix.sessions.create(title="other").id
    (again,) = ask(scene.retriever(), "refunds", session_id=other)
    assert first.id
    assert again.id == first.id
    scene.put("refunds.md", SAME_SIZE)
    (changed,) = ask(scene.retriever(), "refunds")
    assert changed.id != first.id


def test_files_that_are_not_meant_are_neither_downloaded_nor_ranked(scene, ask):
    scene.put("refunds.txt", "Refunds, refunds and refunds: refunds of all kinds.")
    with scene.counted() as told:
        assert names(ask(scene.retriever(include="*.md", k=1), "refunds")) == ["refunds.md"]
    assert "refunds.txt" not in told
    assert names(ask(scene.retriever(exclude=["*.txt"], k=1), "refunds")) == ["refunds.md"]
    chosen = Selection(predicate=lambda file: file.name.startswith("ship"))
    assert ask(scene.retriever(selection=chosen), "refunds") == []


def test_patterns_of_a_call_take_no_place_from_others(scene, ask):
    retriever = scene.retriever(k=1)
    scene.put("refunds.txt", "Refunds, refunds and refunds: refunds of all kinds.")
    assert names(ask(retriever, "refunds")) == ["refunds.txt"]
    assert names(ask(retriever, "refunds", include="*.md")) == ["refunds.md"]
    assert names(ask(retriever, "refunds", exclude="*.txt")) == ["refunds.md"]


def test_an_answer_from_one_file_is_verified_without_starting_a_thread(scene, monkeypatch):
    retriever = scene.retriever(k=1)
    assert names(retriever.invoke("refunds")) == ["refunds.md"]

    class NoThreads(downloads.ThreadPoolExecutor):
        submit = None

    monkeypatch.setattr(downloads, "ThreadPoolExecutor", NoThreads)
    with scene.counted() as told:
        assert names(retriever.invoke("refunds")) == ["refunds.md"]
    assert told == ["LIST", "refunds.md"]


def test_checkpoints_are_never_retrieved(scene, ask):
    scene.put("langchain-mix-ckpt-0123.json", '{"secret": "unmistakable"}')
    scene.put(".langchain-mix-ckpt-0123", '{"secret": "unmistakable"}')
    retriever = scene.retriever()
    with scene.counted() as told:
        assert ask(retriever, "unmistakable secret") == []
    assert told == ["LIST", "refunds.md", "shipping.md"]
    assert "langchain-mix-ckpt-0123" not in str(retriever.report)


def test_uploads_of_other_sessions_are_found_as_the_server_shows_them(scene, ask):
    other = scene.mix.sessions.create(title="other").id
    scene.put("shared.txt", "The hedgehog is shared.", other)
    assert names(ask(scene.retriever(), "hedgehog")) == ["shared.txt"]


def test_files_that_cannot_be_read_are_reported(scene, ask):
    scene.put("broken.pdf", b"%PDF-1.7 broken")
    scene.put("noise.bin", bytes(range(256)) * 4)
    retriever = scene.retriever()
    assert names(ask(retriever, "refunds")) == ["refunds.md"]
    assert {s.name for s in retriever.report.skipped} == {"broken.pdf", "noise.bin"}
    assert all(s.reason for s in retriever.report.skipped)
    assert retriever.report.chunks == 2
    with scene.counted() as told:
        retriever.refresh()
    assert told == ["LIST"]


def test_files_that_cannot_be_read_end_the_call_on_request(scene, ask):
    scene.put("broken.pdf", b"%PDF-1.7 broken")
    retriever = scene.retriever(on_problem="raise")
    for _ in range(2):
        with pytest.raises(MixFileError, match=r"broken\.pdf"):
            ask(retriever, "refunds")
    with scene.counted() as told, pytest.raises(MixFileError):
        retriever.refresh()
    assert told == ["LIST"]


def test_limits_are_kept_and_reported(scene, ask):
    scene.put("big.txt", "refunds " * 1000)
    retriever = scene.retriever(limits=Limits(max_file_bytes=1000))
    with scene.counted() as told:
        assert "big.txt" not in names(ask(retriever, "refunds"))
    assert "big.txt" not in told
    assert "max_file_bytes" in str(retriever.report)
    few = scene.retriever(limits=Limits(max_files=1))
    ask(few, "refunds")
    assert few.report.read == ["big.txt"]
    assert str(few.report).count("max_files") == 2
    total = scene.retriever(limits=Limits(max_total_bytes=60))
    ask(total, "refunds")
    for _ in range(3):  # What was left out stays out: a limit is no budget for each call.
        total.refresh()
    assert total.report.read == ["refunds.md"]
    assert str(total.report).count("max_total_bytes") == 2


def test_the_size_of_passages_counts(scene, ask):
    words = [*("filler" for _ in range(250)), "marmalade", *("filler" for _ in range(250))]
    scene.put("long.txt", " ".join(words))
    (short,) = ask(scene.retriever(chunk_size=50, chunk_overlap=0), "marmalade")
    assert len(short.page_content) <= 50
    overlapping = ask(scene.retriever(chunk_size=50, chunk_overlap=40), "marmalade")
    assert len(overlapping) > 1


def test_images_are_documents_on_request(scene, ask):
    scene.put("sunset_beach.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde")
    assert ask(scene.retriever(), "sunset") == []
    (found,) = ask(scene.retriever(images=True), "beach")
    assert found.metadata["kind"] == "image"
    assert "thumb=" in found.metadata["thumbnail_url"]
    assert "start_index" not in found.metadata


def test_hostile_names_do_no_harm(emulator, ask):
    """The server is not to be trusted with names: each is listed, and each is at most a file of that name."""
    server = emulator("0.8")
    with Mix(server_url=server.url) as mix:
        scene = Scene(server, mix)
        uploads = server.data_dir / "uploads"
        (uploads / "sub").mkdir(parents=True)
        for name in (
            "sub/inner.txt",
            "a b%2F..txt",
            "?x=1&y.txt",
            "#hash.txt",
            "ünï🦔.txt",
            ".hidden.txt",
            "new\nline.txt",
        ):
            (uploads / name).write_text("the hedgehog")
        retriever = scene.retriever(k=20)
        found = set(names(ask(retriever, "hedgehog")))
        assert {"sub/inner.txt", "a b%2F..txt", "?x=1&y.txt", "#hash.txt", "ünï🦔.txt", ".hidden.txt"} == found
        assert [s.name for s in retriever.report.skipped] == ["new\nline.txt"]


def test_an_unknown_session_is_an_error(scene, ask):
    retriever = scene.retriever()
    with pytest.raises(MixNotFoundError):
        ask(retriever, "refunds", session_id="00000000-0000-4000-8000-000000000000")


def test_a_server_that_is_gone_is_an_error(scene, ask):
    retriever = MixRetriever(server_url=scene.server.url, session_id=scene.session_id, max_retries=0)
    assert names(ask(retriever, "refunds")) == ["refunds.md"]
    scene.server.stop()
    with pytest.raises(MixConnectionError):
        ask(retriever, "refunds")
    retriever.client.close()
