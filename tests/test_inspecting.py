"""What is configured, and does it work?"""

import math
from collections.abc import Awaitable, Callable

import pytest

from gateway.backends.errors import (
    Attempt,
    BackendState,
    FailureReason,
    TimedOut,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer
from gateway.errors import UnknownBackend
from gateway.events import AttemptEnded, BackendSilent
from gateway.inspecting import (
    Configured,
    Inspecting,
    Seen,
    Service,
    ServiceKind,
    Watch,
)
from gateway.layers.timeout import Timeout
from gateway.ranking.normalize import Scale
from tests.support.scorers import FakeScorer, Step, after, answers, fails, hangs, now


def configured(probe: Scorer, *, name: str = "tei") -> Configured:
    return Configured(
        name=name,
        dialect="tei",
        scale=Scale.LOGIT,
        facts=Facts(max_documents=32, model="bge", fixed=True),
        probe=Timeout(probe, backend=name, attempt_s=2.0, fair_s=0.5),
        listwise=False,
        default_top_k=100,
        min_score=None,
        max_tokens=512,
        max_in_flight=16,
        max_queued=256,
        timeout_s=2.0,
        replicas=(name,),
    )


def inspecting(*steps: Step, scale: Scale = Scale.LOGIT) -> tuple[Inspecting, Watch]:
    watch = Watch()
    probe = FakeScorer(*steps, backend="tei", scale=scale)
    return Inspecting(
        backends={"tei": configured(probe)}, services={}, watch=watch
    ), watch


def ended(failure: FailureReason | None, state: BackendState) -> AttemptEnded:
    return AttemptEnded(Attempt("tei", "m", failure, 0.1, 5), "", state)


async def test_a_backend_that_tells_a_panda_from_a_greeting_is_ready() -> None:
    inspect, watch = inspecting(after(0.25, answers(-8.1875, 5.26171875)))
    found = await inspect.check("tei", deadline=None)
    assert found.state is BackendState.READY
    assert found.failure is None
    assert found.model == "fake-model"
    assert found.round_trip_s == pytest.approx(0.25)
    assert watch.seen("tei").state is BackendState.READY


@pytest.mark.parametrize(
    ("raw", "scale", "state", "words"),
    [
        ((1e-20, 1e-20), Scale.LOGIT, BackendState.MISCONFIGURED, "have a head"),
        ((0.0003, 0.9948), Scale.LOGIT, BackendState.MISCONFIGURED, "scale is logit"),
        ((0.0003, 0.9948), Scale.PROBABILITY, BackendState.READY, "a panda from"),
        ((3.0, -2.0), Scale.LOGIT, BackendState.DEGRADED, "prefers a greeting"),
        ((None, 2.0), Scale.LOGIT, BackendState.DEGRADED, "not score every document"),
        ((2.0, None), Scale.LOGIT, BackendState.DEGRADED, "not score every document"),
    ],
)
async def test_numbers_that_make_no_sense_are_noticed(
    raw: tuple[float | None, ...], scale: Scale, state: BackendState, words: str
) -> None:
    inspect, watch = inspecting(answers(*raw), scale=scale)
    found = await inspect.check("tei", deadline=None)
    assert found.state is state
    assert words in found.message
    assert (found.failure is None) is (state is BackendState.READY)
    assert watch.seen("tei").state is state


async def test_a_backend_that_fails_says_why() -> None:
    inspect, watch = inspecting(
        fails(lambda: Unavailable("tei", "it is loading its model", loading=True))
    )
    found = await inspect.check("tei", deadline=None)
    assert found.state is BackendState.LOADING
    assert found.failure is FailureReason.UNAVAILABLE
    assert found.message == "tei: it is loading its model"
    assert watch.seen("tei").last_failure is FailureReason.UNAVAILABLE


@pytest.mark.parametrize(
    ("deadline_s", "after_s", "failure"),
    [
        (None, 2.0, FailureReason.TIMEOUT),
        (0.5, 0.5, FailureReason.DEADLINE),
        (9, 2.0, FailureReason.TIMEOUT),
    ],
)
async def test_a_check_ends_with_the_backends_limit_or_the_callers(
    deadline_s: float | None, after_s: float, failure: FailureReason
) -> None:
    inspect, _ = inspecting(hangs())
    began = now()
    deadline = None if deadline_s is None else began + deadline_s
    found = await inspect.check("tei", deadline=deadline)
    assert now() - began == pytest.approx(after_s)
    assert found.failure is failure
    assert found.round_trip_s == pytest.approx(after_s)


async def test_a_backend_that_is_too_slow_is_not_blamed_on_a_caller_who_has_time() -> (
    None
):
    # On a real clock, time passes between two looks at it.
    probe = FakeScorer(answers(-1.0, 1.0))
    inspect = Inspecting(
        backends={"tei": configured(probe)}, services={}, watch=Watch()
    )
    await inspect.check("tei", deadline=None)
    await inspect.check("tei", deadline=now() + 9)
    assert [each.deadline for each in probe.requests] == [math.inf, now() + 9]


async def test_a_backend_of_another_name_is_unknown() -> None:
    inspect, _ = inspecting(answers(1.0, 2.0))
    with pytest.raises(UnknownBackend, match="there is no backend 'cohere'"):
        await inspect.check("cohere", deadline=None)


async def test_a_list_has_every_backend_by_name_and_asks_none() -> None:
    probes = {name: FakeScorer() for name in ("tei", "cohere", "llama")}
    inspect = Inspecting(
        backends={name: configured(probe, name=name) for name, probe in probes.items()},
        services={},
        watch=Watch(),
    )
    assert [each.configured.name for each in inspect.inspections()] == [
        "cohere",
        "llama",
        "tei",
    ]
    assert all(each.seen == Seen() for each in inspect.inspections())
    assert not any(probe.requests for probe in probes.values())


async def test_calls_are_watched() -> None:
    inspect, watch = inspecting(fails(lambda: TimedOut("tei", 1, had_fair_chance=True)))
    watch(ended(FailureReason.TIMEOUT, BackendState.DEGRADED))
    watch(BackendSilent("tei", "HTTP 404"))
    (inspection,) = inspect.inspections()
    assert inspection.seen.state is BackendState.DEGRADED
    assert inspection.seen.last_failure is FailureReason.TIMEOUT
    assert inspection.seen.last_failure_at is not None


async def test_the_last_failure_is_remembered_after_a_recovery() -> None:
    watch = Watch()
    watch(ended(FailureReason.TIMEOUT, BackendState.DEGRADED))
    watch(ended(None, BackendState.READY))
    seen = watch.seen("tei")
    assert seen.state is BackendState.READY
    assert seen.last_failure is FailureReason.TIMEOUT
    assert watch.seen("cohere") == Seen()


def service(probe: Callable[[float], Awaitable[str]]) -> Inspecting:
    embedder = Service(
        name="embedder",
        kind=ServiceKind.EMBEDDER,
        dialect="tei",
        model="configured",
        timeout_s=1.0,
        probe=probe,
    )
    return Inspecting(
        backends={"tei": configured(FakeScorer())},
        services={"embedder": embedder},
        watch=Watch(),
    )


async def test_what_stage_one_uses_is_listed_and_checked_too() -> None:
    async def answers(deadline: float) -> str:
        assert deadline == math.inf
        return "reported"

    inspect = service(answers)
    names = [each.configured.name for each in inspect.inspections()]
    assert names == ["embedder", "tei"]
    found = await inspect.check("embedder", deadline=None)
    assert (found.state, found.model) == (BackendState.READY, "reported")


async def test_a_service_that_fails_says_why() -> None:
    async def refuses(_: float) -> str:
        raise Unavailable("embedder", "refused")

    inspect = service(refuses)
    found = await inspect.check("embedder", deadline=now() + 1.0)
    assert found.state is BackendState.UNREACHABLE
    assert found.message == "embedder: refused"
    assert inspect.inspections()[0].seen.last_failure is FailureReason.UNAVAILABLE
