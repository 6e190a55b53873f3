"""From the messages of text-embeddings-inference to ours, and back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.contract import Execution, Reranked
from gateway.errors import InvalidRequest, RerankFailed, Violation
from gateway.rpc.requests import Limits
from gateway.rpc.violations import Violations
from rerank.v1 import document_pb2, options_pb2, rerank_service_pb2
from tei.v1 import tei_pb2

_MOST_TOKENS = 2**32 - 1
_NANOS = 1_000_000_000

_DOCUMENT = re.compile(r"documents\b(?:(\[\d+\])(?:\.\w+)?)?")


@dataclass(slots=True)
class Texts:
    """What is to be ranked, however it came."""

    query: str = ""
    texts: list[str] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    """Of each: it must not be cut."""
    raw_scores: bool = False
    return_text: bool = False
    wrong: Violations = field(default_factory=Violations)

    def add(
        self,
        text: str,
        *,
        truncate: bool,
        direction: tei_pb2.TruncationDirection.ValueType,
    ) -> None:
        """Add a text."""
        place = len(self.texts)
        self.texts.append(text)
        self.whole.append(not truncate)
        if not text or text.isspace():
            self.wrong.add(f"texts[{place}]", "must not be blank: nobody scores it")
        if truncate and direction != tei_pb2.TRUNCATION_DIRECTION_RIGHT:
            self.wrong.add(
                "truncation_direction",
                "must be TRUNCATION_DIRECTION_RIGHT: texts are cut at their end",
            )


def texts_of(message: tei_pb2.RerankRequest, limits: Limits) -> Texts:
    """Take a request apart.

    Raises:
        InvalidRequest: It has too many texts.

    """
    check_count(len(message.texts), limits)
    asked = Texts(
        query=message.query,
        raw_scores=message.raw_scores,
        return_text=message.return_text,
    )
    for text in message.texts:
        asked.add(
            text,
            truncate=message.truncate,
            direction=message.truncation_direction,
        )
    return asked


def check_count(count: int, limits: Limits) -> None:
    """Refuse too many texts, in the words by which callers know what to do about it.

    Raises:
        InvalidRequest: There are.

    """
    if count > limits.max_documents:
        most = limits.max_documents
        words = f"batch size {count} > maximum allowed batch size {most}"
        raise InvalidRequest((Violation("texts", words),))


def in_our_form(asked: Texts, *, route: str) -> rerank_service_pb2.RerankRequest:
    """Ask for the scores of all texts, or for none.

    Raises:
        InvalidRequest: With every violation that the texts alone show.

    """
    if not asked.texts:
        asked.wrong.add("texts", "cannot be empty")
    asked.wrong.check()
    return rerank_service_pb2.RerankRequest(
        query=asked.query,
        documents=[document_pb2.Document(text=text) for text in asked.texts],
        route=route,
        # Whatever the route says: they get all of them, and know no threshold.
        top_k=len(asked.texts),
        min_score=0.0,
        failure_policy=options_pb2.FAILURE_POLICY_FAIL,
    )


def in_their_words(error: InvalidRequest) -> InvalidRequest:
    """Name the fields that a caller of theirs has."""
    return InvalidRequest(
        tuple(
            replace(each, field=_DOCUMENT.sub(r"texts\1", each.field))
            for each in error.violations
        )
    )


def in_their_form(asked: Texts, reranked: Reranked) -> tei_pb2.RerankResponse:
    """Write the ranks, best first, as they do.

    Raises:
        InvalidRequest: A text was cut that must not be.
        RerankFailed: Not every text has a score.

    """
    _check_whole(asked, reranked)
    ranks = []
    for index, _, raw_score, rerank_score in reranked.results:
        score = raw_score if asked.raw_scores else rerank_score
        if score is not None:
            text = asked.texts[index] if asked.return_text else None
            ranks.append(tei_pb2.Rank(index=index, text=text, score=score))
    if len(ranks) < len(asked.texts):
        raise _incomplete(len(ranks), len(asked.texts), reranked.execution)
    execution = reranked.execution
    return tei_pb2.RerankResponse(
        ranks=ranks,
        metadata=tei_pb2.Metadata(
            compute_chars=_characters(asked.query, asked.texts),
            compute_tokens=min(execution.usage.tokens, _MOST_TOKENS),
            total_time_ns=round(execution.duration_s * _NANOS),
        ),
    )


def _check_whole(asked: Texts, reranked: Reranked) -> None:
    cut = [
        Violation(
            f"texts[{index}]",
            "has more tokens than the model takes, and truncate is not set",
        )
        for index in reranked.execution.truncated_indexes
        if asked.whole[index]
    ]
    if cut:
        raise InvalidRequest(tuple(cut))


def _incomplete(scored: int, count: int, execution: Execution) -> RerankFailed:
    reasons = [stage.reason for stage in execution.stages if stage.reason]
    return RerankFailed(
        f"{scored} of {count} texts were scored",
        replace(execution, fallback_reason=reasons[-1] if reasons else None),
        # What there was no time for may succeed; what a backend leaves out, it leaves out.
        transient=bool(reasons),
        retry_after_s=None,
    )


def _characters(query: str, texts: Sequence[str]) -> int:
    """Count as they do: the query once with each text."""
    return len(query) * len(texts) + sum(map(len, texts))
