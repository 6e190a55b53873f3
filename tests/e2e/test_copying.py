"""Collections move from the embedded engine to a cluster, and back, while they are in use."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.copy_passes import Copying, Outcome, Pass, Side
from gateway.cli.copy_state import Copied
from gateway.cli.listing import documents_of
from rerank.v1 import (
    collection_pb2,
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
)
from tests.e2e.running import running
from tests.e2e.subprocesses import command
from tests.support.qdrant_server import qdrant_server
from tests.support.weaviate_server import (
    Node,
    one_weaviate,
    settings_of,
    some_prefix,
)

pytestmark = pytest.mark.real_time

COUNT = 30
FIELDS = [
    collection_pb2.CollectionField(name="year", type=collection_pb2.FIELD_TYPE_INT64)
]


def document(place: int, text: str = "") -> document_pb2.Document:
    made = document_pb2.Document(
        id=f"d{place}\0é",
        title=f"Title {place}",
        text=text or f"text {place}",
        embedding=[1.0, place, 0.1, 0.3],
        group_id=f"g{place % 3}",
    )
    made.metadata.update({"year": 2000 + place, "more": [place, None]})
    return made


@dataclass(frozen=True, slots=True)
class Gateway:
    """One that runs, and what can be asked of it."""

    address: str
    stub: "document_service_pb2_grpc.DocumentServiceAsyncStub"

    async def create(self, name: str = "papers", *, dimension: int = 4) -> None:
        await self.stub.CreateCollection(
            document_service_pb2.CreateCollectionRequest(
                name=name, fields=FIELDS, embedding_dimension=dimension
            )
        )

    async def store(
        self, *documents: document_pb2.Document, name: str = "papers"
    ) -> None:
        batch = document_service_pb2.ImportDocumentsRequest(
            collection=name, documents=documents
        )
        (answer,) = [each async for each in self.stub.ImportDocuments(iter([batch]))]
        assert not answer.rejected

    async def remove(self, *documents: document_pb2.Document) -> None:
        await self.stub.DeleteDocuments(
            document_service_pb2.DeleteDocumentsRequest(
                collection="papers", ids=[each.id for each in documents]
            )
        )

    async def all(self, name: str = "papers") -> dict[str, document_pb2.Document]:
        pages = documents_of(self.stub, name, at_most=7, with_vectors=True)
        return {each.id: each async for page in pages for each in page}

    def side(self, name: str = "papers") -> Side:
        return Side(stub=self.stub, name=name)


@dataclass(frozen=True, slots=True)
class Both:
    """A gateway with the embedded engine, and one with a cluster."""

    embedded: Gateway
    cluster: Gateway


@asynccontextmanager
async def started(**retrieval: Any) -> AsyncIterator[Gateway]:
    settings = {"retrieval": retrieval, "embedder": {"dialect": "none"}}
    async with running(settings) as gateway:
        stub = document_service_pb2_grpc.DocumentServiceStub(gateway.channel)
        yield Gateway(gateway.address, stub)


@pytest.fixture(params=["qdrant", "weaviate"])
async def both(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Both]:
    async with AsyncExitStack() as parts:
        (tmp_path / "cluster").mkdir()
        if request.param == "qdrant":
            server = qdrant_server(tmp_path / "cluster")
            address = (await parts.enter_async_context(server)).address
            there = {"engine": "qdrant", "url": f"http://{address}"}
        else:
            node: Node = request.getfixturevalue("node")
            there = settings_of([node], prefix=some_prefix())
        embedded, cluster = [
            await parts.enter_async_context(started(**each))
            for each in ({"engine": "embedded", "path": str(tmp_path / "lance")}, there)
        ]
        await embedded.create()
        await embedded.store(*map(document, range(COUNT)))
        yield Both(embedded, cluster)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with one_weaviate(tmp_path_factory.mktemp("weaviate")) as found:
        yield found


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


async def test_a_collection_moves_to_a_cluster_and_back(
    both: Both, environ: dict[str, str]
) -> None:
    there = ("--address", both.embedded.address, "--to-address", both.cluster.address)
    finished = await command(
        *("collections", "copy", "papers", "--batch", "8", *there), environ=environ
    )
    assert finished.code == 0, finished.err
    wanted = await both.embedded.all()
    assert len(wanted) == COUNT
    assert await both.cluster.all() == wanted

    back = ("--address", both.cluster.address, "--to-address", both.embedded.address)
    finished = await command(
        *("collections", "copy", "papers", "--to", "again", *back), environ=environ
    )
    assert finished.code == 0, finished.err
    assert "pass 1: 30 documents read, 30 stored, 0 removed" in finished.out
    assert "again: 30 documents of 30" in finished.out
    assert await both.embedded.all("again") == wanted


async def test_a_second_copy_brings_what_has_changed(
    both: Both, environ: dict[str, str]
) -> None:
    copy = ("collections", "copy", "papers", "--address", both.embedded.address)
    to = ("--to-address", both.cluster.address)
    assert (await command(*copy, *to, environ=environ)).code == 0
    await both.embedded.store(document(3, "replaced"), document(COUNT))
    await both.embedded.remove(document(5), document(6))
    finished = await command(*copy, *to, environ=environ)
    assert finished.code == 0, finished.err
    assert "pass 1: 29 documents read, 2 stored, 2 removed" in finished.out
    assert await both.cluster.all() == await both.embedded.all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--to-address or --to-config: one of them is required"),
        (["--to-address", "{cluster}", "nowhere"], "there is no collection 'nowhere'"),
        (["--to-address", "{cluster}", "--to", "narrow"], "vectors of dimension 3"),
        (["--to-address", "{cluster}", "--to", "plain"], "has other fields"),
        (["--to-address", "{embedded}"], "is the one to copy"),
    ],
)
async def test_a_users_mistake_is_told(
    both: Both, environ: dict[str, str], options: list[str], words: str
) -> None:
    await both.cluster.create("narrow", dimension=3)
    await both.cluster.stub.CreateCollection(
        document_service_pb2.CreateCollectionRequest(
            name="plain", embedding_dimension=4
        )
    )
    named = [
        each.format(embedded=both.embedded.address, cluster=both.cluster.address)
        for each in options
    ]
    name = [] if "nowhere" in named else ["papers"]
    finished = await command(
        *("collections", "copy", *name, "--address", both.embedded.address, *named),
        environ=environ,
    )
    assert finished.code == 2
    assert words in finished.err
    assert finished.err.count("\n") == 1


async def test_what_is_written_meanwhile_is_caught_up_with(
    both: Both, environ: dict[str, str]
) -> None:
    writes: list[Callable[[], object]] = [
        lambda: both.embedded.store(document(0, "replaced"), document(99)),
        lambda: both.embedded.remove(document(1), document(COUNT - 1)),
    ]
    outcome = await copied(both, environ, before_pages=writes)
    assert outcome.settled
    assert len(outcome.passes) > 1
    wanted = await both.embedded.all()
    assert await both.cluster.all() == wanted
    assert outcome.target.document_count == len(wanted) == COUNT - 1


async def test_an_interrupted_copy_goes_on_where_it_was(
    both: Both, environ: dict[str, str]
) -> None:
    def after_two_pages(done: Pass) -> None:
        if done.seen == 2 * _BATCH:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await copied(both, environ, show=after_two_pages)
    assert len(await both.cluster.all()) == 2 * _BATCH
    outcome = await copied(both, environ)
    assert outcome.passes[0].stored == COUNT - 2 * _BATCH
    assert await both.cluster.all() == await both.embedded.all()


async def test_a_source_that_is_always_written_to_never_settles(
    both: Both, environ: dict[str, str]
) -> None:
    async def write() -> None:
        await both.embedded.store(document(0, f"version {len(done)}"))
        done.append(0)

    done: list[int] = []
    outcome = await copied(both, environ, before_pages=[write] * 20, most_passes=3)
    assert (len(outcome.passes), outcome.settled) == (3, False)


_BATCH = 8


async def copied(
    both: Both,
    environ: dict[str, str],
    *,
    before_pages: list[Callable[[], object]] | None = None,
    show: Callable[[Pass], None] = lambda _: None,
    most_passes: int = 5,
) -> Outcome:
    """Copy, and do something else before each of the first pages is asked for."""
    source, target = both.embedded.side(), both.cluster.side()
    if await target.described() is None:
        await both.cluster.create()
    between = Copied.between(
        await source.there(), await target.there(), how="vectors", environ=environ
    )
    with between as state:
        copying = Copying(
            Side(stub=_Busy(source.stub, before_pages or []), name="papers"),  # type: ignore[arg-type]  # one method is another
            target,
            state,
            batch=_BATCH,
            with_vectors=True,
            show=show,
        )
        return await copying.run(most_passes=most_passes)


class _Busy:
    """A gateway whose collection is written to while it is read."""

    def __init__(self, stub: object, writes: list[Callable[[], object]]) -> None:
        self._stub = stub
        self._writes = list(writes)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stub, name)

    async def ListDocuments(self, request: object, **more: object) -> object:  # noqa: N802
        answer = await self._stub.ListDocuments(request, **more)  # type: ignore[attr-defined]  # a stub
        if self._writes:
            await self._writes.pop(0)()  # type: ignore[misc]  # awaitable
        return answer
