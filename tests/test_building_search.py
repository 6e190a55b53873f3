"""What stage 1 is built of, and what stands in for a part that cannot be had."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from gateway.backends.errors import Misconfigured
from gateway.compose import NO_MEMORIES, Surroundings
from gateway.compose.embedder import embedder
from gateway.compose.retrieval import retriever
from gateway.compose.services import services
from gateway.retrieval.embedder import Purpose
from gateway.retrieval.errors import DamagedStore, EngineSwitchedOff
from gateway.retrieval.retriever import Retriever
from gateway.settings import EmbedderSettings, RetrievalSettings, load

ALONE = Surroundings(NO_MEMORIES, Random(7), lambda _: None)

pytestmark = pytest.mark.real_time

FOREVER = 1e12


@pytest.fixture
async def parts() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def every_call_fails(engine: Retriever, kind: type[Exception]) -> None:
    calls = [
        lambda: engine.shape("a"),
        lambda: engine.collection("a"),
        engine.collections,
        lambda: engine.create_collection("a", fields=(), dimension=0, embedder=""),
        lambda: engine.delete_collection("a"),
        lambda: engine.upsert("a", (), embedder=""),
        lambda: engine.delete("a", ()),
        lambda: engine.get("a", (), with_vectors=False),
        lambda: engine.vectors("a", ()),
        lambda: engine.scores("a", (), text="", vector=None),
    ]
    for call in calls:
        with pytest.raises(kind):
            await call()  # type: ignore[no-untyped-call]  # each has its own type


async def test_an_engine_that_is_switched_off_says_so(parts: AsyncExitStack) -> None:
    engine = await retriever(RetrievalSettings(engine="none"), parts)
    await every_call_fails(engine, EngineSwitchedOff)


async def test_a_folder_of_somebody_else_is_left_alone(
    parts: AsyncExitStack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "letter.txt").write_text("mine", "utf-8")
    with caplog.at_level(logging.ERROR):
        engine = await retriever(RetrievalSettings(path=str(tmp_path)), parts)
    await every_call_fails(engine, DamagedStore)
    assert "Search is not served" in caplog.text
    assert os.listdir(tmp_path) == ["letter.txt"]  # noqa: PTH208 - Path would block


async def test_no_embedder_is_none(parts: AsyncExitStack) -> None:
    assert await embedder(EmbedderSettings(dialect="none"), ALONE, parts) is None


async def test_an_embedder_without_its_key_says_so(parts: AsyncExitStack) -> None:
    settings = EmbedderSettings(dialect="cohere", model="m", problem="no key")
    made = await embedder(settings, ALONE, parts)
    assert made is not None
    with pytest.raises(Misconfigured, match="embedder: no key"):
        await made.embed(["a"], purpose=Purpose.QUERY, deadline=FOREVER)


async def test_the_built_in_embedder_is_shared_and_remembers(
    parts: AsyncExitStack,
) -> None:
    made = await embedder(EmbedderSettings(), ALONE, parts)
    assert made is not None
    first = await made.embed(["a"], purpose=Purpose.QUERY, deadline=FOREVER)
    again = await made.embed(["a"], purpose=Purpose.QUERY, deadline=FOREVER)
    assert first.vectors.tolist() == again.vectors.tolist()
    assert first.dimension == 384


async def test_what_is_switched_off_is_not_listed(
    parts: AsyncExitStack, tmp_path: Path
) -> None:
    off = load(environ={"HOME": str(tmp_path)}).reranking_only
    engine = await retriever(off.retrieval, parts)
    assert services(off, retriever=engine, embedder=None) == {}
    on = load(environ={"HOME": str(tmp_path)})
    made = await embedder(on.embedder, ALONE, parts)
    listed = services(on, retriever=engine, embedder=made)
    assert sorted(listed) == ["embedder", "retrieval"]
    assert await listed["embedder"].probe(FOREVER) == "all-minilm-l6-v2"
    with pytest.raises(Misconfigured, match="switched off"):
        await listed["retrieval"].probe(FOREVER)
