"""The contract of an `Embedder`, held against each of them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import aiohttp
import httpx
import pytest

from gateway.backends.errors import BackendError, FailureReason, Unavailable
from gateway.retrieval.embedder import Embedder
from gateway.retrieval.embedders import DIALECTS
from gateway.retrieval.embedders.batch import Batch
from gateway.retrieval.embedders.local import LocalEmbedder
from gateway.retrieval.embedders.remember import Remember
from gateway.retrieval.embedders.timeout import Timeout
from tests.backends.local.fake_encoder import FakeEncoder
from tests.retrieval.embedders import contract
from tests.retrieval.embedders.played import (
    WELL_BEHAVED,
    FakeEmbedder,
    ask,
    embeds,
    facts,
    fails,
    over,
)
from tests.support.vendors import says


def slow() -> Embedder:
    return FakeEmbedder(embeds(after_s=0.1))


def whole(leaf: Embedder) -> Embedder:
    timed = Timeout(leaf, backend="v", attempt_s=1, fair_s=0.1)
    batched = Batch(timed, backend="v", facts=facts(3), in_flight=2)
    return Remember(batched, max_bytes=100_000, ttl_s=60)


def whole_over_http(dialect: str) -> Embedder:
    return whole(over_http(dialect))


def over_http(dialect: str) -> Embedder:
    return over(WELL_BEHAVED[dialect], dialect, model="m")


EMBEDDERS: dict[str, Callable[[], Embedder]] = {
    "fake": FakeEmbedder,
    "slow fake": slow,
    "timeout": lambda: Timeout(slow(), backend="v", attempt_s=1, fair_s=0.1),
    "batch": lambda: Batch(slow(), backend="v", facts=facts(2), in_flight=2),
    "batch of one": lambda: Batch(slow(), backend="v", facts=facts(1), in_flight=9),
    "remember": lambda: Remember(slow(), max_bytes=100_000, ttl_s=60),
    "remember little": lambda: Remember(slow(), max_bytes=1500, ttl_s=60),
    "remember nothing": lambda: Remember(slow(), max_bytes=0, ttl_s=60),
    "whole": lambda: whole(slow()),
    **{f"http {name}": partial(over_http, name) for name in DIALECTS},
    **{f"whole over {name}": partial(whole_over_http, name) for name in DIALECTS},
}

EVERY_CLAUSE = pytest.mark.parametrize(
    "clause", contract.EVERY_EMBEDDER, ids=lambda clause: str(clause.__name__)
)


@pytest.mark.parametrize("make", EMBEDDERS.values(), ids=EMBEDDERS)
@EVERY_CLAUSE
async def test_every_embedder_keeps_the_contract(
    make: Callable[[], Embedder], clause: contract.Clause
) -> None:
    await clause(make())


@pytest.fixture
def local() -> Iterator[LocalEmbedder]:
    with ExitStack() as stack:
        embedder = LocalEmbedder(name="local", encoder=FakeEncoder(), threads=2)
        stack.callback(embedder.close)
        yield embedder


@pytest.mark.real_time
@EVERY_CLAUSE
async def test_the_local_embedder_keeps_the_contract(
    local: LocalEmbedder, clause: contract.Clause
) -> None:
    await clause(local)


@pytest.mark.real_time
@EVERY_CLAUSE
async def test_the_local_embedder_with_all_around_it_keeps_the_contract(
    local: LocalEmbedder, clause: contract.Clause
) -> None:
    await clause(whole(local))


async def _refuses(_: httpx.Request) -> httpx.Response:
    message = "refused"
    raise aiohttp.ClientConnectionError(message)


FAILING: dict[str, tuple[Embedder, FailureReason]] = {
    "http": (over(_refuses, "tei"), FailureReason.UNAVAILABLE),
    "http with nonsense": (over(says("<html>"), "tei"), FailureReason.MALFORMED),
    "whole": (whole(over(_refuses, "cohere")), FailureReason.UNAVAILABLE),
    "whole, rejected": (whole(over(says({}, 404), "tei")), FailureReason.REJECTED),
    "fake": (
        whole(FakeEmbedder(fails(lambda: Unavailable("v", "down")))),
        FailureReason.UNAVAILABLE,
    ),
}


@pytest.mark.parametrize(("embedder", "reason"), FAILING.values(), ids=FAILING)
async def test_a_failure_leaves_every_embedder_as_a_backend_error(
    embedder: Embedder, reason: FailureReason
) -> None:
    with pytest.raises(BackendError) as raised:
        await ask(embedder, [f"text {number}" for number in range(7)])
    assert raised.value.reason is reason
    assert str(raised.value).startswith("v: ")
