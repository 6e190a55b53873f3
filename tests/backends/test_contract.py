"""The contract of a `Scorer`, held against each of them."""

from collections.abc import Callable
from functools import partial
from random import Random

import aiohttp
import httpx
import pytest

from gateway.backends.dialects import DIALECTS
from gateway.backends.errors import FailureReason, Unavailable
from gateway.backends.facts import Facts
from gateway.backends.misconfigured import MisconfiguredScorer
from gateway.backends.scorer import Scorer
from gateway.compose import NO_MEMORIES, Leaf, Surroundings, stack
from gateway.layers.balance import Balance, Replica
from gateway.layers.breaker import Breaker
from gateway.layers.budget import Budget
from gateway.layers.chunk import Chunk
from gateway.layers.circuit import Circuit
from gateway.layers.depth import Depth
from gateway.layers.fallback import Fallback
from gateway.layers.hedge import Hedge
from gateway.layers.latency import Latency
from gateway.layers.limit import Limit
from gateway.layers.record import Record
from gateway.layers.retry import Retry
from gateway.layers.shorten import Shorten
from gateway.layers.single_flight import SingleFlight
from gateway.layers.timeout import Timeout
from gateway.ranking.normalize import Scale
from gateway.settings import BackendSettings
from tests.backends import contract
from tests.support.caches import cached
from tests.support.scorers import FakeScorer, after, asking, fails, reads
from tests.support.vendors import WELL_BEHAVED, over, says


def facts(max_documents: int = 2) -> Facts:
    return Facts(max_documents=max_documents, model="m", fixed=True)


def over_http(dialect: str) -> Scorer:
    return over(WELL_BEHAVED[dialect], dialect, model="m", scale=Scale.LOGIT)


def slow() -> Scorer:
    return FakeScorer(after(0.1, reads()))


def whole_stack(leaf: Scorer) -> Scorer:
    return stack(
        Leaf(
            scorers=(leaf,),
            facts=facts(3),
            scale=Scale.LOGIT,
            listwise=False,
            in_flight=2,
            top_k=100,
            top_k_found=100,
            max_tokens=512,
            cuts_pairs=False,
        ),
        name="fake",
        settings=BackendSettings(dialect="simple"),
        around=Surroundings(NO_MEMORIES, Random(7), lambda _: None),
    )


def stack_over_http(dialect: str) -> Scorer:
    return whole_stack(over_http(dialect))


def second_of_two() -> Scorer:
    down = FakeScorer(fails(lambda: Unavailable("down", "refused")))
    return Fallback((down, slow()))


def budget() -> Budget:
    return Budget(share=0.1, initial=1000, most=1000)


def one_of_two() -> Scorer:
    replicas = tuple(
        Replica(name=name, scorer=slow(), is_open=lambda: False) for name in "ab"
    )
    return Balance(replicas, backend="fake", chance=Random(1))


def the_faster_of_two() -> Scorer:
    return Hedge(
        one_of_two(),
        backend="fake",
        delay_s=0.05,
        latency=Latency(quantile=0.95, last=100, enough=20),
        budget=budget(),
        emit=lambda _: None,
    )


def at_the_second_try() -> Scorer:
    refused = fails(lambda: Unavailable("fake", "refused"))
    return Retry(
        FakeScorer(refused, after(0.1, reads())),
        backend="fake",
        most=1,
        pause_s=0.01,
        longest_pause_s=0.01,
        fair_s=0.1,
        budget=budget(),
        chance=Random(1),
        emit=lambda _: None,
    )


def guarded(scorer: Scorer) -> Scorer:
    circuit = Circuit(
        failures_in_row=5,
        failure_rate=0.5,
        window_s=30.0,
        min_calls=20,
        cooldown_s=5.0,
        max_cooldown_s=60.0,
    )
    return Breaker(
        scorer, backend="fake", circuit=circuit, fair_s=0.1, emit=lambda _: None
    )


SCORERS: dict[str, Callable[[], Scorer]] = {
    "fake": FakeScorer,
    "slow fake": slow,
    "timeout": lambda: Timeout(slow(), backend="fake", attempt_s=1, fair_s=0.1),
    "record": lambda: Record(
        slow(), backend="fake", facts=facts(), emit=lambda _: None
    ),
    "limit": lambda: Limit(slow(), backend="fake", in_flight=1, queued=100),
    "breaker": lambda: guarded(slow()),
    "shorten": lambda: Shorten(slow(), max_tokens=512),
    "chunk": lambda: Chunk(slow(), facts=facts(2), reserve_s=0.01),
    "chunk of one": lambda: Chunk(slow(), facts=facts(1), reserve_s=0.01),
    "cache": lambda: cached(slow()),
    "two caches": lambda: cached(cached(slow(), tier="shared")),
    "depth": lambda: Depth(slow(), default=100, default_found=100, most=None),
    "balance": one_of_two,
    "hedge": the_faster_of_two,
    "retry": at_the_second_try,
    "single flight": lambda: SingleFlight(
        slow(), backend="fake", fair_s=0.1, emit=lambda _: None
    ),
    "fallback": second_of_two,
    "stack": lambda: whole_stack(slow()),
    **{f"http {name}": partial(over_http, name) for name in DIALECTS},
    **{f"stack over http {name}": partial(stack_over_http, name) for name in DIALECTS},
}

EVERY_SCORER = pytest.mark.parametrize("make", SCORERS.values(), ids=SCORERS)


def named(clause: contract.Clause) -> str:
    return clause.__name__


@EVERY_SCORER
@pytest.mark.parametrize("clause", contract.EVERY_SCORER, ids=named)
async def test_every_scorer_keeps_the_contract(
    make: Callable[[], Scorer], clause: contract.Clause
) -> None:
    await clause(make())


@EVERY_SCORER
@pytest.mark.parametrize("clause", contract.EVERY_POINTWISE_SCORER, ids=named)
async def test_every_pointwise_scorer_keeps_the_rest_of_it(
    make: Callable[[], Scorer], clause: contract.Clause
) -> None:
    await clause(make())


async def _refuses(_: httpx.Request) -> httpx.Response:
    message = "refused"
    raise aiohttp.ClientConnectionError(message)


FAILING: dict[str, tuple[Scorer, FailureReason]] = {
    "http": (over(_refuses, "tei"), FailureReason.UNAVAILABLE),
    "http with nonsense": (over(says("<html>"), "tei"), FailureReason.MALFORMED),
    "stack": (whole_stack(over(_refuses, "tei")), FailureReason.UNAVAILABLE),
    "fallback": (
        Fallback((over(_refuses, "tei"), over(says({}, 404), "tei"))),
        FailureReason.REJECTED,
    ),
    "misconfigured": (
        MisconfiguredScorer(name="v", problem="environment variable KEY is not set"),
        FailureReason.MISCONFIGURED,
    ),
}


@pytest.mark.parametrize(("scorer", "reason"), FAILING.values(), ids=FAILING)
async def test_a_failure_leaves_every_scorer_as_a_backend_error(
    scorer: Scorer, reason: FailureReason
) -> None:
    error = await contract.failures_are_backend_errors(scorer, asking("1", "2", "3"))
    assert error.reason is reason
