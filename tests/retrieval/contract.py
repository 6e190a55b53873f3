"""What every retriever has to do: one suite, run against each of them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from gateway.retrieval.errors import (
    CollectionExists,
    DimensionMismatch,
    EmbedderMismatch,
    InvalidDocument,
    InvalidFilter,
    UnknownCollection,
    VersionNotReached,
)
from gateway.retrieval.filter import Equals, Field, FieldType, Filter, Range, Value
from gateway.retrieval.retriever import Document, Found, Leg, Query, Retriever, Shape

FIELDS = (
    Field("language", FieldType.STRING),
    Field("pages", FieldType.INT64),
    Field("price", FieldType.DOUBLE),
    Field("free", FieldType.BOOL),
    Field("printed", FieldType.TIMESTAMP),
)
PRINTED = datetime(1517, 10, 31, 12, 0, 0, 1, tzinfo=UTC)


def document(name: str, text: str, *, title: str = "", **values: Value) -> Document:
    """Make one, with a vector that points to its first letter."""
    return Document(
        id=name, title=title, text=text, vector=pointing(name[0]), values=values
    )


def pointing(letter: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    vector = np.full(4, 0.1, np.float32)
    vector[ord(letter) % 4] = 1.0
    return vector


async def ask(
    retriever: Retriever,
    text: str = "",
    *,
    to: str | None = None,
    candidates: int = 10,
    where: Filter | None = None,
    min_version: int = 0,
) -> Found:
    query = Query(
        text=text,
        vector=None if to is None else pointing(to),
        embedder="model-a",
        candidates=candidates,
        filter=where,
        min_version=min_version,
        deadline=asyncio.get_running_loop().time() + 0.1,
    )
    return await retriever.search("books", query)


def ids(leg: Leg | None) -> list[str]:
    assert leg is not None
    assert leg.failure is None
    return [hit.id for hit in leg.hits]


class RetrieverContract:
    """Inherited by the tests of an engine, whose fixture `retriever` is open and empty."""

    @pytest.fixture
    async def books(self, retriever: Retriever) -> Retriever:
        await retriever.create_collection(
            "books", fields=FIELDS, dimension=4, embedder="model-a"
        )
        return retriever

    async def store(self, books: Retriever, *documents: Document) -> int:
        return await books.upsert("books", documents, embedder="model-a")

    async def test_a_collection_is_described(self, books: Retriever) -> None:
        await self.store(books, document("a", "x"), document("b", "y"))
        found = await books.collection("books")
        assert (found.name, found.fields) == ("books", FIELDS)
        assert (found.dimension, found.embedder) == (4, "model-a")
        assert found.document_count == 2
        assert abs((datetime.now(UTC) - found.created).total_seconds()) < 60
        assert await books.collections() == (found,)

    async def test_its_shape_is_told(self, books: Retriever) -> None:
        assert await books.shape("books") == Shape(FIELDS, 4, "model-a")
        await books.delete_collection("books")
        with pytest.raises(UnknownCollection):
            await books.shape("books")
        await books.create_collection("books", fields=(), dimension=0, embedder="")
        assert await books.shape("books") == Shape((), 0, "")

    async def test_collections_are_told_by_name(self, retriever: Retriever) -> None:
        for name in ("b", "a_1", "c"):
            await retriever.create_collection(name, fields=(), dimension=0, embedder="")
        assert [each.name for each in await retriever.collections()] == [
            "a_1",
            "b",
            "c",
        ]

    async def test_a_name_is_given_once(self, books: Retriever) -> None:
        await self.store(books, document("a", "x"))
        with pytest.raises(CollectionExists):
            await books.create_collection("books", fields=(), dimension=0, embedder="")
        assert (await books.collection("books")).document_count == 1

    @pytest.mark.parametrize("name", ["nowhere", "../books", "", "Books", "books' --"])
    async def test_an_unknown_collection_is_told(
        self, books: Retriever, name: str
    ) -> None:
        with pytest.raises(UnknownCollection):
            await books.collection(name)
        with pytest.raises(UnknownCollection):
            await books.delete_collection(name)
        with pytest.raises(UnknownCollection):
            await books.upsert(name, [document("a", "x")], embedder="")

    async def test_a_collection_made_anew_is_empty(self, books: Retriever) -> None:
        await self.store(books, document("a", "word"))
        await books.delete_collection("books")
        with pytest.raises(UnknownCollection):
            await ask(books, "word")
        await books.create_collection(
            "books", fields=(), dimension=4, embedder="model-a"
        )
        assert ids((await ask(books, "word", to="a")).bm25) == []
        await self.store(books, document("b", "word"))
        assert ids((await ask(books, "word")).bm25) == ["b"]

    async def test_a_document_comes_back_whole(self, books: Retriever) -> None:
        stored = Document(
            id="it's \"a\\\0\n\U0001f600",
            title="Ti\ntle",
            text="\nText\0 with ' and \\ and é\n",
            vector=pointing("a"),
            group_id="g'",
            metadata='{"a": null}',
            values={
                "language": "'; --",
                "pages": -(2**63),
                "price": 5e-324,
                "free": False,
                "printed": PRINTED,
            },
        )
        await self.store(books, stored)
        (found,) = await books.get("books", [stored.id], with_vectors=True)
        assert found.vector is not None
        assert found.vector.tolist() == pointing("a").tolist()
        for name in ("id", "title", "text", "group_id", "metadata", "values"):
            assert getattr(found, name) == getattr(stored, name)
        (found,) = await books.get("books", [stored.id], with_vectors=False)
        assert found.vector is None

    async def test_get_keeps_the_order_asked_for(self, books: Retriever) -> None:
        await self.store(books, *(document(name, name) for name in "abcd"))
        found = await books.get("books", ["d", "x", "a"], with_vectors=False)
        assert [each.id for each in found] == ["d", "a"]
        assert await books.get("books", [], with_vectors=True) == ()

    async def test_pages_have_every_document_once(self, books: Retriever) -> None:
        names = [f"{letter}'\n\0é{number}" for letter in "abc" for number in range(5)]
        await self.store(books, *(document(name, name) for name in names))
        assert (await self.paged(books, count=4)) == names
        assert (await self.paged(books, count=100)) == names

    async def test_a_page_has_whole_documents(self, books: Retriever) -> None:
        stored = document("a", "x", title="T", pages=3, printed=PRINTED)
        await self.store(books, stored)
        page = await books.page("books", after="", count=2, with_vectors=True)
        (found,) = page.documents
        assert found.vector is not None
        assert found.vector.tolist() == pointing("a").tolist()
        assert (found.title, found.text, found.values) == ("T", "x", stored.values)
        page = await books.page("books", after="", count=2, with_vectors=False)
        assert page.documents[0].vector is None
        with pytest.raises(UnknownCollection):
            await books.page("nowhere", after="", count=2, with_vectors=False)

    async def test_pages_bear_changes(self, books: Retriever) -> None:
        names = [f"{letter}{number}" for letter in "abc" for number in range(5)]
        await self.store(books, *(document(name, name) for name in names))
        first = await books.page("books", after="", count=5, with_vectors=False)
        seen = [each.id for each in first.documents]
        rest = [each for each in names if each not in seen]
        await books.delete("books", [seen[-1], rest[0]])
        await self.store(books, document(seen[0], "new"), document("z", "new"))
        found = await self.paged(books, count=3, after=first.after)
        assert set(rest[1:]) <= set(found) <= {*rest[1:], "z"}

    async def paged(
        self, books: Retriever, *, count: int, after: str = ""
    ) -> list[str]:
        """Page to the end, and give the ids in their own order."""
        found: list[str] = []
        while True:
            page = await books.page(
                "books", after=after, count=count, with_vectors=False
            )
            assert len(page.documents) <= count
            found += (each.id for each in page.documents)
            if not (after := page.after):
                return sorted(found)

    async def test_vectors_come_without_their_texts(self, books: Retriever) -> None:
        await self.store(books, *(document(name, "x") for name in "abcd"))
        found = await books.vectors("books", ["d", "nobody", "a", "d"])
        assert {name: each.tolist() for name, each in found.items()} == {
            name: pointing(name).tolist() for name in "ad"
        }
        assert all(each.dtype == np.float32 for each in found.values())
        assert await books.vectors("books", []) == {}
        with pytest.raises(UnknownCollection):
            await books.vectors("nowhere", ["a"])

    async def test_vectors_are_those_of_now(self, books: Retriever) -> None:
        await self.store(books, document("a", "x"), document("b", "x"))
        await ask(books, "x", to="a")
        await self.store(books, Document("a", "", "y", pointing("c")))
        await books.delete("books", ["b"])
        found = await books.vectors("books", ["a", "b"])
        assert {name: each.tolist() for name, each in found.items()} == {
            "a": pointing("c").tolist()
        }

    async def test_an_id_is_stored_once(self, books: Retriever) -> None:
        await self.store(books, document("a", "old", pages=1), document("b", "old"))
        await self.store(books, document("a", "new", title="T"), document("c", "new"))
        (found,) = await books.get("books", ["a"], with_vectors=False)
        assert (found.title, found.text, dict(found.values)) == ("T", "new", {})
        assert (await books.collection("books")).document_count == 3
        assert ids((await ask(books, "old")).bm25) == ["b"]

    async def test_writes_at_once_store_an_id_once(self, books: Retriever) -> None:
        await asyncio.gather(
            *(self.store(books, document("a", str(number))) for number in range(8))
        )
        assert (await books.collection("books")).document_count == 1

    async def test_deleting_tells_how_many_were_there(self, books: Retriever) -> None:
        first = await self.store(books, document("a", "x"), document("it's", "x"))
        deleted = await books.delete("books", ["it's", "nobody", "it's"])
        assert deleted.count == 1
        assert deleted.version > first
        assert ids((await ask(books, "x")).bm25) == ["a"]
        again = await books.delete("books", ["it's"])
        assert (again.count, again.version >= deleted.version) == (0, True)

    async def test_words_are_found_in_their_forms(self, books: Retriever) -> None:
        await self.store(
            books,
            document("a", "The running foxes"),
            document("b", "crème brûlée", title="A Fox"),
            document("c", "nothing of it"),
        )
        assert ids((await ask(books, "FOX runs")).bm25) == ["a", "b"]
        assert ids((await ask(books, "creme")).bm25) == ["b"]
        assert ids((await ask(books, "the of")).bm25) == []
        for hostile in ("C++ AND (fo\" OR: *'", "fox\0", "\\", "title:fox~2^3"):
            assert (await ask(books, hostile)).bm25

    async def test_vectors_are_ranked_by_cosine(self, books: Retriever) -> None:
        await self.store(books, *(document(name, "x") for name in "abcd"))
        found = await ask(books, to="b")
        assert found.bm25 is None
        assert ids(found.vector)[0] == "b"
        assert sorted(ids(found.vector)) == ["a", "b", "c", "d"]
        assert found.vector is not None
        length = float(np.linalg.norm(pointing("b"))) ** 2
        wanted = [float(pointing(name) @ pointing("b")) / length for name in "bacd"]
        scores = [hit.score for hit in found.vector.hits]
        assert scores == pytest.approx(wanted, abs=1e-5)

    async def test_a_leg_brings_as_many_as_asked(self, books: Retriever) -> None:
        await self.store(books, *(document(name, "x") for name in "abcdefgh"))
        found = await ask(books, "x", to="b", candidates=3)
        assert len(ids(found.bm25)) == len(ids(found.vector)) == 3

    async def test_both_legs_keep_to_the_filter(self, books: Retriever) -> None:
        await self.store(
            books,
            document("a", "x", language="de", pages=9, printed=PRINTED),
            document("b", "x", language="d'e", pages=10),
            document("c", "x"),
        )
        for asked, wanted in (
            (Equals("language", "d'e"), ["b"]),
            (Range("pages", gte=9, lt=10), ["a"]),
            (Equals("printed", PRINTED), ["a"]),
        ):
            found = await ask(books, "x", to="a", where=asked)
            assert ids(found.bm25) == ids(found.vector) == wanted
        with pytest.raises(InvalidFilter, match=r"filter\.eq\.field"):
            await ask(books, "x", where=Equals("colour", "red"))

    async def test_a_search_sees_the_version_it_names(self, books: Retriever) -> None:
        for number in range(3):
            version = await self.store(books, document(f"a{number}", "x"))
            found = await ask(books, "x", min_version=version)
            assert found.version >= version
            assert f"a{number}" in ids(found.bm25)
        with pytest.raises(VersionNotReached):
            await ask(books, "x", min_version=version + 1000)

    async def test_what_does_not_fit_is_refused_whole(self, books: Retriever) -> None:
        long = Document("z", "", "x", np.ones(5, np.float32))
        for wrong, kind in (
            (long, DimensionMismatch),
            (Document("z", "", "x", None), InvalidDocument),
            (Document("z", "", "x", np.full(4, np.nan, np.float32)), InvalidDocument),
            (Document("", "", "x", pointing("a")), InvalidDocument),
            (document("a", "x"), InvalidDocument),
            (document("z", "x", pages=1.5), InvalidDocument),
            (document("z", "x", colour="red"), InvalidDocument),
        ):
            with pytest.raises(kind):
                await self.store(books, document("a", "x"), wrong)
        with pytest.raises(EmbedderMismatch, match="model-b"):
            await books.upsert("books", [document("a", "x")], embedder="model-b")
        assert (await books.collection("books")).document_count == 0
        query = Query("", pointing("a"), "model-b", 10, None, 0, 0.0)
        with pytest.raises(EmbedderMismatch):
            await books.search("books", query)

    async def test_without_vectors_words_alone_are_searched(
        self, retriever: Retriever
    ) -> None:
        await retriever.create_collection("books", fields=(), dimension=0, embedder="")
        plain = [Document("a", "", "x", None)]
        await retriever.upsert("books", plain, embedder="")
        found = await ask(retriever, "x")
        assert (ids(found.bm25), found.vector) == (["a"], None)
        assert await retriever.vectors("books", ["a"]) == {}
        scores = await retriever.scores("books", ["a"], text="x", vector=None)
        assert scores["a"].bm25 > 0
        assert scores["a"].cosine is None

    async def test_a_score_looked_up_is_the_score_of_the_leg(
        self, books: Retriever
    ) -> None:
        texts: Sequence[str] = ["x", "x x y", "y z w v", "z"]
        await self.store(books, *map(document, "abcd", texts))
        found = await ask(books, "x y", to="c")
        looked = await books.scores(
            "books", ["d", "a", "c", "nobody"], text="x y", vector=pointing("c")
        )
        assert set(looked) == {"a", "c", "d"}
        assert found.bm25 is not None
        assert found.vector is not None
        words = {hit.id: hit.score for hit in found.bm25.hits}
        cosines = {hit.id: hit.score for hit in found.vector.hits}
        for name, scored in looked.items():
            assert scored.bm25 == pytest.approx(words.get(name, 0.0), abs=1e-5)
            assert scored.cosine == pytest.approx(cosines[name], abs=1e-5)
