"""The bundled encoder as an embedder."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from gateway.backends.errors import Internal
from gateway.backends.local.encoder import ENCODER_DIRECTORY, Encoder
from gateway.backends.local.features import TextEncoder
from gateway.backends.local.inference import InferenceFailed
from gateway.retrieval.embedder import Purpose
from gateway.retrieval.embedders.local import LocalEmbedder
from tests.backends.local.fake_encoder import FakeEncoder
from tests.retrieval.embedders.played import ask, texts_for

pytestmark = pytest.mark.real_time

Build = Callable[..., LocalEmbedder]


@pytest.fixture
def build() -> Iterator[Build]:
    """Build embedders, and close them when the test ends."""
    with ExitStack() as stack:

        def build(encoder: TextEncoder, *, threads: int = 2) -> LocalEmbedder:
            embedder = LocalEmbedder(name="local", encoder=encoder, threads=threads)
            stack.callback(embedder.close)
            return embedder

        yield build


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load(ENCODER_DIRECTORY)


async def test_what_means_the_same_is_near(build: Build, encoder: Encoder) -> None:
    found = await ask(
        build(encoder),
        [
            "How do I restore a database?",
            "A backup is copied back with the restore command.",
            "Cats sleep for most of the day.",
        ],
    )
    query, near, far = found.vectors
    assert query @ near > 0.4
    assert query @ far < 0.2
    assert (found.model, found.dimension) == ("all-minilm-l6-v2", 384)
    assert (LocalEmbedder.model, LocalEmbedder.dimension) == ("all-minilm-l6-v2", 384)


async def test_neither_companions_nor_the_purpose_change_a_vector(
    build: Build, encoder: Encoder
) -> None:
    texts = ["Cats sleep.", "cat " * 300, "A backup is copied back."]
    embedder = build(encoder)
    together = await ask(embedder, texts, purpose=Purpose.DOCUMENT)
    for place, text in enumerate(texts):
        alone = await ask(embedder, [text], purpose=Purpose.QUERY)
        assert np.array_equal(alone.vectors[0], together.vectors[place])
        assert np.array_equal(alone.vectors[0], encoder.encode(text).sentence)


async def test_a_failed_inference_is_ours(build: Build) -> None:
    def breaks(_: str) -> None:
        message = "onnxruntime failed on 3 tokens"
        raise InferenceFailed(message)

    with pytest.raises(Internal, match="local: the encoder failed: onnxruntime failed"):
        await ask(build(FakeEncoder(before=breaks)), ["a", "b"])


async def test_a_closed_embedder_says_so(build: Build) -> None:
    embedder = build(FakeEncoder())
    embedder.close()
    with pytest.raises(Internal, match="local: closed while it was needed"):
        await ask(embedder, ["a"])


async def test_cancellation_drops_what_has_not_begun(build: Build) -> None:
    loop = asyncio.get_running_loop()
    reached, gate = asyncio.Event(), threading.Event()

    def wait(_: str) -> None:
        loop.call_soon_threadsafe(reached.set)
        assert gate.wait(timeout=10)

    encoder = FakeEncoder(before=wait)
    asked = asyncio.ensure_future(ask(build(encoder, threads=1), texts_for(50)))
    await reached.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    gate.set()
    assert len(encoder.calls) == 1


async def test_a_long_list_does_not_stand_in_front_of_a_query(build: Build) -> None:
    loop = asyncio.get_running_loop()
    reached, gate = asyncio.Event(), threading.Event()

    def wait(text: str) -> None:
        if text == "text 0":
            loop.call_soon_threadsafe(reached.set)
            assert gate.wait(timeout=10)

    encoder = FakeEncoder(before=wait)
    embedder = build(encoder, threads=1)
    many = asyncio.ensure_future(ask(embedder, texts_for(50), purpose=Purpose.DOCUMENT))
    await reached.wait()
    query = asyncio.ensure_future(ask(embedder, ["query"]))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(query, many)
    assert encoder.calls.index("query") == 1
