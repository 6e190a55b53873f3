"""Rerank as it is served, without a network: bytes in, an answer and numbers out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gateway.backends.errors import Unavailable
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.compose import Leaf, Surroundings, stack
from gateway.compose.memories import Memories, Tier
from gateway.events import CallEnded, Event
from gateway.layers.fallback import Fallback
from gateway.observing import Call, CallEnd
from gateway.ranking.normalize import Scale
from gateway.reranking import Reranking, Reserve, Route
from gateway.rpc.call_lines import call_ended
from gateway.rpc.recollection import Recalled, Recollection
from gateway.rpc.requests import Limits
from gateway.rpc.rerank_service import RerankService
from gateway.settings import BackendSettings
from gateway.telemetry.content import Content
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.measures import Measures
from gateway.telemetry.observer import Telemetry
from gateway.telemetry.spans import Spans
from rerank.v1 import rerank_service_pb2
from tests.support.caches import SECRET, process_memory

MIB = 1024 * 1024
METHOD = "rerank.v1.RerankService/Rerank"

Answer = rerank_service_pb2.RerankResponse


@dataclass(slots=True, eq=False)
class Judge:
    """A backend that can change its mind, its model, and whether it answers."""

    name: str
    model: str = "model"
    revision: str = "revision"
    shift: float = 0.0
    """Added to each score."""
    is_down: bool = False
    leaves_out: bool = False
    """The last of several documents gets no score."""
    asked: list[list[str]] = field(default_factory=list)
    """The texts of each call."""

    async def score(self, request: ScoreRequest) -> Scores:
        """Judge as things are."""
        texts = [each.text for each in request.documents]
        self.asked.append(texts)
        if self.is_down:
            raise Unavailable(self.name, "refused")
        raw: list[float | None] = [
            Random(f"{self.name} {self.model} {request.query} {text}").gauss(0, 2)
            + self.shift
            for text in texts
        ]
        if self.leaves_out and len(raw) > 1:
            raw[-1] = None
        return Scores(
            raw=tuple(raw),
            scale=Scale.LOGIT,
            backend=self.name,
            model=self.model,
            revision=self.revision,
            truncated=frozenset(at for at, text in enumerate(texts) if "long" in text),
        )


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler may learn of a call beside its message."""

    remaining_s: float | None = None
    metadata: Sequence[tuple[str, str]] = ()

    def time_remaining(self) -> float | None:
        """Say what is left of the deadline."""
        return self.remaining_s

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        """Give what came along."""
        return self.metadata

    def peer(self) -> str:
        """Say where it comes from."""
        return "ipv4:127.0.0.1:1"


class Served:
    """A service on its own, with all layers, telemetry and memories, and two backends.

    Args:
        max_answer_bytes: How much memory whole answers may take.
        max_bytes: The same for scores.
        listwise: The first backend compares.
        ttl_s: How old a remembered score may be, where nobody says.
        max_documents: How many are asked of the first backend at once.

    """

    def __init__(
        self,
        *,
        max_answer_bytes: int = MIB,
        max_bytes: int = MIB,
        listwise: bool = False,
        ttl_s: float = 100.0,
        max_documents: int = 3,
    ) -> None:
        self.first, self.second = Judge("first"), Judge("second")
        self.facts = Facts(max_documents=max_documents, model="", fixed=False)
        self.events: list[Event] = []
        self.lines: list[CallEnded] = []
        self.recalled = 0
        self.instruments = Instruments()
        self._measures = Measures(self.instruments)
        self.telemetry = Telemetry(
            spans=Spans(None),
            instruments=self.instruments,
            content=Content(texts=False, ids=False),
        )
        self.memory = process_memory(max_bytes)
        around = Surroundings(
            Memories(
                tiers=(Tier(self.memory, "process"),) if max_bytes else (),
                ttl_s=ttl_s,
                secret=SECRET,
            ),
            Random(7),
            self._hear,
            observer=self.telemetry,
        )
        first = self._stack(self.first, around, facts=self.facts, listwise=listwise)
        second = self._stack(
            self.second, around, facts=Facts(max_documents=9, model="", fixed=True)
        )
        both = Fallback((first, second))
        reranking = Reranking(
            routes={
                "default": _route(Fallback((first,))),
                "both": _route(both),
                "partial": _route(both, takes_partial=True),
                "young": _route(both, cache_ttl_s=10.0),
                "strict": _route(both, min_score=0.5, top_k=2),
            },
            reserve=Reserve(share=0.05, least_s=0.02),
            observer=self.telemetry,
        )
        self.answers = Recollection(max_bytes=max_answer_bytes)
        self._service = RerankService(
            reranking=reranking,
            limits=Limits(
                max_documents=2000, max_document_bytes=MIB, max_query_bytes=MIB
            ),
            answers=self.answers,
            observer=self.telemetry,
        )

    @staticmethod
    def _stack(
        judge: Judge, around: Surroundings, *, facts: Facts, listwise: bool = False
    ) -> Scorer:
        return stack(
            Leaf(
                scorers=(judge,),
                facts=facts,
                scale=Scale.LOGIT,
                listwise=listwise,
                in_flight=8,
                top_k=1000,
                top_k_found=1000,
                max_tokens=None,
                cuts_pairs=False,
            ),
            name=judge.name,
            settings=BackendSettings(
                dialect="simple",
                retries=0,
                failures_in_a_row=1_000_000,
                failure_share=1.0,
            ),
            around=around,
        )

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self.telemetry(event)
        self._measures(event)

    async def ask(
        self,
        request: rerank_service_pb2.RerankRequest | bytes,
        *,
        remaining_s: float | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Make one call, as `gateway.rpc.calls` would, and read what its caller gets."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        context: Any = Context(remaining_s, metadata)
        with self.telemetry.call(Call(METHOD, metadata)) as watching:
            response = await self._service.rerank(data, context)
            if isinstance(response, Recalled):
                self.recalled += 1
                seen, written = response.answer, response.data
            else:
                seen, written = response, response.SerializeToString()
            watching.answered(data, seen)
            self.lines.append(call_ended(METHOD, "OK", 0.0, response))
            watching.ended(CallEnd("OK", 0.0))
        return Answer.FromString(written)

    async def recalls(
        self, request: rerank_service_pb2.RerankRequest | bytes, **more: Any
    ) -> bool:
        """Tell whether a call is given a whole answer."""
        before = self.recalled
        await self.ask(request, **more)
        return self.recalled > before

    @property
    def used_bytes(self) -> int:
        """How much memory the answers take, as they are counted."""
        return self.answers._answers.used_bytes

    def counted(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Give all numbers but those of durations, by their names and labels."""
        self.instruments.look()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.instruments.registry.collect()
            for sample in family.samples
            if sample.name.startswith(("rerank_gateway", "rpc_server"))
            and not ("duration" in sample.name and not sample.name.endswith("_count"))
        }


def _route(
    scorer: Scorer,
    *,
    cache_ttl_s: float | None = None,
    min_score: float | None = None,
    top_k: int | None = None,
    takes_partial: bool = False,
) -> Route:
    return Route(
        scorer=scorer,
        backends=(),
        # None of the bounds that budgets are sorted by.
        timeout_s=4.2,
        top_k=top_k,
        min_score=min_score,
        backend_min_scores=_NONE,
        passages=0,
        takes_partial=takes_partial,
        cache_ttl_s=cache_ttl_s,
    )


_NONE: Mapping[str, float] = {}


def timeless(answer: Answer) -> Answer:
    """Leave out how long things took."""
    copy = Answer()
    copy.CopyFrom(answer)
    copy.execution.ClearField("duration")
    for each in (*copy.execution.stages, *copy.execution.attempts):
        each.ClearField("duration")
    return copy
