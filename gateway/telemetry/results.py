"""What a span says of results: how each was found, in parallel arrays and documents.

Spans are flat and hold 128 attributes, so the first 50 results go into arrays, one per
kind of fact, and the first 10 also in the form that OpenInference gives documents.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import orjson
from opentelemetry.util.types import AttributeValue

from gateway.telemetry import semconv

Attributes = dict[str, AttributeValue]


class Ranked(Protocol):
    """One result, as it goes to the caller (`rerank.v1.RankedDocument`)."""

    @property
    def id(self) -> str:
        """As the caller or the collection calls it; may be empty."""

    @property
    def index(self) -> int:
        """Place among what was received or found, from 0."""

    @property
    def score(self) -> float:
        """What it was placed by."""

    @property
    def original_rank(self) -> int:
        """From 1."""

    @property
    def search_method(self) -> str:
        """Which stages placed it."""


def arrays(results: Sequence[Ranked], *, with_ids: bool) -> Attributes:
    """Say how each of the first results was found.

    Args:
        results: All of the answer, best first.
        with_ids: Whether documents are named.

    """
    first = results[: semconv.MOST_RESULTS]
    methods = [each.search_method for each in first]
    # The tail stands last, and has a method of its own where there is one.
    last = results[-1].search_method
    said: Attributes = {
        semconv.RESULT_SCORES: [each.score for each in first],
        semconv.RESULT_RANKS_BEFORE: [each.original_rank for each in first],
        semconv.RESULT_METHODS: methods,
        semconv.RESULT_MIXED: last != methods[0] or len(set(methods)) > 1,
    }
    if with_ids:
        said[semconv.RESULT_IDS] = [name(each.id, each.index) for each in first]
    return said


def name(document_id: str, index: int) -> str:
    """Name a document by its id, and one without by its place, such as `#3`."""
    return document_id[: semconv.LONGEST_ID] or f"#{index}"


class Paths(NamedTuple):
    """What the facts of one document of a list are called, as OpenInference has it."""

    id: str
    score: str
    metadata: str
    content: str


def paths(prefix: str) -> tuple[Paths, ...]:
    """Name the facts of the first documents of a list: `<prefix>.<N>.document.<what>`."""
    return tuple(
        Paths(*(f"{prefix}.{place}.document.{what}" for what in Paths._fields))
        for place in range(semconv.MOST_DOCUMENTS)
    )


def add_document(
    said: Attributes,
    path: Paths,
    *,
    name: str,
    score: float | None,
    metadata: Mapping[str, object],
    text: str = "",
) -> None:
    """Describe one document of a span.

    Args:
        said: Gets the attributes.
        path: What they are called.
        name: Its id; empty: it is not to be named.
        score: What it was placed by; None: nothing.
        metadata: Facts of few words: how it was found, and where it stood.
        text: What it says; empty: it is not to be quoted.

    """
    if name:
        said[path.id] = name
    if score is not None:
        said[path.score] = score
    # OpenInference wants it as text.
    said[path.metadata] = orjson.dumps(metadata).decode()
    if text:
        said[path.content] = text[: semconv.LONGEST_TEXT]
