"""Remembering the vectors of queries."""

import asyncio

import numpy as np
import pytest

from gateway.backends.errors import Unavailable
from gateway.backends.scorer import Usage
from gateway.retrieval.embedder import Embedder, Purpose
from gateway.retrieval.embedders.remember import Remember
from tests.retrieval.embedders.played import FakeEmbedder, ask, embeds, fails, unit


def remember(embedder: Embedder, max_bytes: int = 1_000_000) -> Remember:
    return Remember(embedder, max_bytes=max_bytes, ttl_s=60.0)


async def test_a_query_that_comes_again_asks_nobody() -> None:
    fake = FakeEmbedder(embeds(usage=Usage(tokens=5)))
    embedder = remember(fake)
    first = await ask(embedder, ["a"])
    again = await ask(embedder, ["a"])
    assert fake.calls == [("a",)]
    assert np.array_equal(first.vectors, again.vectors)
    assert again.model == "m"
    assert (first.usage.tokens, again.usage.tokens) == (5, 0)


async def test_only_what_is_not_known_is_asked_for_and_only_once() -> None:
    fake = FakeEmbedder()
    embedder = remember(fake)
    await ask(embedder, ["b"])
    texts = ["a", "b", "c", "a", "b"]
    found = await ask(embedder, texts)
    assert fake.calls == [("b",), ("a", "c")]
    assert np.array_equal(found.vectors, [unit(text) for text in texts])


async def test_texts_that_differ_by_a_character_are_different() -> None:
    fake = FakeEmbedder()
    embedder = remember(fake)
    texts = ["a", "A", "a ", " a", "á", "a\u0301"]
    for text in texts:
        await ask(embedder, [text])
    assert len(fake.calls) == len(texts)


async def test_documents_are_neither_remembered_nor_mixed_with_queries() -> None:
    fake = FakeEmbedder()
    embedder = remember(fake)
    await ask(embedder, ["a"], purpose=Purpose.DOCUMENT)
    await ask(embedder, ["a"], purpose=Purpose.DOCUMENT)
    await ask(embedder, ["a"], purpose=Purpose.QUERY)
    await ask(embedder, ["a"], purpose=Purpose.DOCUMENT)
    document, query = Purpose.DOCUMENT, Purpose.QUERY
    assert fake.purposes == [document, document, query, document]


async def test_what_is_remembered_is_forgotten_after_its_time() -> None:
    fake = FakeEmbedder()
    embedder = remember(fake)
    await ask(embedder, ["a"])
    await asyncio.sleep(59)
    await ask(embedder, ["a"])
    assert len(fake.calls) == 1
    await asyncio.sleep(2)  # being asked for does not make it younger
    await ask(embedder, ["a"])
    assert len(fake.calls) == 2


async def test_what_was_not_used_for_the_longest_time_makes_room() -> None:
    fake = FakeEmbedder()
    embedder = remember(fake, max_bytes=2 * (600 + 8 * 4))
    await ask(embedder, ["a"])
    await ask(embedder, ["b"])
    await ask(embedder, ["a"])
    await ask(embedder, ["c"])
    await ask(embedder, ["a"])
    assert fake.calls == [("a",), ("b",), ("c",)]
    await ask(embedder, ["b"])
    assert len(fake.calls) == 4


async def test_no_room_is_no_memory() -> None:
    fake = FakeEmbedder()
    embedder = remember(fake, max_bytes=0)
    await ask(embedder, ["a"])
    await ask(embedder, ["a"])
    assert len(fake.calls) == 2


async def test_a_failure_is_not_remembered() -> None:
    fake = FakeEmbedder(fails(lambda: Unavailable("v", "down")), embeds())
    embedder = remember(fake)
    with pytest.raises(Unavailable):
        await ask(embedder, ["a"])
    assert (await ask(embedder, ["a"])).model == "m"


async def test_what_is_known_answers_while_the_backend_is_down() -> None:
    fake = FakeEmbedder(embeds(), fails(lambda: Unavailable("v", "down")))
    embedder = remember(fake)
    await ask(embedder, ["a"])
    assert (await ask(embedder, ["a"])).model == "m"


@pytest.mark.parametrize("dimension", [8, 4])
async def test_vectors_of_two_models_never_stand_in_one_answer(dimension: int) -> None:
    fake = FakeEmbedder(
        embeds("old"),
        embeds("new", dimension=dimension, usage=Usage(tokens=1)),
        embeds("new", dimension=dimension, usage=Usage(tokens=2)),
    )
    embedder = remember(fake)
    await ask(embedder, ["a"])
    found = await ask(embedder, ["a", "b", "a"])
    assert fake.calls == [("a",), ("b",), ("a", "b")]
    assert found.model == "new"
    assert found.usage == Usage(tokens=3)
    rows = [unit(text, dimension) for text in ("a", "b", "a")]
    assert np.array_equal(found.vectors, rows)


async def test_what_an_old_model_said_is_not_found_any_more() -> None:
    fake = FakeEmbedder(embeds("old"), embeds("new"))
    embedder = remember(fake)
    await ask(embedder, ["a"])
    await ask(embedder, ["b"])
    assert (await ask(embedder, ["a"])).model == "new"
    assert fake.calls == [("a",), ("b",), ("a",)]


async def test_a_model_of_another_dimension_under_the_same_name_is_noticed() -> None:
    fake = FakeEmbedder(embeds(dimension=8), embeds(dimension=4))
    embedder = remember(fake)
    await ask(embedder, ["a"])
    assert (await ask(embedder, ["a", "b"])).dimension == 4


async def test_neither_a_query_nor_its_plain_hash_is_kept() -> None:
    one, other = remember(FakeEmbedder()), remember(FakeEmbedder())
    await ask(one, ["a secret query"])
    await ask(other, ["a secret query"])
    assert set(one._vectors) != set(other._vectors)
    assert b"secret" not in b"".join(one._vectors)


async def test_one_row_does_not_keep_a_whole_answer() -> None:
    embedder = remember(FakeEmbedder())
    await ask(embedder, [str(number) for number in range(50)])
    assert all(vector.base is None for vector in embedder._vectors.values())
