"""What a face is: one vendor's requests, answers and errors, as pure functions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.faces.refusal import Refusal
from gateway.faces.shape import RerankBody
from gateway.rpc.violations import Violations
from rerank.v1 import rerank_service_pb2

Json = Any
"""What becomes JSON: dictionaries, lists, texts, numbers, truth values and None."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a vendor's API, in our terms."""

    message: rerank_service_pb2.RerankRequest
    """What is asked of us."""
    documents: Sequence[object]
    """As they came, for those who want them back."""
    model: str = ""
    """As the caller wrote it; empty: it named none."""
    returns_documents: bool = False
    raw_scores: bool = False
    """The model's own numbers are wanted, on its own scale."""

    def scores(
        self, response: rerank_service_pb2.RerankResponse
    ) -> list[tuple[int, float | None]]:
        """Give place and score of each result, best first; None: nobody scored it."""
        return [
            (
                each.index,
                (each.raw_score if self.raw_scores else each.rerank_score)
                if each.HasField("rerank_score")
                else None,
            )
            for each in response.results
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One vendor's API."""

    name: str
    """For logs and traces."""
    body: type[RerankBody]
    """The shape of a request."""
    answer: Any
    """The shape of an answer, for the description of the API."""
    error: Any
    """That of an error."""
    ask: Callable[[Any, Violations], Asked]
    """Puts a request into our terms; notes what its shape alone does not forbid."""
    write: Callable[[Asked, rerank_service_pb2.RerankResponse], Json]
    """Writes an answer."""
    refuse: Callable[[Refusal], Json]
    """Writes an error."""
    statuses: Mapping[str, int] = field(default_factory=dict)
    """Where the vendor's HTTP statuses are not the usual ones; see `Refusal.status_in`."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What the vendor calls fields of ours, where the names differ."""
