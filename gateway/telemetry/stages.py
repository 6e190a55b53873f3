"""The stages before the rerank, as spans and as numbers: retrieval, and MMR."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from opentelemetry.util.types import AttributeValue

from gateway.contract import Stage, StageOutcome
from gateway.telemetry import semconv
from gateway.telemetry.content import Content
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.results import add_document, name, paths
from gateway.telemetry.spans import Open, Spans

if TYPE_CHECKING:
    from gateway.searching.finding import Candidates

_RETRIEVE = "retrieve"
_MMR = "diversify mmr"
_DOCUMENTS = paths(semconv.RETRIEVED)


class RetrievalWatch:
    """Watches stage 1 of a search.

    Args:
        spans: Opens its span.
        instruments: Counts it.
        content: What may be shown.

    """

    __slots__ = ("_content", "_found", "_instruments", "_open", "_spans")

    def __init__(
        self, spans: Spans, instruments: Instruments, content: Content
    ) -> None:
        self._spans = spans
        self._instruments = instruments
        self._content = content
        self._found: Candidates | None = None
        self._open: Open

    def __enter__(self) -> Self:
        """Begin."""
        self._open = self._spans.inner(
            _RETRIEVE, {semconv.SPAN_KIND: semconv.RETRIEVER}
        )
        return self

    def __call__(self, found: "Candidates") -> None:
        """Learn what was found."""
        self._found = found
        for stage in found.stages:
            self._instruments.stage_ended(
                stage.name, stage.duration_s, trace_id=self._open.recorded_as
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        if self._open.span is not None and self._found is not None:
            found = self._found
            self._open.span.update_name(f"{_RETRIEVE} {found.base}")
            self._open.say(self._facts(found))
        self._open.close(semconv.error_type(error))

    def _facts(self, found: "Candidates") -> dict[str, AttributeValue]:
        said: dict[str, AttributeValue] = {
            semconv.SEARCH_METHOD: found.base,
            semconv.CANDIDATES: len(found.documents),
            semconv.STAGE_OUTCOME: found.stages[-1].outcome.lower(),
        }
        for place, each in enumerate(found.documents[: semconv.MOST_DOCUMENTS]):
            add_document(
                said,
                _DOCUMENTS[place],
                name=name(each.id, place) if self._content.ids else "",
                score=each.score,
                metadata={
                    "search_method": found.base,
                    "rank": place + 1,
                    "vector_rank": each.vector_rank,
                    "bm25_rank": each.bm25_rank,
                },
            )
        return said


class DiversityWatch:
    """Watches MMR choose.

    Args:
        spans: Opens its span.
        instruments: Counts it.

    """

    __slots__ = ("_instruments", "_open", "_spans", "_stage")

    def __init__(self, spans: Spans, instruments: Instruments) -> None:
        self._spans = spans
        self._instruments = instruments
        self._stage: Stage | None = None
        self._open: Open

    def __enter__(self) -> Self:
        """Begin."""
        self._open = self._spans.inner(_MMR, {semconv.SPAN_KIND: semconv.CHAIN})
        return self

    def __call__(self, stage: Stage) -> None:
        """Learn what became of it."""
        self._stage = stage

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        stage = self._stage
        if stage is None:
            self._open.close(semconv.error_type(error))
            return
        if stage.outcome is StageOutcome.SKIPPED:
            self._open.drop()
            return
        self._instruments.stage_ended(
            stage.name, stage.duration_s, trace_id=self._open.recorded_as
        )
        self._open.say({semconv.STAGE_OUTCOME: stage.outcome.lower()})
        failed = stage.outcome is StageOutcome.FAILED
        self._open.close((stage.reason or "unavailable").lower() if failed else "")
