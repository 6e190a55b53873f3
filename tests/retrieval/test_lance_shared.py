"""Several processes over one store: one owns it, the others read it and forward."""

import asyncio
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from gateway.retrieval.errors import DamagedStore, EngineFailed, RetrieverError
from gateway.retrieval.lance.engine import LanceRetriever
from gateway.retrieval.retriever import Retriever
from gateway.retrieval.shared.address import address
from gateway.retrieval.shared.retriever import OwnedRetriever
from tests.retrieval.contract import RetrieverContract, ask, document, ids
from tests.retrieval.test_lance import make_books

pytestmark = pytest.mark.real_time


@asynccontextmanager
async def shared(
    folder: Path, *, call_s: float = 10.0, look_every_s: float = 60.0
) -> AsyncIterator[OwnedRetriever]:
    one = OwnedRetriever(
        folder,
        engine=partial(
            LanceRetriever,
            folder,
            vector_index_from=5000,
            tidy_every_s=60.0,
            keep_versions_s=600.0,
        ),
        call_s=call_s,
        look_every_s=look_every_s,
    )
    await one.open()
    try:
        yield one
    finally:
        await one.close()


class TestTheOwner(RetrieverContract):
    @pytest.fixture
    async def retriever(self, tmp_path: Path) -> AsyncIterator[Retriever]:
        async with shared(tmp_path) as owner:
            assert owner.owns
            yield owner


class TestAnotherProcess(RetrieverContract):
    """It has everything written by the owner, and sees it at once."""

    @pytest.fixture
    async def retriever(self, tmp_path: Path) -> AsyncIterator[Retriever]:
        async with shared(tmp_path) as owner, shared(tmp_path) as other:
            assert (owner.owns, other.owns) == (True, False)
            yield other


class TestAnotherProcessThatTookOver(RetrieverContract):
    @pytest.fixture
    async def retriever(self, tmp_path: Path) -> AsyncIterator[Retriever]:
        async with shared(tmp_path):
            other = shared(tmp_path)
            retriever = await other.__aenter__()
        try:
            await make_books(retriever)
            assert retriever.owns
            await retriever.delete_collection("books")
            yield retriever
        finally:
            await other.__aexit__(None, None, None)


async def test_all_see_what_any_of_them_writes(tmp_path: Path) -> None:
    async with (
        shared(tmp_path) as one,
        shared(tmp_path) as two,
        shared(tmp_path) as six,
    ):
        await make_books(two)
        for number, writing in enumerate([one, two, six] * 3):
            new = document(f"a{number}", "x")
            version = await writing.upsert("books", [new], embedder="")
            for each in (one, two, six):
                found = await ask(each, "x", min_version=version)
                assert f"a{number}" in ids(found.bm25)


async def test_nobody_but_its_user_reaches_the_socket(tmp_path: Path) -> None:
    async with shared(tmp_path):
        assert stat.S_IMODE(address(tmp_path).stat().st_mode) == 0o600
    assert not address(tmp_path).exists()


async def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    async with shared(folder), shared(folder) as other:
        place = address(folder)
        assert folder not in place.parents
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        await make_books(other)
        await other.upsert("books", [document("a", "x")], embedder="")
        assert not other.owns
    assert not place.parent.exists()
    assert address(folder) == folder / "writer.sock"


async def test_the_store_is_taken_over_without_a_write(tmp_path: Path) -> None:
    async with shared(tmp_path):
        other = shared(tmp_path, look_every_s=0.02)
        retriever = await other.__aenter__()
        await asyncio.sleep(0.1)
        assert not retriever.owns
    for _ in range(200):
        if retriever.owns:
            break
        await asyncio.sleep(0.02)
    assert retriever.owns
    await other.__aexit__(None, None, None)


_OWNER = """
import asyncio, sys
from pathlib import Path
from tests.retrieval.test_lance_shared import shared

async def own(folder):
    async with shared(folder):
        print("owns", flush=True)
        await asyncio.sleep(60)

asyncio.run(own(Path(sys.argv[1])))
"""


async def test_an_owner_that_is_killed_is_replaced(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _OWNER, str(tmp_path)),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert owner.stdout is not None
        assert await owner.stdout.readline() == b"owns\n"
        async with shared(tmp_path) as other:
            await make_books(other)
            await other.upsert("books", [document("a", "x")], embedder="")
            assert not other.owns
            owner.kill()
            await owner.wait()
            # Its socket is still there, and nobody listens.
            assert address(tmp_path).exists()
            await other.upsert("books", [document("b", "x")], embedder="")
            assert other.owns
            assert ids((await ask(other, "x")).bm25) == ["a", "b"]
    finally:
        if owner.returncode is None:
            owner.kill()
            await owner.wait()


async def test_writes_go_on_while_the_owner_changes(tmp_path: Path) -> None:
    """Whatever was acknowledged is there, whoever acknowledged it."""
    acknowledged: set[str] = set()
    failures: list[RetrieverError] = []
    over = asyncio.Event()

    async def write(retriever: Retriever, letter: str) -> None:
        for number in range(10_000):
            if over.is_set():
                return
            new = document(f"{letter}{number}", "x")
            try:
                await retriever.upsert("books", [new], embedder="")
            except RetrieverError as error:
                failures.append(error)
            else:
                acknowledged.add(new.id)

    first = shared(tmp_path)
    owner = await first.__aenter__()
    await make_books(owner)
    async with shared(tmp_path) as two, shared(tmp_path) as six:
        writers = [
            asyncio.create_task(write(each, of))
            for each, of in ((two, "b"), (six, "c"))
        ]
        await asyncio.sleep(0.5)
        before = len(acknowledged)
        await first.__aexit__(None, None, None)
        await asyncio.sleep(1.0)
        over.set()
        await asyncio.gather(*writers)
        assert all(each.transient for each in failures)
        assert before > 0
        assert len(acknowledged) > before
        assert two.owns is not six.owns
        for each in (two, six):
            names = sorted(acknowledged)
            found = await each.get("books", names, with_vectors=False)
            assert [document.id for document in found] == names


async def test_a_writer_that_does_not_answer_is_told_in_time(tmp_path: Path) -> None:
    async with shared(tmp_path) as owner, shared(tmp_path, call_s=0.2) as other:
        await make_books(owner)
        held = owner._held
        assert held is not None
        assert isinstance(held.engine, LanceRetriever)
        table = await held.engine._table("books")
        async with table.writing:
            with pytest.raises(EngineFailed, match="no answer in"):
                await other.upsert("books", [document("a", "x")], embedder="")
        # Its caller is gone, so it was given up.
        await asyncio.sleep(0.1)
        assert (await owner.collection("books")).document_count == 0


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"rgw1\x7f\xff\xff\xff\x00\x00\x00\x00",
        b"rgw1\0\0\0\x02\0\0\0\0{}",
        b"rgw1\0\0\0\x04\0\0\0\0null",
        b"rgw1\0\0\0\x02\0\0\0\0\xff\xff",
        b'rgw1\0\0\0\x20\0\0\0\0{"call":"Fly","collection":"it"} ',
    ],
)
async def test_nonsense_on_the_socket_does_no_harm(tmp_path: Path, junk: bytes) -> None:
    async with shared(tmp_path) as owner, shared(tmp_path) as other:
        reader, writer = await asyncio.open_unix_connection(address(tmp_path))
        writer.write(junk)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await make_books(other)
        assert [each.name for each in await owner.collections()] == ["books"]


async def test_what_no_process_can_read_is_told(tmp_path: Path) -> None:
    async with shared(tmp_path):
        (tmp_path / "store.json").write_bytes(b"junk")
        other = OwnedRetriever(
            tmp_path,
            engine=partial(
                LanceRetriever,
                tmp_path,
                vector_index_from=1,
                tidy_every_s=1.0,
                keep_versions_s=1.0,
            ),
            call_s=1.0,
            look_every_s=1.0,
        )
        with pytest.raises(DamagedStore):
            await other.open()
        with pytest.raises(EngineFailed, match="not open"):
            await other.collections()
