"""What is fixed when a collection is created, and what does not fit it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.retrieval.errors import (
    DimensionMismatch,
    EmbedderMismatch,
    InvalidDocument,
    InvalidFilter,
)
from gateway.retrieval.filter import Field, Filter, faults, fits
from gateway.retrieval.retriever import Document, Shape

if TYPE_CHECKING:
    from gateway.retrieval.retriever import Vector

COLLECTION_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Layout:
    """What every engine keeps beside the documents of a collection."""

    fields: tuple[Field, ...]
    dimension: int
    embedder: str
    created: datetime

    @property
    def shape(self) -> Shape:
        """The same without its date."""
        return Shape(self.fields, self.dimension, self.embedder)

    def check_vector(self, vector: "Vector", embedder: str) -> None:
        """Refuse a vector that is not comparable with those stored."""
        if vector.shape != (self.dimension,):
            has = "x".join(map(str, vector.shape))
            message = f"a vector has dimension {has}, the collection's {self.dimension}"
            raise DimensionMismatch(message)
        if embedder and embedder != self.embedder:
            message = (
                f"a vector is {embedder!r}'s, the collection's are "
                f"{self.embedder or 'brought by the callers'!r}"
            )
            raise EmbedderMismatch(message)

    def check_filter(self, asked: Filter | None) -> None:
        """Refuse a filter with faults."""
        if asked is not None and (wrong := faults(asked, self.fields)):
            first = wrong[0]
            message = f"filter.{first.path}: {first.description}".replace(".:", ":")
            raise InvalidFilter(message)

    def check_documents(self, documents: Sequence[Document], embedder: str) -> None:
        """Refuse all of them for one that does not fit."""
        for place, each in enumerate(documents):
            self._check(place, each, embedder)
        if len({each.id for each in documents}) < len(documents):
            message = "two documents of a batch have the same id"
            raise InvalidDocument(message)

    def _check(self, place: int, document: Document, embedder: str) -> None:
        import numpy as np

        types = {each.name: each.type for each in self.fields}
        if not document.id:
            message = f"document {place} has no id"
            raise InvalidDocument(message)
        if self.dimension and document.vector is None:
            message = f"document {place} has no vector"
            raise InvalidDocument(message)
        if document.vector is not None:
            self.check_vector(document.vector, embedder)
            if not np.isfinite(document.vector).all():
                message = f"document {place} has a vector that is not finite"
                raise InvalidDocument(message)
        for name, value in document.values.items():
            if name not in types:
                message = f"document {place}: {name} is no field of the collection"
                raise InvalidDocument(message)
            if not fits(value, types[name]):
                message = f"document {place}: {name} is no {types[name].value}"
                raise InvalidDocument(message)
