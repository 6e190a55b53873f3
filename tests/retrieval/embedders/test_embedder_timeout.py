"""Giving an embedder only so long to answer."""

import asyncio

import pytest

from gateway.backends.errors import OutOfTime, TimedOut
from gateway.retrieval.embedder import Embedder
from gateway.retrieval.embedders.batch import Batch
from gateway.retrieval.embedders.timeout import Timeout
from tests.retrieval.embedders.played import (
    FakeEmbedder,
    ask,
    embeds,
    facts,
    texts_for,
)


def timeout(embedder: Embedder) -> Timeout:
    return Timeout(embedder, backend="v", attempt_s=2.0, fair_s=0.5)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_who_answers_in_time_is_not_disturbed() -> None:
    embedder = timeout(FakeEmbedder(embeds(after_s=1.9)))
    assert (await ask(embedder, ["a"])).model == "m"


async def test_an_attempt_ends_at_the_limit_of_the_backend() -> None:
    fake = FakeEmbedder(embeds(after_s=2.1))
    began = now()
    with pytest.raises(TimedOut, match=r"v: no answer in 2\.00 s") as raised:
        await ask(timeout(fake), ["a"])
    assert type(raised.value) is TimedOut
    assert raised.value.blames_backend
    assert now() - began == pytest.approx(2.0)
    assert fake.cancelled == 1


@pytest.mark.parametrize(("left_s", "blamed"), [(1.0, True), (0.4, False)])
async def test_an_attempt_ends_with_the_time_of_the_caller(
    left_s: float, *, blamed: bool
) -> None:
    began = now()
    with pytest.raises(OutOfTime) as raised:
        await ask(
            timeout(FakeEmbedder(embeds(after_s=9))), ["a"], deadline=began + left_s
        )
    assert raised.value.blames_backend is blamed
    assert now() - began == pytest.approx(left_s)


async def test_a_limit_that_is_shared_out_evenly_is_still_the_backends_own() -> None:
    with pytest.raises(TimedOut) as raised:
        await ask(
            timeout(FakeEmbedder(embeds(after_s=9))), ["a"], deadline=now() + 1.9999
        )
    assert type(raised.value) is TimedOut


@pytest.mark.parametrize("left_s", [0.004, 0.0, -5.0])
async def test_who_has_no_time_left_asks_nobody(left_s: float) -> None:
    fake = FakeEmbedder()
    with pytest.raises(OutOfTime):
        await ask(timeout(fake), ["a"], deadline=now() + left_s)
    assert not fake.calls


async def test_the_limit_is_for_one_batch_and_the_deadline_for_all() -> None:
    fake = FakeEmbedder(embeds(after_s=1.5))
    embedder = Batch(timeout(fake), backend="v", facts=facts(1), in_flight=1)
    await ask(embedder, texts_for(4))
    began = now()
    with pytest.raises(OutOfTime):
        await ask(embedder, texts_for(4), deadline=began + 4.0)
    assert now() - began == pytest.approx(4.0)


async def test_a_timeout_of_somebody_else_passes() -> None:
    async def raises(*_: object) -> None:
        raise TimeoutError

    embedder = timeout(FakeEmbedder(raises))  # type: ignore[arg-type]  # it never gives
    with pytest.raises(TimeoutError):
        await ask(embedder, ["a"])
