"""Splitting a list of texts that is longer than its backend takes."""

import asyncio

import numpy as np
import pytest

from gateway.backends.errors import Excess, Malformed, TooLarge, Unavailable
from gateway.backends.scorer import Usage
from gateway.retrieval.embedder import Embedder, Purpose
from gateway.retrieval.embedders.batch import Batch
from tests.retrieval.embedders.played import (
    FakeEmbedder,
    ask,
    embeds,
    facts,
    fails,
    takes_at_most,
    texts_for,
    unit,
)


def batch(embedder: Embedder, size: int = 3, in_flight: int = 2) -> Batch:
    return Batch(embedder, backend="v", facts=facts(size), in_flight=in_flight)


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, [1]), (3, [3]), (4, [3, 1]), (9, [3, 3, 3])]
)
async def test_a_call_brings_as_many_texts_as_the_backend_takes(
    count: int, sizes: list[int]
) -> None:
    fake = FakeEmbedder()
    await ask(batch(fake), texts_for(count))
    assert fake.sizes == sizes


async def test_no_bound_is_one_call() -> None:
    fake = FakeEmbedder()
    await ask(batch(fake, size=0), texts_for(500))
    assert fake.sizes == [500]


async def test_vectors_stand_in_order_whichever_batch_is_answered_first() -> None:
    fake = FakeEmbedder(*(embeds(after_s=after) for after in (3, 1, 2)))
    found = await ask(batch(fake, in_flight=3), texts_for(9))
    assert np.array_equal(found.vectors, [unit(text) for text in texts_for(9)])


async def test_only_so_many_batches_are_asked_at_once() -> None:
    fake = FakeEmbedder(embeds(after_s=1))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await ask(batch(fake, size=1, in_flight=4), texts_for(10))
    assert fake.most_running == 4
    assert loop.time() - began == pytest.approx(3)


async def test_one_failure_cancels_the_others_and_begins_no_more() -> None:
    fake = FakeEmbedder(
        embeds(after_s=5),
        fails(lambda: Unavailable("v", "down"), after_s=1),
        embeds(after_s=5),
    )
    with pytest.raises(Unavailable):
        await ask(batch(fake, in_flight=2), texts_for(30))
    assert len(fake.calls) == 2
    assert fake.cancelled == 1
    assert fake.running == 0


async def test_every_batch_has_the_purpose_and_the_deadline_of_the_whole() -> None:
    fake = FakeEmbedder()
    await ask(batch(fake), texts_for(7), purpose=Purpose.DOCUMENT, deadline=1234.5)
    assert fake.purposes == [Purpose.DOCUMENT] * 3
    assert fake.deadlines == [1234.5] * 3


async def test_what_the_batches_cost_is_added_up() -> None:
    fake = FakeEmbedder(embeds(usage=Usage(tokens=5)))
    assert (await ask(batch(fake), texts_for(7))).usage == Usage(tokens=15)


async def test_vectors_of_two_models_are_not_joined() -> None:
    fake = FakeEmbedder(embeds("one"), embeds("other"))
    with pytest.raises(Malformed, match=r"v: .* name different models"):
        await ask(batch(fake), texts_for(6))


async def test_vectors_of_two_dimensions_are_not_joined() -> None:
    fake = FakeEmbedder(embeds(dimension=8), embeds(dimension=4))
    with pytest.raises(Malformed, match="v: vectors of 8 and of 4 numbers"):
        await ask(batch(fake), texts_for(6))


async def test_a_blank_text_is_refused_before_anybody_is_asked() -> None:
    fake = FakeEmbedder()
    with pytest.raises(ValueError, match="text 6 is blank"):
        await ask(batch(fake), [*texts_for(6), ""])
    assert not fake.calls


async def test_a_bound_that_the_backend_names_is_learned() -> None:
    fake = FakeEmbedder(
        takes_at_most(
            4, lambda given: TooLarge("v", Excess.DOCUMENTS, given=given, limit=4)
        )
    )
    known = facts(32, fixed=False)
    embedder = Batch(fake, backend="v", facts=known, in_flight=2)
    found = await ask(embedder, texts_for(10))
    assert np.array_equal(found.vectors, [unit(text) for text in texts_for(10)])
    assert fake.sizes == [10, 4, 4, 2]
    assert known.max_documents == 4


async def test_a_body_that_is_too_large_is_halved() -> None:
    fake = FakeEmbedder(takes_at_most(2, lambda _: TooLarge("v", Excess.BYTES)))
    found = await ask(batch(fake, size=8), texts_for(8))
    assert np.array_equal(found.vectors, [unit(text) for text in texts_for(8)])
    assert fake.sizes == [8, 4, 2, 2, 4, 2, 2]


@pytest.mark.parametrize("excess", Excess)
async def test_one_text_that_is_too_large_is_not_split(excess: Excess) -> None:
    fake = FakeEmbedder(fails(lambda: TooLarge("v", excess)))
    with pytest.raises(TooLarge):
        await ask(batch(fake), ["a"])
    assert fake.sizes == [1]


async def test_splitting_does_not_help_a_text_that_is_too_long() -> None:
    fake = FakeEmbedder(fails(lambda: TooLarge("v", Excess.TOKENS)))
    with pytest.raises(TooLarge):
        await ask(batch(fake), texts_for(3))
    assert fake.sizes == [3]
