"""The embedded engine: the contract, and what only a folder on a disk can go through."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.retrieval.errors import DamagedStore, MissingEngine, ReadOnly, WriterTaken
from gateway.retrieval.filter import Filter, Value, matches
from gateway.retrieval.lance.engine import LanceRetriever
from gateway.retrieval.lance.names import Names
from gateway.retrieval.retriever import Document, Query, Retriever
from tests.retrieval.contract import (
    RetrieverContract,
    ask,
    document,
    ids,
    pointing,
)
from tests.retrieval.filters import FIELDS, documents, filters

pytestmark = pytest.mark.real_time


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    writes: bool = True,
    vector_index_from: int = 5000,
    tidy_every_s: float = 60.0,
) -> AsyncIterator[LanceRetriever]:
    engine = LanceRetriever(
        folder,
        writes=writes,
        vector_index_from=vector_index_from,
        tidy_every_s=tidy_every_s,
        keep_versions_s=600.0,
    )
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()


async def make_books(engine: Retriever) -> None:
    await engine.create_collection("books", fields=(), dimension=4, embedder="model-a")


class TestLanceRetriever(RetrieverContract):
    @pytest.fixture
    async def retriever(self, tmp_path: Path) -> AsyncIterator[Retriever]:
        async with opened(tmp_path / "store") as engine:
            yield engine


class TestLanceRetrieverKeepingHouse(RetrieverContract):
    """The same, while the indexes are brought up to date all the time."""

    @pytest.fixture
    async def retriever(self, tmp_path: Path) -> AsyncIterator[Retriever]:
        async with opened(tmp_path, tidy_every_s=0.001) as engine:
            yield engine


async def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await make_books(engine)
        version = await engine.upsert("books", [document("a", "foxes")], embedder="")
    async with opened(tmp_path) as engine:
        assert (await engine.collection("books")).version >= version
        assert ids((await ask(engine, "fox", to="a")).bm25) == ["a"]


async def test_one_process_writes_and_others_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as writer, opened(tmp_path, writes=False) as reader:
        with pytest.raises(WriterTaken, match="writes to it already"):
            async with opened(tmp_path):
                pass
        await make_books(writer)
        version = await writer.upsert("books", [document("a", "x")], embedder="")
        await asyncio.sleep(0.6)
        assert ids((await ask(reader, "x")).bm25) == ["a"]
        version = await writer.upsert("books", [document("b", "x")], embedder="")
        found = await ask(reader, "x", min_version=version)
        assert ids(found.bm25) == ["a", "b"]
        with pytest.raises(ReadOnly):
            await reader.upsert("books", [document("c", "x")], embedder="")
        await writer.delete_collection("books")
        await make_books(writer)
        assert ids((await ask(reader, "x", to="a")).bm25) == []
    async with opened(tmp_path):
        pass


async def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    for writes in (True, False):
        with pytest.raises(DamagedStore):
            async with opened(tmp_path, writes=writes):
                pass
    assert _names(tmp_path) == ["thesis.txt"]


@pytest.mark.parametrize("mark", [b"", b"[]", b'{"format": 2}', b"\xff"])
async def test_a_store_of_another_version_is_left_alone(
    tmp_path: Path, mark: bytes
) -> None:
    (tmp_path / "store.json").write_bytes(mark)
    with pytest.raises(DamagedStore, match="nothing was changed"):
        async with opened(tmp_path):
            pass
    assert (tmp_path / "store.json").read_bytes() == mark


async def test_a_broken_collection_is_named_and_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await make_books(engine)
    versions = _versions(tmp_path)
    assert versions
    for each in versions:
        each.write_bytes(b"junk")
    with pytest.raises(DamagedStore, match=r"books-.*\.lance: cannot be read"):
        async with opened(tmp_path):
            pass
    assert all(each.read_bytes() == b"junk" for each in versions)


def _names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def _versions(folder: Path) -> list[Path]:
    return list(folder.glob("books-*.lance/_versions/*"))


async def test_half_a_creation_and_half_a_deletion_do_no_harm(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    (tmp_path / "books-1.lance" / "data").mkdir(parents=True)
    (tmp_path / "old.gone").mkdir()
    async with opened(tmp_path) as engine:
        assert await engine.collections() == ()
        await make_books(engine)
        assert [each.name for each in await engine.collections()] == ["books"]
    assert not (tmp_path / "old.gone").exists()


async def test_a_missing_package_is_told_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "gateway.retrieval.lance.shelf", raising=False)
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(MissingEngine, match=r"rerank-gateway\[embedded\]"):
        async with opened(tmp_path / "store"):
            pass
    assert not (tmp_path / "store").exists()


async def test_what_is_written_gets_into_the_indexes(tmp_path: Path) -> None:
    async with opened(tmp_path, tidy_every_s=0.02, vector_index_from=300) as engine:
        await make_books(engine)
        many = [document(f"{'abcd'[n % 4]}{n}", f"x w{n}") for n in range(400)]
        await engine.upsert("books", many, embedder="model-a")
        table = await engine._table("books")
        for _ in range(500):
            if not await table.unindexed_count() and await table.has_vector_index():
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("nothing was indexed in 10 s")
        found = await ask(engine, "w7", to="b", candidates=50)
        assert ids(found.bm25) == ["d7"]
        assert {name[0] for name in ids(found.vector)} == {"b"}
        scores = await engine.scores("books", ["b1"], text="w1", vector=pointing("b"))
        assert found.vector is not None
        assert scores["b1"].cosine == pytest.approx(
            found.vector.hits[0].score, abs=1e-5
        )


async def test_what_a_search_remembers_is_never_out_of_date(tmp_path: Path) -> None:
    """Rows move with every write and with housekeeping, and keep their names."""
    async with opened(tmp_path, tidy_every_s=0.001, vector_index_from=100) as engine:
        await make_books(engine)
        chance = random.Random(3)
        stored: dict[str, str] = {}
        for number in range(12):
            for name in {
                f"{chance.choice('abcd')}{chance.randrange(40)}" for _ in "12"
            }:
                if stored.pop(name, None) and chance.random() < 0.3:
                    await engine.delete("books", [name])
                    continue
                letter = stored[name] = chance.choice("abcd")
                text = f"x w{name} {letter}{letter}{letter}"
                moved = Document(name, "", text, pointing(letter))
                await engine.upsert("books", [moved], embedder="")
            letter = chance.choice("abcd")
            found, _ = await asyncio.gather(
                ask(engine, letter * 3, to=letter, candidates=100),
                engine.upsert("books", [document("d99", "nothing")], embedder=""),
            )
            wanted = sorted(name for name in stored if stored[name] == letter)
            assert sorted(ids(found.bm25)) == wanted, number
            near = set(ids(found.vector)) - {"d99"}
            assert near == set(stored), number
            brought = await engine.vectors("books", [*stored, "nobody"])
            assert {name: int(each.argmax()) for name, each in brought.items()} == {
                name: int(pointing(stored[name]).argmax()) for name in stored
            }
            some = list(stored)[:5]
            back = await engine.get("books", some, with_vectors=False)
            assert [each.text.split()[1] for each in back] == [
                f"w{each}" for each in some
            ]


async def test_rows_that_have_moved_have_no_names_any_more(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await make_books(engine)
        for name in "ab":
            await engine.upsert("books", [document(name, "x")], embedder="")
        table = await engine._table("books")
        rows = await table._table.query().select(["id"]).with_row_id().to_arrow()
        assert await table.reading.names(rows) == rows["id"].to_pylist()
        assert await table.reading.names(rows.slice(0, 0)) == []
        await table.tidy(keep_versions_s=600.0)
        anew = Names(table._table)
        assert await anew.of(rows["_rowid"].to_numpy()) is None


async def test_names_of_rows_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await make_books(engine)
        table = await engine._table("books")
        many = [document(f"a{number}", "x") for number in range(6000)]
        for _ in range(4):
            await engine.upsert("books", many, embedder="")
            assert len(ids((await ask(engine, to="a")).vector)) == 10
        held = table.reading._names._fragments.values()
        assert sum(len(each.rows) for each in held) <= 6000 + 10_000


async def test_scores_of_what_is_indexed_are_those_of_the_list(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await make_books(engine)
        many = [document(f"a{n}", f"x w{n % 7} " + "y " * (n % 5)) for n in range(200)]
        await engine.upsert("books", many, embedder="")
        await (await engine._table("books")).tidy(keep_versions_s=600.0)
        await engine.upsert(
            "books", [document(f"b{n}", f"x w{n}") for n in range(20)], embedder=""
        )
        leg = (await ask(engine, "x w3", candidates=300)).bm25
        assert leg is not None
        listed = {hit.id: hit.score for hit in leg.hits}
        asked = ["a3", "a4", "a199", "b3", "b4"]
        looked = await engine.scores("books", asked, text="x w3", vector=None)
        for name in asked:
            near = 1e-5 if name.startswith("a") else 0.05 * max(listed.values())
            assert looked[name].bm25 == pytest.approx(listed[name], abs=near)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@given(st.data())
@settings(max_examples=25)
def test_a_filter_finds_what_fulfils_it_and_nothing_else(
    runner: asyncio.Runner,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    async def compare(
        stored: list[dict[str, Value]], asked: list[Filter], folder: Path
    ) -> None:
        async with opened(folder) as engine:
            await engine.create_collection("c", fields=FIELDS, dimension=4, embedder="")
            rows = [
                Document(f"{place}", "", "x", pointing("a"), values=values)
                for place, values in enumerate(stored)
            ]
            await engine.upsert("c", rows, embedder="")
            back = await engine.get("c", [each.id for each in rows], with_vectors=False)
            assert [dict(each.values) for each in back] == stored
            for each in asked:
                wanted = [row.id for row in rows if matches(each, row.values)]
                query = Query("x", pointing("a"), "", 100, each, 0, 0.0)
                found = await engine.search("c", query)
                assert sorted(ids(found.bm25), key=int) == wanted, each
                assert sorted(ids(found.vector), key=int) == wanted, each

    runner.run(
        compare(
            data.draw(st.lists(documents(), min_size=1, max_size=8)),
            data.draw(st.lists(filters(), min_size=6, max_size=6)),
            tmp_path_factory.mktemp("filters"),
        )
    )
