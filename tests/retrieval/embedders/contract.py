"""What every `Embedder` keeps, whoever it is.

Each function is one clause. It takes an embedder that works and answers within a second,
and fails where the clause is broken.
"""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from gateway.retrieval.embedder import Embedder, Purpose
from tests.retrieval.embedders.played import NEVER, ask

Clause = Callable[[Embedder], Awaitable[None]]

TEXTS = (
    "Restoring a backup: stop the service and replay the log.",
    "soup",
    "数据库备份在第二台服务器上。",
    "soup",
    "A failed disk should be replaced before the array is rebuilt.",
    "x",
    "fish on Fridays, vegetable soup on Mondays",
)

BOTH = (Purpose.QUERY, Purpose.DOCUMENT)


async def one_vector_per_text(embedder: Embedder) -> None:
    for purpose in BOTH:
        for count in (1, 2, len(TEXTS)):
            found = await ask(embedder, TEXTS[:count], purpose=purpose)
            assert found.vectors.shape == (count, found.dimension)


async def every_vector_is_of_length_one_in_single_precision(embedder: Embedder) -> None:
    found = await ask(embedder, TEXTS)
    assert found.vectors.dtype == np.float32
    lengths = np.linalg.norm(found.vectors.astype(np.float64), axis=1)
    assert np.abs(lengths - 1).max() < 1e-5


async def nobody_can_write_into_an_answer(embedder: Embedder) -> None:
    found = await ask(embedder, TEXTS)
    with pytest.raises(ValueError, match="read-only"):
        found.vectors[0, 0] = 5.0


async def vectors_are_in_the_order_of_the_texts(embedder: Embedder) -> None:
    forwards = await ask(embedder, TEXTS)
    backwards = await ask(embedder, TEXTS[::-1])
    assert np.array_equal(forwards.vectors, backwards.vectors[::-1])


async def companions_do_not_change_a_vector(embedder: Embedder) -> None:
    together = await ask(embedder, TEXTS, purpose=Purpose.DOCUMENT)
    for place, text in enumerate(TEXTS):
        alone = await ask(embedder, [text], purpose=Purpose.DOCUMENT)
        assert np.array_equal(alone.vectors[0], together.vectors[place])
    assert np.array_equal(together.vectors[1], together.vectors[3])
    assert not np.array_equal(together.vectors[0], together.vectors[1])


async def the_same_question_gets_the_same_answer(embedder: Embedder) -> None:
    first = await ask(embedder, TEXTS)
    again = await ask(embedder, TEXTS)
    assert np.array_equal(first.vectors, again.vectors)
    assert (first.model, first.dimension) == (again.model, again.dimension)


async def the_answer_says_whose_it_is(embedder: Embedder) -> None:
    assert (await ask(embedder, TEXTS)).model


async def a_list_may_be_any_sequence_and_is_not_changed(embedder: Embedder) -> None:
    texts = list(TEXTS)
    found = await ask(embedder, texts)
    assert texts == list(TEXTS)
    assert np.array_equal(found.vectors, (await ask(embedder, tuple(texts))).vectors)


async def no_text_and_a_blank_one_are_mistakes(embedder: Embedder) -> None:
    for purpose in BOTH:
        with pytest.raises(ValueError, match="there is no text"):
            await ask(embedder, [], purpose=purpose)
        for blank in ("", " \n\t", "\u3000"):
            with pytest.raises(ValueError, match="text 1 is blank"):
                await ask(embedder, ["a", blank], purpose=purpose)


async def calls_at_once_do_not_disturb_each_other(embedder: Embedder) -> None:
    alone = [await ask(embedder, [text]) for text in TEXTS]
    together = await asyncio.gather(*(ask(embedder, [text]) for text in TEXTS))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.vectors, other.vectors)


async def a_caller_may_leave_at_any_moment(embedder: Embedder) -> None:
    """Whenever it leaves, nothing goes on, and the next caller is served."""
    before = asyncio.all_tasks()
    for moments in range(12):
        asked = asyncio.ensure_future(
            embedder.embed(
                [f"{moments} {text}" for text in TEXTS],
                purpose=Purpose.QUERY,
                deadline=NEVER,
            )
        )
        for _ in range(moments):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        assert asked.cancelled() or asked.exception() is None
    assert asyncio.all_tasks() == before
    assert len((await ask(embedder, TEXTS)).vectors) == len(TEXTS)


EVERY_EMBEDDER: tuple[Clause, ...] = (
    one_vector_per_text,
    every_vector_is_of_length_one_in_single_precision,
    nobody_can_write_into_an_answer,
    vectors_are_in_the_order_of_the_texts,
    companions_do_not_change_a_vector,
    the_same_question_gets_the_same_answer,
    the_answer_says_whose_it_is,
    a_list_may_be_any_sequence_and_is_not_changed,
    no_text_and_a_blank_one_are_mistakes,
    calls_at_once_do_not_disturb_each_other,
    a_caller_may_leave_at_any_moment,
)
