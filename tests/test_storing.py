"""The use case behind DocumentService, with an engine in memory and a fake embedder."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from gateway.backends.errors import BackendError, Excess, TooLarge, Unavailable
from gateway.contract import Document
from gateway.errors import (
    CollectionAlreadyThere,
    CollectionNotFound,
    DocumentNotFound,
    RetrievalUnavailable,
)
from gateway.retrieval.embedder import Embedder, Purpose
from gateway.retrieval.errors import EngineFailed, StoreFull
from gateway.retrieval.filter import Field, FieldType, Value
from gateway.storing import Storing, StoringLimits
from gateway.storing.batches import Batch, Incoming, RejectionReason
from tests.support.embedders import (
    DIMENSION,
    FakeEmbedder,
    Step,
    embeds,
    fails,
    takes_at_most,
    unit,
)
from tests.support.memory_retriever import MemoryRetriever
from tests.support.scorers import now

FIELDS = tuple(Field(kind.value, kind) for kind in FieldType)


def down() -> BackendError:
    return Unavailable("tei", "refused")


class Scene:
    """A use case, and what stands behind it."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self.retriever = MemoryRetriever()
        self.storing = Storing(
            retriever=self.retriever,
            embedder=embedder,
            limits=StoringLimits(max_document_bytes=100),
            embed_timeout_s=30.0,
        )

    async def create(
        self, *, fields: Sequence[Field] = (), dimension: int = 0
    ) -> "Scene":
        await self.storing.create_collection(
            "papers", fields=fields, dimension=dimension
        )
        return self

    async def load(self, *documents: Incoming) -> Batch:
        return await self.storing.import_batch("papers", documents)

    async def vector(self, name: str) -> list[float]:
        found = await self.storing.get("papers", name, with_vectors=True)
        assert found.vector is not None
        return [float(each) for each in found.vector]

    async def count(self, collection: str = "papers") -> int:
        return (await self.retriever.collection(collection)).document_count


def incoming(
    name: str,
    text: str = "some text",
    *,
    title: str = "",
    embedding: Sequence[float] = (),
    metadata: Mapping[str, object] | None = None,
) -> Incoming:
    document = Document(title=title, text=text, embedding=tuple(embedding) or None)
    return Incoming(name, document, metadata)


def reasons(batch: Batch) -> list[tuple[int, str]]:
    return [(each.index, each.reason.value) for each in batch.rejected]


# Collections


@pytest.mark.parametrize("dimension", [0, DIMENSION])
async def test_a_collection_of_the_embedders_dimension_has_its_vectors(
    dimension: int,
) -> None:
    fake = FakeEmbedder()
    created = await Scene(fake).storing.create_collection(
        "papers", fields=FIELDS, dimension=dimension
    )
    assert (created.dimension, created.embedder) == (DIMENSION, "m")
    assert created.fields == FIELDS
    assert fake.purposes == [Purpose.DOCUMENT]


async def test_a_collection_of_another_dimension_has_its_callers_vectors() -> None:
    created = await Scene(FakeEmbedder()).storing.create_collection(
        "papers", fields=(), dimension=3
    )
    assert (created.dimension, created.embedder) == (3, "")


@pytest.mark.parametrize("dimension", [0, 3])
async def test_without_an_embedder_a_dimension_is_what_it_is_called(
    dimension: int,
) -> None:
    created = await Scene().storing.create_collection(
        "papers", fields=(), dimension=dimension
    )
    assert (created.dimension, created.embedder) == (dimension, "")


async def test_the_embedders_dimension_is_asked_for_once() -> None:
    fake = FakeEmbedder()
    scene = Scene(fake)
    for name in ("a", "b"):
        await scene.storing.create_collection(name, fields=(), dimension=0)
    assert len(fake.calls) == 1


@pytest.mark.parametrize("dimension", [0, 3])
async def test_a_collection_waits_for_an_embedder_that_is_down(dimension: int) -> None:
    scene = Scene(FakeEmbedder(fails(down), embeds()))
    with pytest.raises(RetrievalUnavailable, match=r"^tei: refused$") as raised:
        await scene.create(dimension=dimension)
    assert raised.value.component == "embedder"
    assert await scene.storing.collections() == ()
    await scene.create(dimension=dimension)
    assert [each.name for each in await scene.storing.collections()] == ["papers"]


async def test_a_name_is_given_once() -> None:
    scene = await Scene().create()
    with pytest.raises(CollectionAlreadyThere):
        await scene.create(fields=FIELDS)


async def test_what_is_not_there_cannot_be_worked_on() -> None:
    storing = Scene(FakeEmbedder()).storing
    with pytest.raises(CollectionNotFound):
        await storing.import_batch("papers", ())
    with pytest.raises(CollectionNotFound):
        await storing.delete("default", ("a",))
    with pytest.raises(CollectionNotFound):
        await storing.get("default", "a", with_vectors=False)
    with pytest.raises(CollectionNotFound):
        await storing.delete_collection("papers")


async def test_the_default_collection_is_made_when_something_is_imported() -> None:
    scene = Scene(FakeEmbedder())
    batch = await scene.storing.import_batch("default", (incoming("a"),))
    assert batch.accepted_count == 1
    (found,) = await scene.storing.collections()
    assert (found.name, found.fields, found.dimension, found.embedder) == (
        "default",
        (),
        DIMENSION,
        "m",
    )


async def test_two_imports_make_the_default_collection_once() -> None:
    scene = Scene(FakeEmbedder(embeds(after_s=0.1)))
    await asyncio.gather(
        *(scene.storing.import_batch("default", (incoming(name),)) for name in "ab")
    )
    assert await scene.count("default") == 2


# Vectors


async def test_what_a_model_reads_is_embedded_in_one_call() -> None:
    fake = FakeEmbedder()
    scene = await Scene(fake).create()
    began = now()
    await scene.load(
        incoming("a", "text", title="Title"),
        incoming("b", "text"),
        incoming("c", "", title="Title"),
    )
    assert fake.calls[1:] == [("Title\ntext", "text", "Title\n")]
    assert fake.purposes[1:] == [Purpose.DOCUMENT]
    assert fake.deadlines[1:] == [began + 30.0]
    assert await scene.vector("a") == unit("Title\ntext").tolist()
    assert await scene.vector("b") == unit("text").tolist()


async def test_a_vector_that_is_brought_is_stored_as_it_is() -> None:
    fake = FakeEmbedder()
    scene = await Scene(fake).create()
    brought = [float(number) for number in range(DIMENSION)]
    batch = await scene.load(incoming("a", embedding=brought), incoming("b", "text"))
    assert batch.accepted_count == 2
    assert await scene.vector("a") == brought
    assert await scene.vector("b") == unit("text").tolist()
    assert fake.calls[1:] == [("text",)]


async def test_vectors_that_are_all_brought_need_no_embedder() -> None:
    scene = await Scene(FakeEmbedder(embeds(), fails(down))).create()
    batch = await scene.load(incoming("a", embedding=[1.0] * DIMENSION))
    assert batch.accepted_count == 1


async def test_a_collection_without_vectors_takes_documents_without() -> None:
    scene = await Scene().create()
    batch = await scene.load(incoming("a"), incoming("b", embedding=[1.0]))
    assert batch.accepted_count == 1
    assert reasons(batch) == [(1, "INVALID_EMBEDDING")]
    assert "has none" in batch.rejected[0].message


@pytest.mark.parametrize("embedder", [None, FakeEmbedder()])
async def test_callers_that_bring_vectors_bring_all_of_them(
    embedder: Embedder | None,
) -> None:
    scene = await Scene(embedder).create(dimension=3)
    batch = await scene.load(
        incoming("a"),
        incoming("b", embedding=[1.0, 2.0, 3.0]),
        incoming("c", embedding=[1.0, 2.0]),
    )
    assert batch.accepted_count == 1
    assert reasons(batch) == [(0, "INVALID_EMBEDDING"), (2, "INVALID_EMBEDDING")]
    assert await scene.vector("b") == [1.0, 2.0, 3.0]


async def test_without_its_embedder_a_collection_takes_what_brings_its_vector() -> None:
    scene = Scene()
    await scene.retriever.create_collection(
        "papers", fields=(), dimension=3, embedder="m"
    )
    batch = await scene.load(incoming("a"), incoming("b", embedding=[1.0, 2.0, 3.0]))
    assert batch.accepted_count == 1
    assert [each.message for each in batch.rejected] == [
        "it has no vector, and the server has no embedder"
    ]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 0.0, 1e30, 1e-30])
async def test_a_vector_that_nothing_can_be_compared_with_is_rejected(
    number: float,
) -> None:
    scene = await Scene().create(dimension=3)
    batch = await scene.load(incoming("a", embedding=[number] * 3))
    assert reasons(batch) == [(0, "INVALID_EMBEDDING")]


@pytest.mark.parametrize("other", [embeds("new"), embeds(dimension=4)])
async def test_another_models_vectors_do_not_come_into_a_collection(
    other: Step,
) -> None:
    scene = await Scene(FakeEmbedder(embeds(), other)).create()
    brought = incoming("b", embedding=[1.0] * DIMENSION)
    # It is noticed by its answer first, and then before it is asked for much.
    for _ in range(2):
        batch = await scene.load(incoming("a"), brought)
        assert batch.accepted_count == 1
        assert reasons(batch) == [(0, "INVALID_EMBEDDING")]
        assert "another" in batch.rejected[0].message


async def test_an_embedder_that_is_the_old_one_again_is_used_again() -> None:
    fake = FakeEmbedder(embeds(), embeds("new"), embeds())
    scene = await Scene(fake).create()
    assert (await scene.load(incoming("a"))).accepted_count == 0
    assert (await scene.load(incoming("a"))).accepted_count == 1


async def test_an_embedder_that_fails_stores_nothing_of_its_batch() -> None:
    scene = await Scene(FakeEmbedder(embeds(), fails(down), embeds())).create()
    batch = (incoming("a"), incoming("b", embedding=[1.0] * DIMENSION))
    with pytest.raises(RetrievalUnavailable, match=r"^tei: refused$") as raised:
        await scene.load(*batch)
    assert raised.value.component == "embedder"
    assert await scene.count() == 0
    assert (await scene.load(*batch)).accepted_count == 2


async def test_a_text_that_the_embedder_finds_too_long_is_rejected_alone() -> None:
    async def picky(_: FakeEmbedder, texts: Sequence[str]) -> object:
        if any(len(text) > 50 for text in texts):
            raise TooLarge("tei", Excess.TOKENS, given=60, limit=50)
        return await embeds()(fake, texts)

    fake = FakeEmbedder(embeds(), picky)  # type: ignore[arg-type]  # a step
    scene = await Scene(fake).create()
    texts = ["short"] * 3 + ["long " * 12] + ["short"] * 4
    batch = await scene.load(
        *(incoming(str(place), text) for place, text in enumerate(texts))
    )
    assert batch.accepted_count == 7
    assert reasons(batch) == [(3, "INVALID_EMBEDDING")]
    assert "60 of at most 50" in batch.rejected[0].message


async def test_an_embedder_that_takes_one_text_at_a_time_embeds_all() -> None:
    limit = takes_at_most(1, lambda _: TooLarge("tei", Excess.BYTES))
    scene = await Scene(FakeEmbedder(embeds(), limit)).create()
    batch = await scene.load(*(incoming(name, name) for name in "abcde"))
    assert batch.accepted_count == 5
    assert await scene.vector("d") == unit("d").tolist()


# What is rejected


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (incoming(""), RejectionReason.INVALID_ID),
        (incoming("é" * 513), RejectionReason.INVALID_ID),
        (incoming("good"), RejectionReason.DUPLICATE_ID),
        (incoming("x", ""), RejectionReason.BLANK),
        (incoming("x", " \n", title="\t"), RejectionReason.BLANK),
        (incoming("x", "é" * 46, title="123456789"), RejectionReason.TOO_LARGE),
        (incoming("x", embedding=[1.0]), RejectionReason.INVALID_EMBEDDING),
        (incoming("x", metadata={"bool": 1.0}), RejectionReason.INVALID_FIELD),
        (incoming("x", metadata={"y": float("nan")}), RejectionReason.INVALID_FIELD),
    ],
)
async def test_one_bad_document_does_not_lose_its_batch(
    wrong: Incoming, reason: RejectionReason
) -> None:
    scene = await Scene(FakeEmbedder()).create(fields=FIELDS)
    batch = await scene.load(incoming("good", "first"), wrong, incoming("also"))
    assert batch.accepted_count == 2
    assert reasons(batch) == [(1, reason.value)]
    assert batch.rejected[0].id == wrong.id
    assert batch.rejected[0].message
    good = await scene.storing.get("papers", "good", with_vectors=False)
    assert good.text == "first"
    assert await scene.count() == 2


async def test_what_is_exactly_at_a_limit_is_stored() -> None:
    scene = await Scene().create(fields=FIELDS)
    batch = await scene.load(
        incoming("é" * 512, "é" * 45, title="0123456789"),
        incoming("s", metadata={"string": "é" * 512}),
    )
    assert batch.accepted_count == 2


async def test_the_first_reason_is_told_and_every_fault_named() -> None:
    scene = await Scene().create(fields=FIELDS, dimension=3)
    everything = incoming(
        "", " " * 101, embedding=[1.0], metadata={"bool": "yes", "int64": 0.5}
    )
    (rejected,) = (await scene.load(everything)).rejected
    assert rejected.reason is RejectionReason.INVALID_ID
    assert rejected.message == (
        "it has no id; its title and text are blank; its title and text have more than"
        " 100 bytes; its vector has dimension 1, the collection's 3; metadata.int64 is"
        " not a whole number from -(2^53 - 1) to 2^53 - 1; metadata.bool is not true or"
        " false"
    )


async def test_a_fault_is_told_without_quoting_the_document() -> None:
    scene = await Scene().create(fields=FIELDS)
    wrong = incoming(
        "secret" * 200,
        "the secret " * 10,
        title="secret",
        metadata={"timestamp": "secret", "secret": float("inf")},
    )
    (rejected,) = (await scene.load(wrong)).rejected
    assert "secret" not in rejected.message


async def test_an_id_is_taken_by_a_document_that_is_rejected_too() -> None:
    scene = await Scene().create()
    batch = await scene.load(incoming("a", ""), incoming("a"), incoming("a"))
    assert reasons(batch) == [(0, "BLANK"), (1, "DUPLICATE_ID"), (2, "DUPLICATE_ID")]


# Metadata


async def values(**metadata: object) -> Mapping[str, Value]:
    scene = await Scene().create(fields=FIELDS)
    batch = await scene.load(incoming("a", metadata=metadata))
    assert not batch.rejected
    return (await scene.storing.get("papers", "a", with_vectors=False)).values


async def test_declared_fields_become_typed_values() -> None:
    found = await values(
        string="", int64=-0.0, double=3.0, bool=False, timestamp="2026-03-01T12:00:00Z"
    )
    assert found == {
        "string": "",
        "int64": 0,
        "double": 3.0,
        "bool": False,
        "timestamp": datetime(2026, 3, 1, 12, tzinfo=UTC),
    }
    assert isinstance(found["int64"], int)
    assert isinstance(found["double"], float)


async def test_null_and_what_is_not_there_are_no_values() -> None:
    assert await values(string=None, other=1.0) == {}


@pytest.mark.parametrize("number", [2.0**53 - 1, -(2.0**53) + 1])
async def test_the_largest_whole_numbers_are_exact(number: float) -> None:
    assert await values(int64=number) == {"int64": int(number)}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-03-01t12:00:00z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01 12:00:00+02:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T12:00:00-00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (
            "2026-03-01T12:00:00.1234569Z",
            datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
        ),
        (
            "2026-03-01T12:00:00.5+00:30",
            datetime(2026, 3, 1, 11, 30, 0, 500_000, tzinfo=UTC),
        ),
    ],
)
async def test_a_time_is_read_as_rfc_3339_has_it(written: str, meant: datetime) -> None:
    assert await values(timestamp=written) == {"timestamp": meant}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("string", 1.0),
        ("string", True),
        ("string", "é" * 513),
        ("string", ["a"]),
        ("int64", 2.0**53),
        ("int64", -(2.0**53)),
        ("int64", 0.5),
        ("int64", "1"),
        ("int64", True),
        ("double", "1"),
        ("double", False),
        ("bool", 0.0),
        ("bool", "true"),
        ("timestamp", 0.0),
        ("timestamp", "2026-03-01"),
        ("timestamp", "2026-03-01T12:00:00"),
        ("timestamp", "20260301T120000Z"),
        ("timestamp", "2026-02-30T12:00:00Z"),
        ("timestamp", "2026-03-01T24:00:00Z"),
        ("timestamp", "2026-03-01T12:00:00+24:00"),
        ("timestamp", "2026-03-01T12:00:00+12:60"),
        ("timestamp", "0001-01-01T00:00:00+01:00"),
        ("timestamp", "9999-12-31T23:59:59-01:00"),
        ("timestamp", "2026-03-01T12:00:00Z\n"),
        ("timestamp", "٢٠٢٦-03-01T12:00:00Z"),
        ("timestamp", {}),
    ],
)
async def test_a_value_of_another_type_is_rejected(field: str, value: object) -> None:
    scene = await Scene().create(fields=FIELDS)
    batch = await scene.load(incoming("a", metadata={field: value}))
    assert reasons(batch) == [(0, "INVALID_FIELD")]
    assert batch.rejected[0].message.startswith(f"metadata.{field} is not ")


async def test_metadata_is_kept_whole_as_json() -> None:
    scene = await Scene().create(fields=FIELDS)
    metadata = {"é": [1.5, None, {"deep": True}], "string": "a\n\u2028"}
    await scene.load(
        incoming("a", metadata=metadata), incoming("b"), incoming("c", metadata={})
    )
    kept = [
        (await scene.storing.get("papers", name, with_vectors=False)).metadata
        for name in "abc"
    ]
    assert json.loads(kept[0]) == metadata
    assert kept[1:] == ["", "{}"]


# Storing, bringing and removing


async def test_a_stored_id_is_replaced_and_versions_grow() -> None:
    scene = await Scene(FakeEmbedder()).create()
    first = await scene.load(incoming("a", "old"), incoming("b"))
    second = await scene.load(incoming("a", "new"))
    assert second.version > first.version
    assert (await scene.storing.get("papers", "a", with_vectors=False)).text == "new"
    assert np.allclose(await scene.vector("a"), unit("new"))
    assert await scene.count() == 2


async def test_a_batch_of_nothing_tells_the_version() -> None:
    scene = await Scene(FakeEmbedder()).create()
    first = await scene.load(incoming("a"))
    for batch in ((), (incoming("b", ""),)):
        answer = await scene.load(*batch)
        assert (answer.accepted_count, answer.version) == (0, first.version)


async def test_a_batch_that_was_only_prepared_is_not_stored() -> None:
    scene = await Scene(FakeEmbedder()).create()
    prepared = await scene.storing.prepare("papers", (incoming("a"),))
    assert await scene.count() == 0
    assert (await scene.storing.store(prepared)).accepted_count == 1
    assert await scene.count() == 1


async def test_ids_are_removed_once_and_unknown_ones_skipped() -> None:
    scene = await Scene().create()
    batch = await scene.load(incoming("a"), incoming("b"))
    deleted = await scene.storing.delete("papers", ("a", "nobody", "a"))
    assert deleted.count == 1
    assert deleted.version > batch.version
    with pytest.raises(DocumentNotFound, match="'papers' has no document 'a'"):
        await scene.storing.get("papers", "a", with_vectors=False)


async def test_a_collection_goes_with_its_documents() -> None:
    scene = await Scene().create()
    await scene.load(incoming("a"))
    await scene.storing.delete_collection("papers")
    assert await scene.storing.collections() == ()
    assert await (await scene.create()).count() == 0


async def test_an_engine_that_fails_is_told_as_that() -> None:
    scene = await Scene().create()
    scene.retriever.failures["upsert"] = StoreFull("papers: no space is left")
    scene.retriever.failures["collections"] = EngineFailed("the engine failed")
    with pytest.raises(RetrievalUnavailable, match="no space is left") as raised:
        await scene.load(incoming("a"))
    assert raised.value.component == "engine"
    with pytest.raises(RetrievalUnavailable, match="the engine failed"):
        await scene.storing.collections()


async def test_a_collection_removed_while_a_batch_is_prepared_is_told() -> None:
    scene = await Scene(FakeEmbedder()).create()
    prepared = await scene.storing.prepare("papers", (incoming("a"),))
    await scene.storing.delete_collection("papers")
    with pytest.raises(CollectionNotFound):
        await scene.storing.store(prepared)


async def test_a_collection_made_anew_with_other_vectors_refuses_the_old_ones() -> None:
    scene = await Scene(FakeEmbedder()).create()
    prepared = await scene.storing.prepare("papers", (incoming("a"),))
    await scene.storing.delete_collection("papers")
    await scene.create(dimension=3)
    with pytest.raises(RetrievalUnavailable, match="made anew"):
        await scene.storing.store(prepared)
    assert await scene.count() == 0
