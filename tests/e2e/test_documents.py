"""DocumentService over real gRPC, on the embedded engine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.backends.errors import Unavailable
from gateway.retrieval import retriever as stored
from gateway.retrieval.embedder import Embedder, Embeddings
from gateway.retrieval.errors import StoreFull
from gateway.retrieval.lance.engine import LanceRetriever
from gateway.retrieval.retriever import Retriever
from gateway.rpc.document_service import DocumentService
from gateway.rpc.guard import Guard
from gateway.rpc.requests import Limits
from gateway.storing import Storing, StoringLimits
from rerank.v1 import (
    collection_pb2,
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
)
from tests.support.embedders import DIMENSION, FakeEmbedder, embeds, fails, hangs, unit
from tests.support.memory_retriever import MemoryRetriever

pytestmark = pytest.mark.real_time

_PATIENCE_S = 20

Document = document_pb2.Document
Batch = document_service_pb2.ImportDocumentsRequest
Answer = document_service_pb2.ImportDocumentsResponse

FIELDS = [
    collection_pb2.CollectionField(name="year", type=collection_pb2.FIELD_TYPE_INT64),
    collection_pb2.CollectionField(
        name="printed", type=collection_pb2.FIELD_TYPE_TIMESTAMP
    ),
]


@dataclass(frozen=True, slots=True)
class Serving:
    """A server, and a way to call it."""

    stub: "document_service_pb2_grpc.DocumentServiceAsyncStub"
    engine: LanceRetriever

    async def create(
        self, name: str = "papers", *, dimension: int = 0
    ) -> collection_pb2.Collection:
        created = await self.stub.CreateCollection(
            document_service_pb2.CreateCollectionRequest(
                name=name, fields=FIELDS, embedding_dimension=dimension
            )
        )
        return created.collection

    async def load(
        self, *batches: document_service_pb2.ImportDocumentsRequest
    ) -> list[document_service_pb2.ImportDocumentsResponse]:
        return [each async for each in self.stub.ImportDocuments(iter(batches))]

    async def get(
        self, name: str, collection: str = "papers", *, vector: bool = False
    ) -> document_pb2.Document:
        found = await self.stub.GetDocument(
            document_service_pb2.GetDocumentRequest(
                collection=collection, id=name, return_embeddings=vector
            )
        )
        return found.document

    async def count(self, collection: str = "papers") -> int:
        return (await self.engine.collection(collection)).document_count


@asynccontextmanager
async def serving(
    folder: Path, embedder: Embedder | None = None
) -> AsyncIterator[Serving]:
    """Serve DocumentService alone, on a free port, over a store in a folder."""
    engine = LanceRetriever(
        folder,
        writes=True,
        vector_index_from=5000,
        tidy_every_s=60.0,
        keep_versions_s=600.0,
    )
    await engine.open()
    try:
        async with _serving(engine, embedder) as stub:
            yield Serving(stub, engine)
    finally:
        await engine.close()


@asynccontextmanager
async def _serving(
    retriever: Retriever, embedder: Embedder | None
) -> AsyncIterator["document_service_pb2_grpc.DocumentServiceAsyncStub"]:
    before = asyncio.all_tasks()
    storing = Storing(
        retriever=retriever,
        embedder=embedder,
        limits=StoringLimits(max_document_bytes=1000),
        embed_timeout_s=30.0,
    )
    limits = Limits(max_documents=1000, max_document_bytes=1000, max_query_bytes=10)
    server = grpc.aio.server(interceptors=[Guard()])
    document_service_pb2_grpc.add_DocumentServiceServicer_to_server(
        DocumentService(storing=storing, limits=limits), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            yield document_service_pb2_grpc.DocumentServiceStub(channel)
    finally:
        await server.stop(None)
        # gRPC ends what it began for a call a moment after it says that it stopped.
        if late := asyncio.all_tasks() - before:
            await asyncio.wait(late, timeout=10)


def documents(*names: str, text: str = "some text") -> list[document_pb2.Document]:
    return [Document(id=each, text=text) for each in names]


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(_PATIENCE_S):
        while not true():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.01)


def info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """Give the reason that an error has in its details."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # an error has what it reads of a call
    found = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(found)
    return found


def reasons(answer: document_service_pb2.ImportDocumentsResponse) -> list[str]:
    name = document_service_pb2.RejectionReason.Name
    return [
        name(each.reason).removeprefix("REJECTION_REASON_") for each in answer.rejected
    ]


# Importing


async def test_one_bad_document_of_each_kind_does_not_lose_its_batch(
    tmp_path: Path,
) -> None:
    wrong = [
        Document(text="no id"),
        Document(id="good", text="again"),
        Document(id="blank", title=" ", text="\n"),
        Document(id="large", text="x" * 1001),
        Document(id="vector", text="x", embedding=[1.0]),
        Document(id="field", text="x"),
    ]
    wrong[-1].metadata.update({"year": "MMXXVI"})
    async with serving(tmp_path / "store", FakeEmbedder()) as server:
        await server.create()
        (answer,) = await server.load(
            Batch(
                collection="papers",
                batch_id="b-1",
                documents=[*documents("good"), *wrong, *documents("also")],
            )
        )
        assert answer.batch_id == "b-1"
        assert answer.accepted_count == 2
        assert reasons(answer) == [
            "INVALID_ID",
            "DUPLICATE_ID",
            "BLANK",
            "TOO_LARGE",
            "INVALID_EMBEDDING",
            "INVALID_FIELD",
        ]
        assert [each.index for each in answer.rejected] == [1, 2, 3, 4, 5, 6]
        assert [each.id for each in answer.rejected] == [each.id for each in wrong]
        assert all(each.message for each in answer.rejected)
        assert await server.count() == 2
        assert (await server.get("good")).text == "some text"


async def test_batches_are_answered_in_order_with_growing_versions(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "store", FakeEmbedder()) as server:
        await server.create()
        answers = await server.load(
            Batch(collection="papers", batch_id="0", documents=documents("a", "b")),
            Batch(batch_id="1", documents=documents("b", "c", text="newer")),
            Batch(batch_id="2"),
            Batch(collection="papers", batch_id="3", documents=documents("d")),
        )
        assert [each.batch_id for each in answers] == ["0", "1", "2", "3"]
        assert [each.accepted_count for each in answers] == [2, 2, 0, 1]
        versions = [each.version for each in answers]
        assert versions[0] < versions[1] == versions[2] < versions[3]
        assert await server.count() == 4
        assert (await server.get("b")).text == "newer"


async def test_the_later_batch_counts_though_its_vectors_came_with_it(
    tmp_path: Path,
) -> None:
    slow = FakeEmbedder(embeds(), embeds(after_s=0.3))
    async with serving(tmp_path / "store", slow) as server:
        await server.create()
        newer = Document(id="a", text="newer", embedding=[1.0] * DIMENSION)
        await server.load(
            Batch(collection="papers", documents=documents("a")),
            Batch(documents=[newer]),
        )
        assert (await server.get("a")).text == "newer"


async def test_a_document_comes_back_whole(tmp_path: Path) -> None:
    document = Document(id="a/ü", title="T", text="t\n", group_id="g")
    document.metadata.update(
        {"year": 1517, "printed": "1517-10-31T12:00:00Z", "more": [None, {"x": True}]}
    )
    async with serving(tmp_path / "store", FakeEmbedder()) as server:
        await server.load(Batch(documents=[document]))
        assert await server.get("a/ü", "default") == document
        assert await server.get("a/ü", "") == document
        document.embedding.extend(unit("T\nt\n").tolist())
        assert await server.get("a/ü", "default", vector=True) == document


async def test_an_import_without_a_batch_does_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path / "store") as server:
        assert await server.load() == []
        assert await server.engine.collections() == ()


@pytest.mark.parametrize(
    ("second", "field"),
    [
        (Batch(collection="others"), "collection"),
        (Batch(batch_id="i" * 129), "batch_id"),
        (Batch(documents=documents(*map(str, range(1001)))), "documents"),
    ],
    ids=["another collection", "an endless id", "too many documents"],
)
async def test_a_faulty_message_ends_the_stream_after_the_answers_before_it(
    tmp_path: Path, second: Any, field: str
) -> None:
    async with serving(tmp_path / "store", FakeEmbedder()) as server:
        await server.create()
        call = server.stub.ImportDocuments(
            iter([Batch(collection="papers", documents=documents("a")), second])
        )
        first = await call.read()
        assert isinstance(first, Answer)
        assert first.accepted_count == 1
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert info(refused.value).metadata["field"] == field
        assert await server.count() == 1


async def test_an_embedder_that_fails_ends_the_stream_after_the_answers_before_it(
    tmp_path: Path,
) -> None:
    failing = FakeEmbedder(
        embeds(), embeds(), fails(lambda: Unavailable("tei", "refused")), embeds()
    )
    async with serving(tmp_path / "store", failing) as server:
        await server.create()
        batches = [
            Batch(collection="papers", documents=documents("a")),
            Batch(collection="papers", documents=documents("b")),
        ]
        call = server.stub.ImportDocuments(iter(batches))
        assert isinstance(await call.read(), Answer)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert refused.value.details() == "tei: refused"
        assert info(refused.value).reason == "RETRIEVAL_UNAVAILABLE"
        assert info(refused.value).metadata == {"component": "embedder"}
        assert await server.count() == 1

        await server.load(*batches)
        assert await server.count() == 2


async def test_an_engine_that_fails_ends_what_was_begun_for_the_next_batch() -> None:
    engine, hanging = MemoryRetriever(), FakeEmbedder(embeds(), embeds(), hangs())
    engine.failures["upsert"] = StoreFull("default: no space is left")
    engine.takes_s["upsert"] = 0.2
    async with _serving(engine, hanging) as stub:
        call = stub.ImportDocuments(
            iter([Batch(documents=documents("a")), Batch(documents=documents("b"))])
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert info(refused.value).metadata == {"component": "engine"}
        assert hanging.cancelled == 1


class Gate:
    """An embedder that answers as often as it is let."""

    def __init__(self) -> None:
        self.allowed = asyncio.Semaphore(0)

    async def __call__(self, fake: FakeEmbedder, texts: Sequence[str]) -> Embeddings:
        await self.allowed.acquire()
        return await embeds()(fake, texts)


async def test_no_more_is_read_than_one_batch_ahead(tmp_path: Path) -> None:
    gate = Gate()
    fake = FakeEmbedder(embeds(), gate)
    async with serving(tmp_path / "store", fake) as server:
        await server.create()
        sent = 0

        def batches() -> Iterable[document_service_pb2.ImportDocumentsRequest]:
            nonlocal sent
            for place in range(20):
                sent += 1
                # So large that what gRPC holds for a reader is a few of them.
                large = [
                    Document(id=f"{place}-{each}", text="x" * 1000)
                    for each in range(500)
                ]
                yield Batch(collection="papers", documents=large)

        call = server.stub.ImportDocuments(_each(batches()))
        for answered in range(1, 5):
            gate.allowed.release()
            assert isinstance(await call.read(), Answer)
            await until(lambda: len(fake.calls) == answered + 2)  # noqa: B023 - awaited here
            await asyncio.sleep(0.05)
            assert len(fake.calls) == answered + 2
            assert fake.most_running == 1
        assert sent < 20
        call.cancel()
        await until(lambda: not fake.running)


async def _each(
    batches: Iterable[document_service_pb2.ImportDocumentsRequest],
) -> AsyncIterator[document_service_pb2.ImportDocumentsRequest]:
    for each in batches:
        yield each


async def test_a_batch_is_prepared_while_the_one_before_is_stored(
    tmp_path: Path,
) -> None:
    fake = FakeEmbedder()
    async with serving(tmp_path / "store", fake) as server:
        await server.create()
        table = await server.engine._table("papers")
        async with table.writing:
            importing = asyncio.create_task(
                server.load(
                    Batch(collection="papers", documents=documents("a")),
                    Batch(documents=documents("b")),
                    Batch(documents=documents("c")),
                )
            )
            await until(lambda: len(fake.calls) == 3)
            await asyncio.sleep(0.05)
            assert len(fake.calls) == 3
            assert await server.count() == 0
        assert len(await importing) == 3


async def test_a_cancelled_import_leaves_nothing_running(tmp_path: Path) -> None:
    hanging = FakeEmbedder(embeds(), embeds(), hangs())
    async with serving(tmp_path / "store", hanging) as server:
        await server.create()
        before = len(asyncio.all_tasks())
        call = server.stub.ImportDocuments(
            iter(
                [
                    Batch(collection="papers", documents=documents("a")),
                    Batch(documents=documents("b")),
                ]
            )
        )
        assert isinstance(await call.read(), Answer)
        await until(lambda: hanging.running == 1)

        call.cancel()

        await until(lambda: hanging.cancelled == 1)
        # One is gRPC's, which waits for the next call.
        await until(lambda: len(asyncio.all_tasks()) <= before)
        assert await server.count() == 1


async def test_an_import_that_nobody_reads_is_cancelled_too(tmp_path: Path) -> None:
    async with serving(tmp_path / "store", FakeEmbedder()) as server:
        await server.create()
        before = len(asyncio.all_tasks())
        # Each answer is large, so that it waits for its reader.
        wrong = [Document(id="i" * 2000)] * 1000
        call = server.stub.ImportDocuments(
            iter([Batch(collection="papers", documents=wrong)] * 10)
        )
        await asyncio.sleep(0.5)

        call.cancel()

        # One is gRPC's, which waits for the next call.
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_an_import_ends_with_the_deadline_of_its_caller(tmp_path: Path) -> None:
    hanging = FakeEmbedder(embeds(), hangs())
    async with serving(tmp_path / "store", hanging) as server:
        await server.create()
        call = server.stub.ImportDocuments(
            iter([Batch(collection="papers", documents=documents("a"))]), timeout=0.3
        )
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await call.read()
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: hanging.cancelled == 1)


# Documents


async def test_what_is_deleted_is_gone(tmp_path: Path) -> None:
    async with serving(tmp_path / "store") as server:
        await server.create()
        (loaded,) = await server.load(
            Batch(collection="papers", documents=documents("a", "b"))
        )
        ask = document_service_pb2.DeleteDocumentsRequest(
            collection="papers", ids=["a", "nobody", "a"]
        )
        deleted = await server.stub.DeleteDocuments(ask)
        assert deleted.deleted_count == 1
        assert deleted.version > loaded.version
        again = await server.stub.DeleteDocuments(ask)
        assert again.deleted_count == 0
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await server.get("a")
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND
        assert info(missing.value).reason == "DOCUMENT_NOT_FOUND"
        assert info(missing.value).metadata == {"collection": "papers", "id": "a"}


async def test_what_was_answered_outlives_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path / "store") as server:
        await server.load(Batch(documents=documents("a")))
    async with serving(tmp_path / "store") as server:
        assert (await server.get("a", "")).text == "some text"


# Collections


async def test_a_collection_is_described_as_it_was_made(tmp_path: Path) -> None:
    async with serving(tmp_path / "store", FakeEmbedder()) as server:
        created = await server.create()
        assert created.name == "papers"
        assert list(created.fields) == FIELDS
        assert created.embedding_dimension == DIMENSION
        assert created.document_count == 0
        assert created.HasField("create_time")
        (answer,) = await server.load(
            Batch(collection="papers", documents=documents("a"))
        )
        listed = await server.stub.ListCollections(
            document_service_pb2.ListCollectionsRequest()
        )
        (found,) = listed.collections
        assert (found.document_count, found.version) == (1, answer.version)
        assert found.create_time == created.create_time


async def test_collections_are_listed_by_pages(tmp_path: Path) -> None:
    async with serving(tmp_path / "store") as server:
        for name in ("c", "a", "b"):
            await server.create(name)
        names, ask = [], document_service_pb2.ListCollectionsRequest(page_size=2)
        for _ in range(2):
            page = await server.stub.ListCollections(ask)
            names += [each.name for each in page.collections]
            ask.page_token = page.next_page_token
        assert names == ["a", "b", "c"]
        assert not page.next_page_token
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.stub.ListCollections(
                document_service_pb2.ListCollectionsRequest(page_token="mine")
            )
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_documents_are_listed_by_pages(tmp_path: Path) -> None:
    async with serving(tmp_path / "store") as server:
        await server.create(dimension=2)
        stored = [
            Document(id=f"d{place}", text="x", embedding=[1.0, place], group_id="g")
            for place in range(5)
        ]
        stored[3].metadata.update({"year": 1999})
        await server.load(Batch(collection="papers", documents=stored))
        found: list[document_pb2.Document] = []
        sizes: list[int] = []
        ask = document_service_pb2.ListDocumentsRequest(
            collection="papers", page_size=2, return_embeddings=True
        )
        while not sizes or ask.page_token:
            page = await server.stub.ListDocuments(ask)
            found += page.documents
            sizes.append(len(page.documents))
            ask.page_token = page.next_page_token
        assert found == stored
        assert sizes == [2, 2, 1]
        page = await server.stub.ListDocuments(
            document_service_pb2.ListDocumentsRequest(collection="papers")
        )
        assert [each.id for each in page.documents] == [each.id for each in stored]
        assert not any(each.embedding for each in page.documents)


@pytest.mark.parametrize("wrong", [{"page_size": -1}, {"page_token": "mine"}])
async def test_a_page_that_there_cannot_be_is_refused(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    async with serving(tmp_path / "store") as server:
        await server.create()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.stub.ListDocuments(
                document_service_pb2.ListDocumentsRequest(collection="papers", **wrong)
            )
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_page_is_cut_where_a_message_would_be_too_large() -> None:
    engine = MemoryRetriever()
    await engine.create_collection("papers", fields=(), dimension=0, embedder="")
    texts = {f"d{place}": "x" * 2**20 for place in range(7)} | {"e": "x" * 5 * 2**20}
    await engine.upsert(
        "papers",
        [stored.Document(name, "", text, None) for name, text in texts.items()],
        embedder="",
    )
    async with _serving(engine, None) as stub:
        ask = document_service_pb2.ListDocumentsRequest(collection="papers")
        sizes: list[int] = []
        found: list[str] = []
        while not sizes or ask.page_token:
            # One that is too large by itself is for those who ask for larger messages.
            if len(found) == len(texts) - 1:
                with pytest.raises(grpc.aio.AioRpcError, match="larger than max"):
                    await stub.ListDocuments(ask)
                break
            page = await stub.ListDocuments(ask)
            sizes.append(len(page.documents))
            found += [each.id for each in page.documents]
            ask.page_token = page.next_page_token
    assert found == list(texts)[:-1]
    assert sizes == [3, 3, 1]


async def test_a_name_is_given_once_and_free_again_afterwards(tmp_path: Path) -> None:
    async with serving(tmp_path / "store") as server:
        await server.create()
        await server.load(Batch(collection="papers", documents=documents("a")))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.create(dimension=3)
        assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert info(refused.value).reason == "COLLECTION_ALREADY_EXISTS"
        await server.stub.DeleteCollection(
            document_service_pb2.DeleteCollectionRequest(name="papers")
        )
        assert (await server.create(dimension=3)).document_count == 0


@pytest.mark.parametrize(
    "method", ["import", "delete", "get", "list", "delete a collection"]
)
async def test_an_unknown_collection_is_told(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path / "store", FakeEmbedder()) as server:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "import": lambda: server.load(Batch(collection="nowhere")),
            "delete": lambda: server.stub.DeleteDocuments(
                document_service_pb2.DeleteDocumentsRequest(
                    collection="nowhere", ids=["a"]
                )
            ),
            "get": lambda: server.get("a", "nowhere"),
            "list": lambda: server.stub.ListDocuments(
                document_service_pb2.ListDocumentsRequest(collection="nowhere")
            ),
            "delete a collection": lambda: server.stub.DeleteCollection(
                document_service_pb2.DeleteCollectionRequest(name="nowhere")
            ),
        }
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await calls[method]()
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND
        assert info(missing.value).reason == "COLLECTION_NOT_FOUND"
        assert info(missing.value).metadata == {"collection": "nowhere"}


async def test_a_collection_is_not_made_while_the_embedder_is_down(
    tmp_path: Path,
) -> None:
    failing = FakeEmbedder(fails(lambda: Unavailable("tei", "refused")), embeds())
    async with serving(tmp_path / "store", failing) as server:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.create()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await server.engine.collections() == ()
        assert (await server.create()).embedding_dimension == DIMENSION
