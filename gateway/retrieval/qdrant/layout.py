"""What is fixed about a collection, as its metadata in Qdrant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.retrieval import layout
from gateway.retrieval.filter import Field, FieldType

_KEY = "rerank_gateway"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Layout(layout.Layout):
    """What every engine keeps, and what BM25 needs to know beforehand."""

    mean_terms: float
    """How many terms a document is taken to have, which lengths are compared with."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Write it down."""
        return {
            _KEY: {
                "format": _FORMAT,
                "fields": [[each.name, each.type.value] for each in self.fields],
                "dimension": self.dimension,
                "embedder": self.embedder,
                "created": self.created.isoformat(),
                "mean_terms": self.mean_terms,
            }
        }


def layout_of(metadata: Mapping[str, Any] | None) -> Layout | None:
    """Read it back; None: this is no collection of ours."""
    try:
        said = (metadata or {})[_KEY]
        if said["format"] != _FORMAT:
            return None
        return Layout(
            fields=tuple(Field(name, FieldType(kind)) for name, kind in said["fields"]),
            dimension=int(said["dimension"]),
            embedder=said["embedder"],
            created=datetime.fromisoformat(said["created"]),
            mean_terms=float(said["mean_terms"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
