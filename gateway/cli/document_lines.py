"""Read documents to store from JSON lines, batch by batch: never a whole file at once."""

import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from rerank.v1 import document_pb2

_GZIP = b"\x1f\x8b"
_MIB = 1024 * 1024

# A document has at most 1 MiB of text; escaped, with metadata and a vector it is less
# than this.
_LONGEST_LINE_BYTES = 16 * _MIB

# Far below the 32 MiB that a message may have, whatever the size of documents.
_BATCH_BYTES = 4 * _MIB

_BUFFER_BYTES = 64 * 1024

_KNOWN = {"_id", "id", "title", "text", "metadata", "group_id", "embedding"}


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that is not stored."""

    line: int
    """From 1."""
    reason: str
    """For counting, such as `NOT_JSON`."""
    words: str
    """For people, with the document's id where there is one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive lines of a file, as one message takes them."""

    documents: tuple[document_pb2.Document, ...]
    lines: tuple[int, ...]
    """Where each document stood, from 1."""
    rejected: tuple[Rejection, ...]
    """Lines that are no document at all."""
    last_line: int
    """All lines up to this one are in this batch or in earlier ones."""
    read_bytes: int
    """Of the file as it lies there, compressed or not, up to here."""


class Unreadable(Exception):
    """The file cannot be read, or not to its end; the message says why."""


def batches(
    file: BinaryIO, *, name: str, at_most: int, after_line: int = 0
) -> Iterator[Batch]:
    """Read documents in batches. Blank lines are passed over.

    Args:
        file: Positioned at its start; what is compressed with gzip is recognised.
        name: What to call it when it cannot be read.
        at_most: Lines in a batch; fewer, where documents are long.
        after_line: How many lines to pass over first.

    Raises:
        Unreadable: While reading; all batches before are sound.

    """
    counted = _Counted(file)
    raw = io.BufferedReader(counted, _BUFFER_BYTES)
    lines: io.BufferedIOBase = raw
    if raw.peek(2)[:2] == _GZIP:
        lines = gzip.GzipFile(fileobj=raw)
    number = 0
    try:
        while number < after_line and _read_line(lines):
            number += 1
        while True:
            batch = _batch(lines, number, at_most=at_most, told=lambda: counted.count)
            if batch.last_line == number:
                return
            yield batch
            number = batch.last_line
    except (OSError, EOFError, zlib.error) as error:
        message = f"{name}: {getattr(error, 'strerror', None) or error}"
        raise Unreadable(message) from error


def opened(file: str) -> BinaryIO:
    """Open a file, or standard input for `-`.

    Raises:
        Unreadable: It cannot be opened.

    """
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb", buffering=0)
    except OSError as error:
        message = f"{file}: {error.strerror}"
        raise Unreadable(message) from error


class _Counted(io.RawIOBase):
    """What is read from a file, counted: standard input cannot tell its place."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as in the base class
        read = getattr(self._file, "read1", self._file.read)
        found: bytes = read(len(buffer))
        buffer[: len(found)] = found
        self.count += len(found)
        return len(found)


def _batch(
    lines: io.BufferedIOBase, number: int, *, at_most: int, told: Callable[[], int]
) -> Batch:
    documents: list[document_pb2.Document] = []
    places: list[int] = []
    rejected: list[Rejection] = []
    read_bytes = 0
    first = number
    while number - first < at_most and read_bytes < _BATCH_BYTES:
        line = _read_line(lines)
        if not line:
            break
        number += 1
        read_bytes += len(line)
        if not line.strip():
            continue
        try:
            documents.append(_document(line))
            places.append(number)
        except _NotADocument as error:
            rejected.append(Rejection(number, error.reason, str(error)))
    return Batch(
        documents=tuple(documents),
        lines=tuple(places),
        rejected=tuple(rejected),
        last_line=number,
        read_bytes=told(),
    )


def _read_line(lines: io.BufferedIOBase) -> bytes:
    """Read one line; of one that is too long, only so much that this can be seen."""
    line = lines.readline(_LONGEST_LINE_BYTES + 1)
    if len(line) > _LONGEST_LINE_BYTES:
        rest = line[-1:]
        while rest and not rest.endswith(b"\n"):
            rest = lines.readline(_MIB)
    return line


class _NotADocument(Exception):
    reason = "NOT_JSON"


class _TooLarge(_NotADocument):
    reason = "TOO_LARGE"


class _WrongType(_NotADocument):
    reason = "WRONG_TYPE"


def _document(line: bytes) -> document_pb2.Document:
    """Read `_id` or `id`, `title`, `text`, `group_id`, `embedding` and `metadata`.

    Whatever else there is beside them belongs to the metadata too.
    """
    if len(line) > _LONGEST_LINE_BYTES:
        message = f"longer than {_LONGEST_LINE_BYTES} bytes"
        raise _TooLarge(message)
    try:
        fields = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        message = f"no JSON: {error}"
        raise _NotADocument(message) from error
    if not isinstance(fields, dict):
        message = "no JSON object"
        raise _NotADocument(message)
    name = fields.get("_id", fields.get("id"))
    metadata = fields.get("metadata") or {}
    try:
        document = document_pb2.Document(
            id="" if name is None else _id(name),
            title=fields.get("title") or "",
            text=fields.get("text") or "",
            group_id=fields.get("group_id") or "",
            embedding=fields.get("embedding") or (),
        )
        others = {key: fields[key] for key in fields.keys() - _KNOWN}
        if metadata or others:
            document.metadata.update({**others, **metadata})
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        message = f"{name}: {error}" if isinstance(name, str) else str(error)
        raise _WrongType(" ".join(message.split())[:200]) from error
    return document


def _id(name: object) -> str:
    if isinstance(name, bool) or not isinstance(name, str | int):
        message = "an id is a text or a whole number"
        raise TypeError(message)
    return str(name)


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is no JSON number"
    raise ValueError(message)
