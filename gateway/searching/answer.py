"""The answer of a search, from what was done for it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import report
from gateway.contract import Execution, Outcome, StageOutcome
from gateway.ranking import method
from gateway.ranking.candidates import Retrieved
from gateway.searching.contract import Explanation, Result, ScoreKind, Searched
from gateway.searching.course import Course

if TYPE_CHECKING:
    from gateway.ranking.diversity import Marginal


def answer(course: Course, outcome: Outcome, *, now: float) -> Searched:
    """Write the answer as things stand.

    Args:
        course: What was done.
        outcome: Of the reranking, where none has answered.
        now: In event-loop seconds.

    """
    duration_s = now - course.began
    degraded = {StageOutcome.DEGRADED, StageOutcome.FAILED}
    return Searched(
        results=tuple(
            _result(course, place, rank)
            for rank, place in enumerate(
                course.page(course.grouped()), start=course.ask.offset + 1
            )
        ),
        search_method=course.method,
        message=_message(course),
        fallback_triggered=any(each.outcome in degraded for each in course.stages),
        execution=_execution(course, outcome, duration_s),
        version=course.found.version,
    )


def _execution(course: Course, outcome: Outcome, duration_s: float) -> Execution:
    every = range(len(course.found.documents))
    if course.reranked is None:
        return Execution(
            outcome=outcome,
            route=course.ask.rerank.route,
            stages=tuple(course.stages),
            unscored_indexes=tuple(every),
            usage=course.found.usage,
            duration_s=duration_s,
        )
    said = course.reranked
    unscored = {course.asked[place] for place in said.unscored_indexes}
    scored = set(course.asked) - unscored
    return replace(
        said,
        stages=tuple(course.stages),
        unscored_indexes=tuple(each for each in every if each not in scored),
        truncated_indexes=tuple(
            sorted(course.asked[place] for place in said.truncated_indexes)
        ),
        usage=said.usage + course.found.usage,
        duration_s=duration_s,
    )


def _message(course: Course) -> str:
    weight = course.ask.mmr.relevance_weight if course.ask.mmr else None
    said = course.reranked
    words = method.in_words(course.method, relevance_weight=weight)
    if said:
        words = report.with_failures(course.method, words, said)
    return "; ".join((words, *course.found.failures))


def _result(course: Course, place: int, rank: int) -> Result:
    found = course.found.documents[place]
    scored = course.scores.get(place)
    marginal = course.marginals.get(place)
    name = course.found.base
    score, kind = found.score, ScoreKind.RETRIEVAL
    if marginal and not course.mmr_after:
        name += "+mmr"
        score, kind = marginal.score, ScoreKind.MMR
    if scored:
        name += "+rerank"
        score, kind = scored.normalized, ScoreKind.RERANK
    if marginal and course.mmr_after:
        name += "+mmr"
        score, kind = marginal.score, ScoreKind.MMR
    return Result(
        id=found.id,
        index=place,
        rank=rank,
        search_method=name,
        retrieval_score=found.score,
        score=score,
        score_kind=kind,
        raw_score=scored.raw if scored else None,
        rerank_score=scored.normalized if scored else None,
        document=course.documents.get(found.id),
        explanation=_explained(found, marginal),
    )


def _explained(found: Retrieved, marginal: "Marginal | None") -> Explanation:
    return Explanation(
        vector_rank=found.vector_rank,
        bm25_rank=found.bm25_rank,
        vector_score=found.vector_score,
        bm25_score=found.bm25_score,
        vector_term=found.vector_term,
        bm25_term=found.bm25_term,
        marginal=marginal,
    )
