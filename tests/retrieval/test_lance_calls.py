"""What processes over one store say to each other arrives as it was said."""

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.retrieval import retriever as kinds
from gateway.retrieval.errors import InvalidDocument, RetrieverError, VersionNotReached
from gateway.retrieval.filter import Field, FieldType, Value
from gateway.retrieval.retriever import Document
from gateway.retrieval.shared.calls import (
    Create,
    Delete,
    Done,
    Drop,
    Upsert,
    call_frame,
    done_frame,
    failed_frame,
    read_call,
    read_done,
)
from gateway.retrieval.shared.frames import BrokenFrame, Frame, receive
from tests.retrieval.filters import documents

KINDS = [
    each
    for each in vars(kinds).values()
    if isinstance(each, type) and issubclass(each, RetrieverError)
]


@pytest.mark.parametrize("kind", [each for each in KINDS if each != VersionNotReached])
def test_a_failure_arrives_as_itself(kind: type[RetrieverError]) -> None:
    with pytest.raises(kind, match=r"^it's\nso$") as caught:
        read_done(failed_frame(kind("it's\nso")))
    assert type(caught.value) is kind


def test_a_failure_keeps_what_it_knows() -> None:
    with pytest.raises(VersionNotReached) as caught:
        read_done(failed_frame(VersionNotReached("no", version=7)))
    assert caught.value.version == 7
    with pytest.raises(ValueError, match="no name"):
        read_done(failed_frame(ValueError("no name")))


def test_what_was_done_arrives() -> None:
    assert read_done(done_frame(Done(2**60, 3))) == Done(2**60, 3)


@pytest.mark.parametrize(
    "call",
    [
        Create("books", (Field("a", FieldType.TIMESTAMP),), 4, "model-é"),
        Drop("books"),
        Delete("books", ("it's", "\0", "")),
    ],
)
def test_a_call_arrives(call: Create | Drop | Delete) -> None:
    assert read_call(call_frame(call)) == call


@given(documents(), st.sampled_from([None, (), (0,), (3,), (2, 2)]), st.text())
def test_a_document_arrives_whole(
    values: dict[str, Value], shape: tuple[int, ...] | None, text: str
) -> None:
    vector = None if shape is None else np.full(shape, 0.1, np.float32)
    sent = [
        Document("a", text, "", vector, metadata=text, values=values),
        Document("b", "", text, np.array([1, np.nan], np.float32), group_id=text),
    ]
    call = read_call(call_frame(Upsert("books", tuple(sent), "")))
    assert isinstance(call, Upsert)
    assert len(call.documents) == len(sent)
    for before, after in zip(sent, call.documents, strict=True):
        for name in ("id", "title", "text", "group_id", "metadata", "values"):
            assert getattr(after, name) == getattr(before, name)
        assert (after.vector is None) is (before.vector is None)
        np.testing.assert_array_equal(after.vector, before.vector)


@pytest.mark.parametrize(
    "document",
    [
        Document("a", "", "half \ud800", None),
        Document("a", "", "", None, values={"pages": 2**70}),
    ],
)
def test_what_cannot_be_said_is_refused(document: Document) -> None:
    with pytest.raises(InvalidDocument):
        call_frame(Upsert("books", (document,), ""))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b"{}",
        b'{"call": "Upsert", "collection": "a", "embedder": "", "documents": [{}]}',
        b'{"call": "Create", "collection": "a", "fields": [["a", "colour"]]}',
    ],
)
def test_nonsense_is_no_call_and_no_answer(said: bytes) -> None:
    with pytest.raises(BrokenFrame):
        read_call(Frame(said))
    with pytest.raises(BrokenFrame):
        read_done(Frame(said))


@given(st.binary(max_size=40))
async def test_noise_is_no_message(noise: bytes) -> None:
    reader: Any = asyncio.StreamReader()
    reader.feed_data(noise)
    reader.feed_eof()
    with pytest.raises(BrokenFrame):
        await receive(reader)
