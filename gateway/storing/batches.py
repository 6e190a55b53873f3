"""Which documents of a batch can be stored, and why the others cannot."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.contract import Document
from gateway.retrieval import retriever
from gateway.retrieval.document_vectors import document_vector
from gateway.retrieval.retriever import Shape
from gateway.storing.fields import typed_values

if TYPE_CHECKING:
    from gateway.retrieval.retriever import Vector

_MAX_ID_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Incoming:
    """A document that a caller wants to be stored."""

    id: str
    document: Document
    metadata: Mapping[str, object] | None = None
    """Plain JSON; None: there is none, which an empty one is not."""


class RejectionReason(StrEnum):
    """Why a document was not stored (`rerank.v1.RejectionReason`), in its order."""

    INVALID_ID = "INVALID_ID"
    DUPLICATE_ID = "DUPLICATE_ID"
    BLANK = "BLANK"
    TOO_LARGE = "TOO_LARGE"
    INVALID_EMBEDDING = "INVALID_EMBEDDING"
    INVALID_FIELD = "INVALID_FIELD"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A document that was not stored."""

    index: int
    """Its place in the batch, from 0."""
    id: str
    reason: RejectionReason
    """The first fault, in the order of the reasons."""
    message: str
    """One line on every fault, which never quotes a text."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A document that can be stored, but for the vector that it may still need."""

    index: int
    document: retriever.Document
    to_embed: str
    """What a model reads of it. Empty: it needs no vector."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that only has to be written."""

    collection: str
    documents: tuple[retriever.Document, ...]
    embedder: str
    """Whose vectors were computed for it. Empty: none were."""
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of a batch."""

    accepted_count: int
    rejected: tuple[Rejected, ...]
    """In the order of the batch."""
    version: int
    """That of the collection with this batch in it."""


@dataclass(slots=True)
class Faults:
    """What is wrong with one document, in the order of the reasons."""

    found: list[tuple[RejectionReason, str]] = field(default_factory=list)

    def add(self, reason: RejectionReason, *described: str) -> None:
        """Note faults, each described by a part of a sentence."""
        self.found.extend((reason, each) for each in described)

    def rejected(self, index: int, name: str) -> Rejected:
        """Reject the document for all of them."""
        message = "; ".join(described for _, described in self.found)
        return Rejected(index, name, self.found[0][0], message)


def sort_out(
    documents: Sequence[Incoming], shape: Shape, *, max_bytes: int, unembeddable: str
) -> tuple[list[Accepted], list[Rejected]]:
    """Tell apart what can be stored and what cannot.

    Args:
        documents: One batch.
        shape: Of the collection.
        max_bytes: Of title and text together.
        unembeddable: Why no vector can be computed for this collection. Empty: one can.

    """
    accepted, rejected = [], []
    first_use: dict[str, int] = {}
    for index, each in enumerate(documents):
        faults = Faults()
        _check_id(each.id, index, first_use, faults)
        _check_text(each.document, max_bytes, faults)
        vector = _vector(each.document, shape, unembeddable, faults)
        values, wrong = typed_values(each.metadata or {}, shape.fields)
        faults.add(RejectionReason.INVALID_FIELD, *wrong)
        metadata = _written(each.metadata, faults)
        if faults.found:
            rejected.append(faults.rejected(index, each.id))
            continue
        stored = retriever.Document(
            id=each.id,
            title=each.document.title,
            text=each.document.text,
            vector=vector,
            group_id=each.document.group_id,
            metadata=metadata,
            values=values,
        )
        needs_vector = shape.dimension > 0 and vector is None
        to_embed = each.document.read_by_model if needs_vector else ""
        accepted.append(Accepted(index, stored, to_embed))
    return accepted, rejected


def _check_id(name: str, index: int, first_use: dict[str, int], faults: Faults) -> None:
    if not name:
        faults.add(RejectionReason.INVALID_ID, "it has no id")
        return
    if len(name.encode()) > _MAX_ID_BYTES:
        faults.add(
            RejectionReason.INVALID_ID, f"its id has more than {_MAX_ID_BYTES} bytes"
        )
    first = first_use.setdefault(name, index)
    if first != index:
        faults.add(RejectionReason.DUPLICATE_ID, f"its id is that of document {first}")


def _check_text(document: Document, max_bytes: int, faults: Faults) -> None:
    if not document.title.strip() and not document.text.strip():
        faults.add(RejectionReason.BLANK, "its title and text are blank")
    if len(document.title.encode()) + len(document.text.encode()) > max_bytes:
        faults.add(
            RejectionReason.TOO_LARGE,
            f"its title and text have more than {max_bytes} bytes",
        )


def _vector(
    document: Document, shape: Shape, unembeddable: str, faults: Faults
) -> "Vector | None":
    if document.embedding is None:
        if shape.dimension and unembeddable:
            faults.add(
                RejectionReason.INVALID_EMBEDDING,
                f"it has no vector, and {unembeddable}",
            )
        return None
    try:
        return document_vector(document.embedding, dimension=shape.dimension)
    except ValueError as error:
        faults.add(RejectionReason.INVALID_EMBEDDING, str(error))
        return None


def _written(metadata: Mapping[str, object] | None, faults: Faults) -> str:
    if metadata is None:
        return ""
    try:
        return json.dumps(
            metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except ValueError:
        faults.add(
            RejectionReason.INVALID_FIELD,
            "its metadata has a number that is not finite",
        )
        return ""
