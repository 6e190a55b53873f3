"""From the requests of DocumentService to plain values, or to every violation in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.retrieval.filter import Field, FieldType
from gateway.rpc.documents import read_document
from gateway.rpc.requests import Limits
from gateway.rpc.violations import Violations, bytes_over
from gateway.searching.contract import DEFAULT_COLLECTION
from gateway.storing.batches import Incoming
from rerank.v1 import collection_pb2, document_service_pb2

_MAX_BATCH_ID_BYTES = 128
_MAX_IDS = 1000
_MAX_FIELDS = 64
_MAX_DIMENSION = 8192
_COLLECTION_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

# Built when imported, so a name that the contract lacks cannot go unnoticed.
FIELD_TYPES = {
    kind: collection_pb2.FieldType.Value(f"FIELD_TYPE_{kind.name}")
    for kind in FieldType
}
_FIELD_TYPES_READ = {number: kind for kind, number in FIELD_TYPES.items()}


@dataclass(frozen=True, slots=True)
class ImportAsk:
    """One batch of an import."""

    collection: str
    batch_id: str
    documents: tuple[Incoming, ...]


@dataclass(frozen=True, slots=True)
class CreateAsk:
    """A collection to create."""

    name: str
    fields: tuple[Field, ...]
    dimension: int
    """0: the caller leaves it to the server."""


def read_import(
    message: document_service_pb2.ImportDocumentsRequest,
    limits: Limits,
    *,
    collection: str,
) -> ImportAsk:
    """Check one message of an import and take it apart.

    What is wrong with a single document is not looked for here: it rejects that one alone.

    Args:
        message: As it came.
        limits: What the server takes.
        collection: That of the messages before. Empty: this is the first.

    Raises:
        InvalidRequest: With every violation.

    """
    wrong = Violations()
    named = message.collection or collection or DEFAULT_COLLECTION
    if collection and named != collection:
        wrong.add("collection", "must be empty or that of the first message")
    if bytes_over(_MAX_BATCH_ID_BYTES, message.batch_id):
        wrong.add("batch_id", f"must have at most {_MAX_BATCH_ID_BYTES} bytes")
    if len(message.documents) > limits.max_documents:
        wrong.add(
            "documents",
            f"there are {len(message.documents)}, at most {limits.max_documents} are"
            " allowed",
        )
    wrong.check()
    documents = tuple(read_document(each) for each in message.documents)
    return ImportAsk(named, message.batch_id, documents)


def read_delete(
    message: document_service_pb2.DeleteDocumentsRequest,
) -> tuple[str, tuple[str, ...]]:
    """Give the collection, and the ids to remove from it.

    Raises:
        InvalidRequest: With every violation.

    """
    wrong = Violations()
    if not 1 <= len(message.ids) <= _MAX_IDS:
        wrong.add("ids", f"there are {len(message.ids)}, there must be 1 to {_MAX_IDS}")
    for place, each in enumerate(message.ids):
        if not each:
            wrong.add(f"ids[{place}]", "must not be empty")
    wrong.check()
    return message.collection or DEFAULT_COLLECTION, tuple(message.ids)


def read_get(message: document_service_pb2.GetDocumentRequest) -> tuple[str, str]:
    """Give the collection, and the id of the document.

    Raises:
        InvalidRequest: There is no id.

    """
    return message.collection or DEFAULT_COLLECTION, _required("id", message.id)


def read_delete_collection(
    message: document_service_pb2.DeleteCollectionRequest,
) -> str:
    """Give the collection's name.

    Raises:
        InvalidRequest: There is none.

    """
    return _required("name", message.name)


def read_create(message: document_service_pb2.CreateCollectionRequest) -> CreateAsk:
    """Check a new collection and take it apart.

    Raises:
        InvalidRequest: With every violation.

    """
    wrong = Violations()
    if not _COLLECTION_NAME.fullmatch(message.name):
        wrong.add("name", f"must match {_COLLECTION_NAME.pattern}")
    _check_fields(message.fields, wrong)
    if not 0 <= message.embedding_dimension <= _MAX_DIMENSION:
        wrong.add("embedding_dimension", f"must be from 0 to {_MAX_DIMENSION}")
    wrong.check()
    return CreateAsk(
        name=message.name,
        fields=tuple(
            Field(each.name, _FIELD_TYPES_READ[each.type]) for each in message.fields
        ),
        dimension=message.embedding_dimension,
    )


def _check_fields(
    fields: Sequence[collection_pb2.CollectionField], wrong: Violations
) -> None:
    if len(fields) > _MAX_FIELDS:
        wrong.add(
            "fields", f"there are {len(fields)}, at most {_MAX_FIELDS} are allowed"
        )
    first_use: dict[str, int] = {}
    for place, field in enumerate(fields):
        if not _FIELD_NAME.fullmatch(field.name):
            wrong.add(f"fields[{place}].name", f"must match {_FIELD_NAME.pattern}")
        first = first_use.setdefault(field.name, place)
        if first != place:
            wrong.add(
                f"fields[{place}].name", f"must be unique, is that of fields[{first}]"
            )
        if field.type not in _FIELD_TYPES_READ:
            wrong.add(
                f"fields[{place}].type",
                f"must be one of {', '.join(kind.name for kind in FieldType)}",
            )


def _required(field: str, value: str) -> str:
    wrong = Violations()
    if not value:
        wrong.add(field, "is required")
    wrong.check()
    return value
