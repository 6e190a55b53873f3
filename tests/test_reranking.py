"""The use case Rerank, with fake scorers behind its routes."""

import asyncio
from collections.abc import Mapping
from random import Random

import pytest

from gateway.backends.errors import (
    Attempt,
    FailureReason,
    Misconfigured,
    RateLimited,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores, Usage
from gateway.compose import NO_MEMORIES, Leaf, Surroundings, stack
from gateway.contract import Document, Outcome, Rerank, Reranked, StageOutcome
from gateway.errors import RerankFailed, UnknownRoute
from gateway.layers.fallback import Fallback
from gateway.ranking.normalize import Scale
from gateway.reranking import Reranking, Reserve, Route
from gateway.settings import BackendSettings
from tests.support.scorers import (
    FakeScorer,
    Step,
    after,
    answers,
    chooses,
    fails,
    gives,
    hangs,
    now,
    reads,
)

RESERVE = Reserve(share=0.05, least_s=0.02)


def backend(
    leaf: FakeScorer, *, top_k: int = 100, timeout_s: float = 10.0, chunk: int = 32
) -> Scorer:
    return stack(
        Leaf(
            scorers=(leaf,),
            facts=Facts(max_documents=chunk, model=leaf.model, fixed=True),
            scale=leaf.scale,
            listwise=False,
            in_flight=8,
            top_k=top_k,
            top_k_found=top_k,
            max_tokens=None,
            cuts_pairs=False,
            asks_collection=True,
        ),
        name=leaf.backend,
        settings=BackendSettings(dialect="simple", timeout_s=timeout_s, retries=0),
        around=Surroundings(NO_MEMORIES, Random(7), lambda _: None),
    )


def use_case(
    *scorers: Scorer,
    timeout_s: float = 30.0,
    top_k: int | None = None,
    min_score: float | None = None,
    backend_min_scores: Mapping[str, float] | None = None,
    passages: int = 0,
    takes_partial: bool = False,
) -> Reranking:
    route = Route(
        scorer=Fallback(scorers),
        backends=(),
        timeout_s=timeout_s,
        top_k=top_k,
        min_score=min_score,
        backend_min_scores=backend_min_scores or {},
        passages=passages,
        takes_partial=takes_partial,
        cache_ttl_s=None,
    )
    return Reranking(routes={"default": route}, reserve=RESERVE)


def documents(*texts: str) -> tuple[Document, ...]:
    return tuple(Document(text=text) for text in texts)


def indexes(answer: Reranked) -> list[int]:
    return [each.index for each in answer.results]


def down(name: str = "fake") -> Step:
    return fails(lambda: Unavailable(name, "refused"))


# What is asked


async def test_documents_come_back_best_first() -> None:
    answer = await use_case(backend(FakeScorer())).rerank(
        Rerank(query="q", documents=documents("0.5", "-2.0", "3.0"))
    )
    assert indexes(answer) == [2, 0, 1]
    assert [each.raw_score for each in answer.results] == [3.0, 0.5, -2.0]


async def test_blank_documents_are_never_sent_and_stand_below() -> None:
    leaf = FakeScorer()
    answer = await use_case(backend(leaf)).rerank(
        Rerank(query="q", documents=documents("", "1", " \n\t", "2"))
    )
    assert [each.text for each in leaf.requests[0].documents] == ["1", "2"]
    assert [each.rank for each in leaf.requests[0].documents] == [2, 4]
    assert indexes(answer) == [3, 1, 0, 2]
    assert answer.execution.outcome is Outcome.RERANKED
    assert answer.execution.unscored_indexes == (0, 2)
    assert not answer.fallback_triggered


async def test_a_model_reads_the_title_before_the_text() -> None:
    leaf = FakeScorer()
    await use_case(backend(leaf)).rerank(
        Rerank(
            query="q",
            documents=(
                Document(title="Disks", text="fail"),
                Document(title="Disks"),
                Document(text="fail"),
            ),
        )
    )
    assert [each.text for each in leaf.requests[0].documents] == [
        "Disks\nfail",
        "Disks\n",
        "fail",
    ]


async def test_everything_that_a_scorer_may_use_reaches_it() -> None:
    leaf = FakeScorer()
    await use_case(backend(leaf)).rerank(
        Rerank(
            query="why",
            query_embedding=(1.0, 0.0),
            instruction="judge well",
            documents=(Document(text="1", embedding=(0.0, 1.0)),),
        )
    )
    (request,) = leaf.requests
    assert request.query == "why"
    assert request.query_embedding == (1.0, 0.0)
    assert request.instruction == "judge well"
    assert request.documents[0].embedding == (0.0, 1.0)


@pytest.mark.parametrize("texts", [(), ("", "  ")])
async def test_nothing_to_score_is_answered_without_asking_anybody(
    texts: tuple[str, ...],
) -> None:
    leaf = FakeScorer()
    answer = await use_case(backend(leaf)).rerank(
        Rerank(query="q", documents=documents(*texts), found_by="vector", min_score=0.5)
    )
    assert not leaf.requests
    assert indexes(answer) == list(range(len(texts)))
    assert answer.search_method == "vector"
    assert answer.message == "Vector similarity search (cosine)"
    assert not answer.fallback_triggered
    assert answer.execution.outcome is Outcome.NOTHING_TO_SCORE
    assert answer.execution.unscored_indexes == tuple(range(len(texts)))
    assert [each.outcome for each in answer.execution.stages] == [StageOutcome.SKIPPED]
    assert not answer.execution.min_score_applied


async def test_an_unknown_route_is_an_error_even_without_documents() -> None:
    with pytest.raises(UnknownRoute, match="there is no route 'legal'"):
        await use_case().rerank(Rerank(query="q", documents=(), route="legal"))


@pytest.mark.parametrize(
    ("asked", "of_route", "of_backend", "scored"),
    [(2, 3, 4, 2), (None, 3, 4, 3), (None, None, 4, 4), (99, 3, 4, 5)],
)
async def test_top_k_is_the_callers_else_the_routes_else_the_backends(
    asked: int | None, of_route: int | None, of_backend: int, scored: int
) -> None:
    leaf = FakeScorer()
    answer = await use_case(backend(leaf, top_k=of_backend), top_k=of_route).rerank(
        Rerank(query="q", documents=documents(*"12345"), top_k=asked)
    )
    assert leaf.sizes == [scored]
    assert answer.execution.scored_count == scored
    assert answer.execution.unscored_indexes == tuple(range(scored, 5))
    assert answer.execution.outcome is Outcome.RERANKED
    best_first = list(range(scored - 1, -1, -1))
    assert indexes(answer) == best_first + list(range(scored, 5))


async def test_blank_documents_do_not_count_for_top_k() -> None:
    leaf = FakeScorer()
    await use_case(backend(leaf)).rerank(
        Rerank(query="q", documents=documents("", "1", "2", "3"), top_k=2)
    )
    assert [each.text for each in leaf.requests[0].documents] == ["1", "2"]


# What comes back


@pytest.mark.parametrize(("top_n", "kept"), [(0, 3), (1, 1), (2, 2), (99, 3)])
async def test_top_n_cuts_the_answer_and_not_the_question(
    top_n: int, kept: int
) -> None:
    leaf = FakeScorer()
    answer = await use_case(backend(leaf)).rerank(
        Rerank(query="q", documents=documents("1", "2", "3"), top_n=top_n)
    )
    assert leaf.sizes == [3]
    assert indexes(answer) == [2, 1, 0][:kept]
    assert answer.execution.scored_count == 3


async def test_top_n_cuts_an_answer_that_fell_back_too() -> None:
    answer = await use_case(backend(FakeScorer(down()))).rerank(
        Rerank(query="q", documents=documents("1", "2", "3"), top_n=2)
    )
    assert indexes(answer) == [0, 1]


@pytest.mark.parametrize(
    ("asked", "of_backend", "of_route", "kept"),
    [
        (0.9, 0.5, 0.1, [0]),
        (0.0, 0.5, 0.9, [0, 1, 2]),
        (None, 0.5, 0.1, [0, 1]),
        (None, 0.0, 0.9, [0, 1, 2]),
        (None, None, 0.9, [0]),
    ],
)
async def test_min_score_is_the_callers_else_the_backends_else_the_routes(
    asked: float | None,
    of_backend: float | None,
    of_route: float | None,
    kept: list[int],
) -> None:
    leaf = FakeScorer(scale=Scale.PROBABILITY)
    own = {} if of_backend is None else {"fake": of_backend}
    reranking = use_case(
        backend(leaf), min_score=of_route, backend_min_scores={"other": 1.0, **own}
    )
    answer = await reranking.rerank(
        Rerank(query="q", documents=documents("0.95", "0.6", "0.2"), min_score=asked)
    )
    assert indexes(answer) == kept
    assert answer.execution.min_score_applied
    assert answer.execution.scored_count == 3


async def test_without_a_threshold_nothing_is_removed() -> None:
    answer = await use_case(backend(FakeScorer())).rerank(
        Rerank(query="q", documents=documents("-900", "", "-901"))
    )
    assert indexes(answer) == [0, 2, 1]
    assert not answer.execution.min_score_applied


async def test_a_threshold_removes_unscored_documents_too() -> None:
    answer = await use_case(backend(FakeScorer())).rerank(
        Rerank(query="q", documents=documents("5", "", "4"), top_k=1, min_score=0.0)
    )
    assert indexes(answer) == [0]


async def test_an_answer_that_a_threshold_empties_is_an_answer() -> None:
    answer = await use_case(backend(FakeScorer())).rerank(
        Rerank(query="q", documents=documents("-9", "-8"), min_score=0.5)
    )
    assert answer.results == ()
    assert answer.execution.outcome is Outcome.RERANKED
    assert not answer.fallback_triggered


async def test_a_relative_scale_has_no_threshold() -> None:
    leaf = FakeScorer(scale=Scale.RELATIVE)
    answer = await use_case(backend(leaf), min_score=0.9).rerank(
        Rerank(query="q", documents=documents("-2", "-1"), min_score=0.99)
    )
    assert indexes(answer) == [1, 0]
    assert not answer.execution.min_score_applied


async def test_a_fallback_has_no_threshold() -> None:
    answer = await use_case(backend(FakeScorer(down()))).rerank(
        Rerank(query="q", documents=documents("1", "2"), min_score=0.99)
    )
    assert indexes(answer) == [0, 1]
    assert not answer.execution.min_score_applied


@pytest.mark.parametrize(("step", "kept"), [(None, [4, 3]), (down(), [0, 1])])
async def test_only_so_many_of_a_group_come_back_whoever_ordered_them(
    step: Step | None, kept: list[int]
) -> None:
    leaf = FakeScorer(step) if step else FakeScorer()
    answer = await use_case(backend(leaf)).rerank(
        Rerank(
            query="q",
            documents=tuple(
                Document(text=text, group_id=group)
                for text, group in zip("12345", "ababa", strict=True)
            ),
            max_per_group=1,
        )
    )
    assert indexes(answer) == kept
    assert [each.rank for each in answer.results] == [1, 2]


# What is told


async def test_an_answer_tells_who_scored_and_at_what_cost() -> None:
    scores = Scores(
        raw=(1.0, 2.0),
        scale=Scale.LOGIT,
        backend="fake",
        model="bge",
        truncated=frozenset({1}),
        usage=Usage(search_units=1.0, tokens=70),
    )
    leaf = FakeScorer(after(0.25, gives(scores)))
    answer = await use_case(backend(leaf)).rerank(
        Rerank(query="q", documents=documents("", "a", "b"), found_by="rrf_hybrid")
    )
    told = answer.execution
    assert answer.search_method == "rrf_hybrid+rerank"
    assert answer.tail_method == "rrf_hybrid"
    assert answer.message == "RRF + Cross-Encoder Reranking"
    assert (told.route, told.backend, told.model) == ("default", "fake", "bge")
    assert told.fallback_reason is None
    assert told.usage == Usage(search_units=1.0, tokens=70)
    assert told.truncated_indexes == (2,)
    assert told.duration_s == pytest.approx(0.25)
    (stage,) = told.stages
    assert (stage.name, stage.outcome, stage.reason) == (
        "rerank",
        StageOutcome.OK,
        None,
    )
    assert [each.failure for each in told.attempts] == [None]


async def test_without_a_word_on_how_they_were_found_the_method_is_rerank() -> None:
    answer = await use_case(backend(FakeScorer())).rerank(
        Rerank(query="q", documents=documents("1"))
    )
    assert answer.search_method == "rerank"
    assert answer.tail_method == "input_order"
    assert answer.message == "Cross-Encoder Reranking"


async def test_documents_that_a_model_could_not_score_make_the_answer_partial() -> None:
    leaf = FakeScorer(answers(1.0, None, 2.0))
    answer = await use_case(backend(leaf)).rerank(
        Rerank(query="q", documents=documents("a", "b", "c", "d"), top_k=3)
    )
    assert indexes(answer) == [2, 0, 1, 3]
    assert answer.execution.outcome is Outcome.PARTIALLY_RERANKED
    assert answer.execution.unscored_indexes == (1, 3)
    assert answer.execution.stages[0].outcome is StageOutcome.DEGRADED
    assert answer.fallback_triggered
    assert answer.search_method == "rerank"


async def test_the_order_received_stands_when_no_backend_scores() -> None:
    leaf = FakeScorer(
        after(0.8, fails(lambda: TimedOut("tei", 0.8, had_fair_chance=True))),
        backend="tei",
    )
    answer = await use_case(backend(leaf)).rerank(
        Rerank(query="q", documents=documents("1", "2"), found_by="rrf_hybrid")
    )
    told = answer.execution
    assert indexes(answer) == [0, 1]
    assert all(each.rerank_score is None for each in answer.results)
    assert answer.search_method == answer.tail_method == "rrf_hybrid"
    assert answer.message == "RRF only: reranking fell back (tei: TIMEOUT after 0.80 s)"
    assert answer.fallback_triggered
    assert told.outcome is Outcome.FELL_BACK
    assert told.fallback_reason is FailureReason.TIMEOUT
    assert (told.backend, told.model, told.scored_count) == ("", "", 0)
    assert told.unscored_indexes == (0, 1)
    assert told.stages[0].outcome is StageOutcome.FAILED
    assert told.stages[0].reason is FailureReason.TIMEOUT
    assert told.duration_s == pytest.approx(0.8)


async def test_a_fallback_names_every_backend_that_was_tried() -> None:
    first = FakeScorer(after(0.5, down("tei")), backend="tei")
    second = FakeScorer(
        fails(lambda: RateLimited("cohere", "HTTP 429")), backend="cohere"
    )
    answer = await use_case(backend(first), backend(second)).rerank(
        Rerank(query="q", documents=documents("1"))
    )
    assert answer.message == (
        "Order received only: reranking fell back"
        " (tei: UNAVAILABLE after 0.50 s; cohere: RATE_LIMITED after 0.00 s)"
    )
    assert answer.execution.fallback_reason is FailureReason.RATE_LIMITED
    assert [each.backend for each in answer.execution.attempts] == ["tei", "cohere"]


async def test_an_answer_of_the_second_backend_tells_of_the_first() -> None:
    first = FakeScorer(after(0.5, down("tei")), backend="tei")
    second = FakeScorer(backend="cohere", model="rerank-v3.5")
    answer = await use_case(backend(first), backend(second)).rerank(
        Rerank(query="q", documents=documents("1", "2"), found_by="rrf_hybrid")
    )
    told = answer.execution
    assert indexes(answer) == [1, 0]
    assert answer.message == (
        "RRF + Cross-Encoder Reranking (cohere, after tei: UNAVAILABLE after 0.50 s)"
    )
    assert answer.fallback_triggered
    assert told.outcome is Outcome.RERANKED
    assert (told.backend, told.model) == ("cohere", "rerank-v3.5")
    assert told.fallback_reason is None
    assert told.stages[0].outcome is StageOutcome.DEGRADED
    assert told.stages[0].reason is FailureReason.UNAVAILABLE
    assert [(each.backend, each.failure) for each in told.attempts] == [
        ("tei", FailureReason.UNAVAILABLE),
        ("cohere", None),
    ]


async def test_the_threshold_is_that_of_the_backend_that_answered() -> None:
    first = FakeScorer(down("tei"), backend="tei")
    second = FakeScorer(backend="cohere", scale=Scale.PROBABILITY)
    reranking = use_case(
        backend(first),
        backend(second),
        min_score=0.0,
        backend_min_scores={"tei": 0.0, "cohere": 0.5},
    )
    answer = await reranking.rerank(
        Rerank(query="q", documents=documents("0.6", "0.4"))
    )
    assert indexes(answer) == [0]


async def test_a_call_that_was_cured_by_its_own_backend_degrades_nothing() -> None:
    cured = Attempt("fake", "m", FailureReason.TOO_LARGE, 0.1, 2)

    class Cured:
        async def score(self, _: object) -> Scores:
            return FakeScorer().scores(1.0, 2.0).with_attempts(cured)

    answer = await use_case(Cured()).rerank(
        Rerank(query="q", documents=documents("1", "2"))
    )
    assert answer.execution.stages[0].outcome is StageOutcome.OK
    assert answer.message == "Cross-Encoder Reranking"
    assert not answer.fallback_triggered
    assert answer.execution.attempts == (cured,)


async def test_a_backend_that_cannot_be_asked_is_told_of() -> None:
    class Unset:
        async def score(self, _: object) -> Scores:
            raise Misconfigured("cohere", "environment variable KEY is not set")

    answer = await use_case(Unset()).rerank(Rerank(query="q", documents=documents("1")))
    assert answer.execution.fallback_reason is FailureReason.MISCONFIGURED
    assert [each.backend for each in answer.execution.attempts] == ["cohere"]


# In time


@pytest.mark.parametrize(
    ("timeout_s", "deadline_s", "given_s"),
    [
        (None, None, 30.0),  # the route's
        (3.0, None, 3.0),  # the caller's replaces it
        (90.0, None, 90.0),  # also by a longer one
        (None, 10.0, 9.5),  # five per cent of the deadline are kept
        (None, 0.2, 0.18),  # at least twenty milliseconds
        (3.0, 10.0, 3.0),
        (3.0, 2.0, 1.9),
        (None, 60.0, 30.0),
    ],
)
async def test_scoring_gets_what_the_caller_has_less_what_the_way_back_takes(
    timeout_s: float | None, deadline_s: float | None, given_s: float
) -> None:
    leaf = FakeScorer()
    began = now()
    await use_case(backend(leaf)).rerank(
        Rerank(
            query="q",
            documents=documents("1"),
            timeout_s=timeout_s,
            deadline=None if deadline_s is None else began + deadline_s,
        )
    )
    assert leaf.requests[0].deadline - began == pytest.approx(given_s)


async def test_an_answer_leaves_before_the_callers_deadline() -> None:
    began = now()
    answer = await use_case(backend(FakeScorer(hangs()))).rerank(
        Rerank(query="q", documents=documents("1", "2"), deadline=began + 1.0)
    )
    assert now() - began == pytest.approx(0.95)
    assert answer.execution.fallback_reason is FailureReason.DEADLINE
    assert indexes(answer) == [0, 1]


async def test_a_deadline_with_nothing_left_is_answered_at_once() -> None:
    leaf = FakeScorer()
    began = now()
    answer = await use_case(backend(leaf)).rerank(
        Rerank(query="q", documents=documents("1"), deadline=began + 0.01)
    )
    assert now() == began
    assert not leaf.requests
    assert answer.execution.fallback_reason is FailureReason.DEADLINE


async def test_one_attempt_takes_no_longer_than_its_backend_may() -> None:
    began = now()
    answer = await use_case(backend(FakeScorer(hangs()), timeout_s=2.0)).rerank(
        Rerank(query="q", documents=documents("1"))
    )
    assert now() - began == pytest.approx(2.0)
    assert answer.execution.fallback_reason is FailureReason.TIMEOUT


async def test_a_caller_who_leaves_takes_the_call_along() -> None:
    leaf = FakeScorer(hangs())
    asked = asyncio.create_task(
        use_case(backend(leaf)).rerank(Rerank(query="q", documents=documents("1")))
    )
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(leaf.cancelled) == 1


# Under FAIL


async def test_a_caller_who_wants_no_other_order_gets_an_error() -> None:
    wait = fails(lambda: RateLimited("fake", "HTTP 429", retry_after_s=7.0))
    with pytest.raises(RerankFailed) as raised:
        await use_case(backend(FakeScorer(wait))).rerank(
            Rerank(query="q", documents=documents("1"), keep_order=False)
        )
    error = raised.value
    assert error.transient
    assert error.retry_after_s == 7.0
    assert error.execution.outcome is Outcome.FELL_BACK
    assert error.execution.fallback_reason is FailureReason.RATE_LIMITED
    assert str(error) == (
        "Order received only: reranking fell back (fake: RATE_LIMITED after 0.00 s)"
    )


async def test_a_failure_for_good_is_not_called_transient() -> None:
    unpaid = fails(lambda: Unauthenticated("fake", "HTTP 402"))
    with pytest.raises(RerankFailed) as raised:
        await use_case(backend(FakeScorer(unpaid))).rerank(
            Rerank(query="q", documents=documents("1"), keep_order=False)
        )
    assert not raised.value.transient


async def test_a_caller_who_wants_no_other_order_still_gets_scores() -> None:
    answer = await use_case(backend(FakeScorer())).rerank(
        Rerank(query="q", documents=documents("1", "2"), keep_order=False)
    )
    assert indexes(answer) == [1, 0]


async def test_where_the_time_is_over_the_first_ones_are_ranked_if_a_part_is_taken() -> (
    None
):
    def slow_from_the_third_on(request: ScoreRequest) -> Step:
        return hangs() if request.documents[0].text == "7" else reads()

    leaf = FakeScorer(chooses(slow_from_the_third_on))
    ask = Rerank(query="q", documents=documents("1", "3", "7", "9"), timeout_s=2.0)
    answer = await use_case(backend(leaf, chunk=2), takes_partial=True).rerank(ask)
    assert answer.execution.outcome is Outcome.PARTIALLY_RERANKED
    assert indexes(answer) == [1, 0, 2, 3]
    assert [each.raw_score is None for each in answer.results] == [
        False,
        False,
        True,
        True,
    ]
    assert answer.execution.unscored_indexes == (2, 3)
    assert answer.fallback_triggered
    (stage,) = answer.execution.stages
    assert stage.outcome is StageOutcome.DEGRADED
    assert stage.reason is FailureReason.DEADLINE
    whole = await use_case(backend(leaf, chunk=2)).rerank(ask)
    assert whole.execution.outcome is Outcome.FELL_BACK


async def test_who_calls_is_told_to_those_who_share_things_out() -> None:
    leaf = FakeScorer()
    await use_case(backend(leaf)).rerank(
        Rerank(query="q", documents=documents("1"), caller="team-a")
    )
    assert leaf.requests[0].caller == "team-a"
