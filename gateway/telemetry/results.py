"""What a span says of results: how each was found, in parallel arrays and documents.

Spans are flat and hold 128 attributes, so the first 50 results go into arrays, one per
kind of fact, and the first 10 also in the form that OpenInference gives documents.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

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
    said: Attributes = {
        semconv.RESULT_SCORES: [each.score for each in first],
        semconv.RESULT_RANKS_BEFORE: [each.original_rank for each in first],
        semconv.RESULT_METHODS: methods,
        semconv.RESULT_MIXED: any(each.search_method != methods[0] for each in results),
    }
    if with_ids:
        said[semconv.RESULT_IDS] = [name(each.id, each.index) for each in first]
    return said


def name(document_id: str, index: int) -> str:
    """Name a document by its id, and one without by its place, such as `#3`."""
    return document_id[: semconv.LONGEST_ID] or f"#{index}"


class Document:
    """One document of a span.

    Args:
        name: Its id; empty: it is not to be named.
        score: What it was placed by; None: nothing.
        metadata: Facts of few words: how it was found, and where it stood.
        text: What it says; empty: it is not to be quoted.

    """

    __slots__ = ("metadata", "name", "score", "text")

    def __init__(
        self,
        name: str,
        score: float | None,
        metadata: Mapping[str, object],
        text: str = "",
    ) -> None:
        self.name = name
        self.score = score
        self.metadata = metadata
        self.text = text


def documents(prefix: str, listed: Iterable[Document]) -> Attributes:
    """Write documents as OpenInference has them: `<prefix>.<N>.document.<what>`.

    Args:
        prefix: Which list it is.
        listed: At most `semconv.MOST_DOCUMENTS`, best first.

    """
    said: Attributes = {}
    for place, each in enumerate(listed):
        path = f"{prefix}.{place}.document"
        if each.name:
            said[f"{path}.id"] = each.name
        if each.score is not None:
            said[f"{path}.score"] = each.score
        # OpenInference wants it as text.
        said[f"{path}.metadata"] = orjson.dumps(each.metadata).decode()
        if each.text:
            said[f"{path}.content"] = each.text[: semconv.LONGEST_TEXT]
    return said
