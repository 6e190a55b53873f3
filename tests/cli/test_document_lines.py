"""Documents from JSON lines, whatever stands in them."""

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any, BinaryIO

import pytest
from google.protobuf.json_format import MessageToDict

from gateway.cli.document_lines import Batch, Unreadable, batches


def _read(content: bytes, *, at_most: int = 100, after_line: int = 0) -> list[Batch]:
    return list(
        batches(
            io.BytesIO(content), name="file", at_most=at_most, after_line=after_line
        )
    )


def _one(fields: object) -> tuple[dict[str, Any] | None, str | None]:
    (batch,) = _read(json.dumps(fields).encode())
    assert len(batch.documents) + len(batch.rejected) == 1
    for document in batch.documents:
        return MessageToDict(document, preserving_proto_field_name=True), None
    return None, batch.rejected[0].reason


@pytest.mark.parametrize(
    ("fields", "document"),
    [
        (
            {"_id": "a", "title": "T", "text": "x", "metadata": {}},
            {"id": "a", "title": "T", "text": "x"},
        ),
        ({"id": 7, "text": "x", "title": None}, {"id": "7", "text": "x"}),
        ({"text": "x"}, {"text": "x"}),
        (
            {"_id": "a", "text": "x", "group_id": "g", "embedding": [0.5, 1]},
            {"id": "a", "text": "x", "group_id": "g", "embedding": [0.5, 1.0]},
        ),
        (
            {"_id": "a", "text": "x", "metadata": {"year": 2020}, "url": "u"},
            {"id": "a", "text": "x", "metadata": {"year": 2020.0, "url": "u"}},
        ),
        (
            {"_id": "a", "text": "x", "year": 1, "metadata": {"year": 2}},
            {"id": "a", "text": "x", "metadata": {"year": 2.0}},
        ),
    ],
)
def test_a_line_becomes_a_document(
    fields: dict[str, Any], document: dict[str, Any]
) -> None:
    assert _one(fields) == (document, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"_id": "a", "text": 7},
        {"_id": "a", "text": ["x"]},
        {"_id": "a", "title": {}, "text": {"x": 1}},
        {"_id": ["a"], "text": "x"},
        {"_id": True, "text": "x"},
        {"_id": 1.5, "text": "x"},
        {"_id": "a", "text": "x", "metadata": "m"},
        {"_id": "a", "text": "x", "embedding": ["0.5"]},
        {"_id": "a", "text": "x", "embedding": "0.5"},
        {"_id": "a", "text": "\ud800"},
        {"_id": "a", "text": "x", "metadata": {"n": 10**400}},
    ],
)
def test_a_value_of_another_type_is_rejected(fields: dict[str, Any]) -> None:
    assert _one(fields) == (None, "WRONG_TYPE")


@pytest.mark.parametrize(
    "line",
    [
        *(b"{", b"[]", b"7", b"null", b'"text"', b"plain words", b'{"text": "\xff"}'),
        *(b'{"text": NaN}', b'{"metadata": {"a": Infinity}}', b'{"text": "x"} {}'),
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_object_is_rejected_alone(line: bytes) -> None:
    content = b'{"_id": "a", "text": "x"}\n' + line + b'\n{"_id": "b", "text": "y"}'

    (batch,) = _read(content)

    assert [document.id for document in batch.documents] == ["a", "b"]
    assert batch.lines == (1, 3)
    assert [(one.line, one.reason) for one in batch.rejected] == [(2, "NOT_JSON")]


def test_every_line_is_in_one_batch_and_blank_ones_are_passed_over() -> None:
    content = b"".join(
        b"\n" if number % 5 == 0 else b'{"_id": "%d", "text": "x"}\r\n' % number
        for number in range(1, 26)
    )

    read = _read(content, at_most=7)

    assert [batch.last_line for batch in read] == [7, 14, 21, 25]
    lines = [line for batch in read for line in batch.lines]
    assert lines == [number for number in range(1, 26) if number % 5]
    assert [int(d.id) for batch in read for d in batch.documents] == lines
    assert read[-1].read_bytes == len(content)


@pytest.mark.parametrize("compressed", [False, True])
def test_reading_can_go_on_after_any_line(compressed: bool) -> None:  # noqa: FBT001 - a parameter of a test
    content = b'{"_id": "a"}\n' * 5 + b'{"_id": "b"}\n' * 5
    if compressed:
        content = gzip.compress(content)

    assert [batch.lines for batch in _read(content, after_line=7)] == [(8, 9, 10)]
    assert not _read(content, after_line=10)
    assert not _read(content, after_line=11)


def test_what_is_compressed_is_recognised_and_counted_as_it_lies_there() -> None:
    content = gzip.compress(b"".join(b'{"_id": "%d"}\n' % n for n in range(1000)))

    (batch,) = _read(content, at_most=1000)

    assert len(batch.documents) == 1000
    assert batch.read_bytes == len(content)


def test_a_file_that_is_cut_gives_what_is_before_and_then_says_so() -> None:
    content = gzip.compress(
        b"".join(b'{"_id": "%d", "text": "%d"}\n' % (n, n**9) for n in range(9999)), 1
    )
    read = batches(io.BytesIO(content[:-100]), name="cut.gz", at_most=10)

    assert next(read).last_line == 10
    with pytest.raises(Unreadable, match=r"cut\.gz: "):
        list(read)


def test_nothing_is_no_batch() -> None:
    assert not _read(b"")


def test_a_line_without_end_is_rejected_and_not_held() -> None:
    long = _Endless(b"x" * 65_536, times=64 * 16, then=b'\n{"_id": "a"}\n')
    tracemalloc.start()
    try:
        read = list(batches(long, name="file", at_most=10))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [one.reason for batch in read for one in batch.rejected] == ["TOO_LARGE"]
    assert [line for batch in read for line in batch.lines] == [2]
    assert peak < 64 * 1024 * 1024 < long.given


def test_batches_of_long_documents_are_short() -> None:
    line = json.dumps({"_id": "a", "text": "x" * 1_000_000}).encode()

    assert {len(batch.documents) for batch in _read(b"\n".join([line] * 10))} == {5}


class _Endless(io.RawIOBase, BinaryIO):
    """Gives the same bytes again and again."""

    def __init__(self, piece: bytes, *, times: int, then: bytes) -> None:
        self._pieces = self._all(piece, times, then)
        self.given = 0

    @staticmethod
    def _all(piece: bytes, times: int, then: bytes) -> Iterator[bytes]:
        for _ in range(times):
            yield piece
        yield then

    def read(self, size: int = -1, /) -> bytes:
        piece = next(self._pieces, b"")
        assert size < 0 or len(piece) <= size
        self.given += len(piece)
        return piece
