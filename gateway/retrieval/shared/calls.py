"""What a process says to the one that writes: calls, what was done, and failures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson

from gateway.retrieval import errors as kinds
from gateway.retrieval.errors import (
    EngineFailed,
    InvalidDocument,
    RetrieverError,
    VersionNotReached,
)
from gateway.retrieval.filter import Field, FieldType, Value
from gateway.retrieval.retriever import Document, Retriever
from gateway.retrieval.shared.frames import MOST_BYTES, BrokenFrame, Frame


@dataclass(frozen=True, slots=True)
class Create:
    """Make a collection."""

    collection: str
    fields: tuple[Field, ...]
    dimension: int
    embedder: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Remove a collection."""

    collection: str


@dataclass(frozen=True, slots=True, eq=False)
class Upsert:
    """Store documents."""

    collection: str
    documents: tuple[Document, ...]
    embedder: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove documents."""

    collection: str
    ids: tuple[str, ...]


Call = Create | Drop | Upsert | Delete


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a call."""

    version: int = 0
    """Of the collection, where documents were written."""
    count: int = 0
    """Of the documents removed."""


async def perform(call: Call, engine: Retriever) -> Done:
    """Do what a call says."""
    match call:
        case Create(name, fields, dimension, embedder):
            await engine.create_collection(
                name, fields=fields, dimension=dimension, embedder=embedder
            )
            return Done()
        case Drop(name):
            await engine.delete_collection(name)
            return Done()
        case Upsert(name, documents, embedder):
            return Done(await engine.upsert(name, documents, embedder=embedder))
        case Delete(name, ids):
            deleted = await engine.delete(name, ids)
            return Done(deleted.version, deleted.count)


def call_frame(call: Call) -> Frame:
    """Put a call into words.

    Raises:
        InvalidDocument: It cannot be: half a surrogate pair, a number of more than 64
            bits, too much at once.

    """
    said: dict[str, Any] = {"call": type(call).__name__, "collection": call.collection}
    numbers = b""
    match call:
        case Create(_, fields, dimension, embedder):
            said["fields"] = [[each.name, each.type.value] for each in fields]
            said |= {"dimension": dimension, "embedder": embedder}
        case Upsert(_, documents, embedder):
            said |= {"documents": [*map(_document, documents)], "embedder": embedder}
            numbers = b"".join(
                np.ascontiguousarray(each.vector, np.float32).tobytes()
                for each in documents
                if each.vector is not None
            )
        case Delete(_, ids):
            said["ids"] = ids
        case Drop():
            pass
    try:
        frame = Frame(orjson.dumps(said), numbers)
    except TypeError as error:
        message = "a document has what cannot be stored"
        raise InvalidDocument(message) from error
    if frame.size > MOST_BYTES:
        message = f"a batch has {frame.size} bytes; at most {MOST_BYTES}"
        raise InvalidDocument(message)
    return frame


def read_call(frame: Frame) -> Call:
    """Understand a call, or raise `BrokenFrame`."""
    try:
        said = orjson.loads(frame.said)
        name = said["collection"]
        match said["call"]:
            case "Create":
                fields = tuple(
                    Field(of, FieldType(kind)) for of, kind in said["fields"]
                )
                return Create(name, fields, said["dimension"], said["embedder"])
            case "Drop":
                return Drop(name)
            case "Upsert":
                documents = _documents(said["documents"], frame.numbers)
                return Upsert(name, documents, said["embedder"])
            case "Delete":
                return Delete(name, tuple(said["ids"]))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        message = "a call cannot be read"
        raise BrokenFrame(message) from error
    message = "a call is of no known kind"
    raise BrokenFrame(message)


def done_frame(done: Done) -> Frame:
    """Put into words what was done."""
    return Frame(orjson.dumps({"version": done.version, "count": done.count}))


def failed_frame(error: RetrieverError | ValueError) -> Frame:
    """Put a failure into words: its kind and its message, never its cause."""
    said: dict[str, Any] = {"failed": type(error).__name__, "message": str(error)}
    if isinstance(error, VersionNotReached):
        said["version"] = error.version
    return Frame(orjson.dumps(said))


def read_done(frame: Frame) -> Done:
    """Understand what was done, or raise what was not.

    Raises:
        BrokenFrame: It cannot be understood.
        RetrieverError: What the owner raised.
        ValueError: The same.

    """
    try:
        said = orjson.loads(frame.said)
        if "failed" not in said:
            return Done(said["version"], said["count"])
        failure = _failure(said)
    except (LookupError, TypeError, ValueError) as error:
        message = "an answer cannot be read"
        raise BrokenFrame(message) from error
    raise failure


def _failure(said: Mapping[str, Any]) -> RetrieverError | ValueError:
    name, message = said["failed"], said["message"]
    if name == ValueError.__name__:
        return ValueError(message)
    if name == VersionNotReached.__name__:
        return VersionNotReached(message, version=said["version"])
    kind = getattr(kinds, name, None)
    if isinstance(kind, type) and issubclass(kind, RetrieverError):
        return kind(message)
    return EngineFailed(message)


def _document(document: Document) -> dict[str, Any]:
    vector = document.vector
    return {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "shape": None if vector is None else vector.shape,
        "group_id": document.group_id,
        "metadata": document.metadata,
        "values": {name: _value(each) for name, each in document.values.items()},
    }


def _documents(
    said: Sequence[Mapping[str, Any]], numbers: bytes
) -> tuple[Document, ...]:
    flat = np.frombuffer(numbers, np.float32)
    documents, start = [], 0
    for each in said:
        vector = None
        if each["shape"] is not None:
            end = start + math.prod(each["shape"])
            vector, start = flat[start:end].reshape(each["shape"]), end
        documents.append(
            Document(
                id=each["id"],
                title=each["title"],
                text=each["text"],
                vector=vector,
                group_id=each["group_id"],
                metadata=each["metadata"],
                values={name: _said_value(of) for name, of in each["values"].items()},
            )
        )
    return tuple(documents)


def _value(value: Value) -> Any:  # noqa: ANN401 - JSON, of any kind
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": repr(value)}  # it has no JSON, and is the owner's to refuse
    return value


def _said_value(said: Any) -> Value:  # noqa: ANN401 - JSON, of any kind
    if isinstance(said, dict):
        if "at" in said:
            return datetime.fromisoformat(said["at"])
        return float(said["number"])
    value: Value = said
    return value
