"""From the messages of text-embeddings-inference to ours, and back."""

import pytest

from gateway.backends.errors import FailureReason
from gateway.contract import Execution, Outcome, Reranked, Stage, StageOutcome
from gateway.errors import InvalidRequest, RerankFailed, Violation
from gateway.ranking.answer import Placed
from gateway.rpc.refusal import to_refusal
from gateway.rpc.tei_messages import (
    Texts,
    in_our_form,
    in_their_form,
    in_their_words,
)
from rerank.v1 import options_pb2
from tei.v1 import tei_pb2

_RIGHT = tei_pb2.TRUNCATION_DIRECTION_RIGHT


def texts(*, truncate: bool = True, raw_scores: bool = False) -> Texts:
    asked = Texts(query="query", raw_scores=raw_scores)
    for text in ("a", "b", "ü"):
        asked.add(text, truncate=truncate, direction=_RIGHT)
    return asked


def reranked(
    *scores: float | None,
    reason: FailureReason | None = None,
    truncated: tuple[int, ...] = (),
) -> Reranked:
    """Answer with these as raw scores, and half of them as normalised ones."""
    return Reranked(
        results=tuple(
            Placed(index, index + 1, score, None if score is None else score / 2)
            for index, score in enumerate(scores)
        ),
        search_method="rerank",
        tail_method="input_order",
        message="",
        fallback_triggered=reason is not None,
        execution=Execution(
            outcome=Outcome.PARTIALLY_RERANKED,
            route="default",
            backend="tei",
            duration_s=0.25,
            stages=(
                Stage(
                    name="rerank",
                    outcome=StageOutcome.DEGRADED,
                    duration_s=0.25,
                    reason=reason,
                ),
            ),
            truncated_indexes=truncated,
        ),
    )


def test_all_scores_are_wanted_or_none() -> None:
    ours = in_our_form(texts(), route="r")
    assert [each.text for each in ours.documents] == ["a", "b", "ü"]
    assert (ours.query, ours.route, ours.top_k, ours.min_score) == ("query", "r", 3, 0)
    assert ours.failure_policy == options_pb2.FAILURE_POLICY_FAIL


def test_scores_are_the_normalised_ones_or_those_of_the_model() -> None:
    answer = reranked(0.75, 0.5, 0.0)
    normalised = in_their_form(texts(), answer)
    raw = in_their_form(texts(raw_scores=True), answer)
    assert [each.score for each in normalised.ranks] == [0.375, 0.25, 0.0]
    assert [each.score for each in raw.ranks] == [0.75, 0.5, 0.0]
    assert raw.metadata.compute_chars == 3 * len("query") + 3
    assert raw.metadata.total_time_ns == 250_000_000


@pytest.mark.parametrize(
    ("reason", "code", "told"),
    [
        (FailureReason.DEADLINE, "UNAVAILABLE", "DEADLINE"),
        (None, "FAILED_PRECONDITION", ""),
    ],
)
@pytest.mark.parametrize("scores", [(0.5, 0.25, None), (0.5, 0.25)])
def test_a_text_without_a_score_is_no_answer(
    scores: tuple[float | None, ...],
    reason: FailureReason | None,
    code: str,
    told: str,
) -> None:
    with pytest.raises(RerankFailed, match=r"^2 of 3 texts were scored$") as raised:
        in_their_form(texts(), reranked(*scores, reason=reason))
    refusal = to_refusal(raised.value)
    assert refusal.code.name == code
    assert refusal.metadata["fallback_reason"] == told
    assert refusal.metadata["backend"] == "tei"


def test_a_text_is_cut_only_where_that_is_allowed() -> None:
    answer = reranked(0.5, 0.25, 0.0, truncated=(1,))
    assert len(in_their_form(texts(), answer).ranks) == 3
    with pytest.raises(InvalidRequest) as raised:
        in_their_form(texts(truncate=False), answer)
    assert [each.field for each in raised.value.violations] == ["texts[1]"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("documents[17].text", "texts[17]"),
        ("documents[0].id", "texts[0]"),
        ("documents", "texts"),
        ("query", "query"),
    ],
)
def test_fields_have_the_names_that_callers_know(ours: str, theirs: str) -> None:
    error = in_their_words(InvalidRequest((Violation(ours, "is wrong"),)))
    assert error.violations == (Violation(theirs, "is wrong"),)
