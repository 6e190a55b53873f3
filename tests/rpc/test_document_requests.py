"""From the requests of DocumentService to plain values, or to every violation in them."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from gateway.contract import Document
from gateway.errors import InvalidRequest
from gateway.retrieval import retriever
from gateway.retrieval.filter import Field, FieldType
from gateway.rpc.document_requests import (
    CreateAsk,
    ImportAsk,
    read_create,
    read_delete,
    read_delete_collection,
    read_get,
    read_import,
)
from gateway.rpc.documents import read_document, write_document
from gateway.rpc.requests import Limits
from gateway.storing.batches import Incoming
from rerank.v1 import collection_pb2, document_pb2, document_service_pb2

LIMITS = Limits(max_documents=3, max_document_bytes=20, max_query_bytes=10)

ImportDocumentsRequest = document_service_pb2.ImportDocumentsRequest
CreateCollectionRequest = document_service_pb2.CreateCollectionRequest
CollectionField = collection_pb2.CollectionField

STRING = collection_pb2.FIELD_TYPE_STRING


def violations(read: Callable[[], object]) -> list[str]:
    """Give the paths of all mistakes, and make sure that nothing is quoted."""
    with pytest.raises(InvalidRequest) as raised:
        read()
    assert "ecret" not in str(raised.value)
    assert not any("ecret" in each.description for each in raised.value.violations)
    return [each.field for each in raised.value.violations]


# Imports


def test_the_smallest_batch_is_empty_and_for_the_default_collection() -> None:
    read = read_import(ImportDocumentsRequest(), LIMITS, collection="")
    assert read == ImportAsk("default", "", ())


def test_everything_that_a_batch_says_is_read() -> None:
    message = ImportDocumentsRequest(
        collection="papers",
        batch_id="é" * 64,
        documents=[
            document_pb2.Document(
                id="1", title="T", text="a", score=0.5, embedding=[1, 2], group_id="g"
            ),
            document_pb2.Document(),
        ],
    )
    assert read_import(message, LIMITS, collection="") == ImportAsk(
        "papers",
        "é" * 64,
        (
            Incoming(
                "1",
                Document(title="T", text="a", group_id="g", embedding=(1.0, 2.0)),
            ),
            Incoming("", Document()),
        ),
    )


@pytest.mark.parametrize("named", ["", "papers"])
def test_later_batches_need_not_name_the_collection(named: str) -> None:
    message = ImportDocumentsRequest(collection=named)
    assert read_import(message, LIMITS, collection="papers").collection == "papers"


def test_an_import_that_began_without_a_name_may_name_the_default_one() -> None:
    message = ImportDocumentsRequest(collection="default")
    assert read_import(message, LIMITS, collection="default").collection == "default"


def test_every_fault_of_a_batch_is_told() -> None:
    message = ImportDocumentsRequest(
        collection="secret",
        batch_id="secret" * 22,
        documents=[document_pb2.Document(text="secret")] * 4,
    )
    assert violations(lambda: read_import(message, LIMITS, collection="papers")) == [
        "collection",
        "batch_id",
        "documents",
    ]


def test_a_faulty_document_is_no_fault_of_its_batch() -> None:
    message = ImportDocumentsRequest(
        documents=[document_pb2.Document(id="i" * 2000, text="x" * 21)]
    )
    assert len(read_import(message, LIMITS, collection="").documents) == 1


# Ids


def test_ids_are_read_for_the_default_collection_too() -> None:
    message = document_service_pb2.DeleteDocumentsRequest(ids=["a", "b", "a"])
    assert read_delete(message) == ("default", ("a", "b", "a"))
    found = document_service_pb2.GetDocumentRequest(collection="papers", id="a")
    assert read_get(found) == ("papers", "a")


@pytest.mark.parametrize(
    ("ids", "fields"),
    [
        ([], ["ids"]),
        (["secret"] * 1001, ["ids"]),
        (["a", "", "b", ""], ["ids[1]", "ids[3]"]),
    ],
)
def test_ids_that_cannot_be_removed_are_told(ids: list[str], fields: list[str]) -> None:
    message = document_service_pb2.DeleteDocumentsRequest(ids=ids)
    assert violations(lambda: read_delete(message)) == fields


def test_what_is_required_is_told() -> None:
    get = document_service_pb2.GetDocumentRequest()
    assert violations(lambda: read_get(get)) == ["id"]
    delete = document_service_pb2.DeleteCollectionRequest()
    assert violations(lambda: read_delete_collection(delete)) == ["name"]


# Collections


def test_every_type_of_a_field_is_read() -> None:
    types = [
        each
        for each in collection_pb2.FieldType.values()
        if each  # all but unspecified
    ]
    message = CreateCollectionRequest(
        name="papers",
        fields=[CollectionField(name=f"f{number}", type=number) for number in types],
        embedding_dimension=8192,
    )
    read = read_create(message)
    assert [each.type for each in read.fields] == list(FieldType)
    assert read.dimension == 8192


def test_the_smallest_collection_has_a_name() -> None:
    longest = "a" * 64
    message = CreateCollectionRequest(name=longest)
    assert read_create(message) == CreateAsk(longest, (), 0)


def test_what_is_exactly_at_a_limit_is_taken() -> None:
    names = ["_" * 64, *(f"A{number}" for number in range(63))]
    message = CreateCollectionRequest(
        name="a", fields=[CollectionField(name=each, type=STRING) for each in names]
    )
    assert read_create(message).fields == tuple(
        Field(each, FieldType.STRING) for each in names
    )


@pytest.mark.parametrize(
    "name", ["", "Secret", "1secret", "_secret", "se-cret", "secret\n", "s" * 65]
)
def test_a_name_that_no_collection_has_is_told(name: str) -> None:
    message = CreateCollectionRequest(name=name)
    assert violations(lambda: read_create(message)) == ["name"]


def test_every_fault_of_a_collection_is_told() -> None:
    message = CreateCollectionRequest(
        name="",
        fields=[
            CollectionField(name="a", type=STRING),
            CollectionField(name="a", type=STRING),
            CollectionField(name="1secret", type=STRING),
            CollectionField(name="b"),
            CollectionField(name="c", type=77),  # type: ignore[arg-type]  # of another version
        ],
        embedding_dimension=8193,
    )
    assert violations(lambda: read_create(message)) == [
        "name",
        "fields[1].name",
        "fields[2].name",
        "fields[3].type",
        "fields[4].type",
        "embedding_dimension",
    ]
    many = [CollectionField(name=f"f{place}", type=STRING) for place in range(65)]
    message = CreateCollectionRequest(name="a", fields=many, embedding_dimension=-1)
    assert violations(lambda: read_create(message)) == ["fields", "embedding_dimension"]


# Documents


def stored(message: document_pb2.Document) -> retriever.Document:
    """Store it as the use case would, as far as this matters here."""
    read = read_document(message)
    vector = read.document.embedding
    return retriever.Document(
        id=read.id,
        title=read.document.title,
        text=read.document.text,
        vector=None if vector is None else np.array(vector, dtype=np.float32),
        group_id=read.document.group_id,
    )


def test_a_document_is_written_as_it_was_read() -> None:
    message = document_pb2.Document(
        id="1", title="T", text="a", embedding=[0.1, -2.0], group_id="g"
    )
    assert write_document(stored(message), with_vector=True) == message
    del message.embedding[:]
    assert write_document(stored(message), with_vector=True) == message


def test_a_vector_that_was_not_asked_for_is_not_written() -> None:
    message = document_pb2.Document(id="1", embedding=[1.0])
    assert not write_document(stored(message), with_vector=False).embedding


def test_metadata_is_read_as_json_has_it() -> None:
    text = '{"n": null, "f": 1.5, "s": "é", "b": true, "l": [1.0, [], {}], "o": {}}'
    message = document_pb2.Document()
    message.metadata.update(json.loads(text))
    message.metadata.fields["unset"].Clear()
    assert read_document(message).metadata == {**json.loads(text), "unset": None}


@pytest.mark.parametrize(
    "text", ['{"n":null,"f":1.5,"s":"é","b":true,"l":[1.0,[],{}],"o":{}}', "{}"]
)
def test_metadata_is_written_as_it_was_stored(text: str) -> None:
    kept = retriever.Document("1", "", "x", None, metadata=text)
    written = write_document(kept, with_vector=False)
    assert written.HasField("metadata")
    assert read_document(written).metadata == json.loads(text)


def test_metadata_that_was_never_there_is_not_written() -> None:
    kept = retriever.Document("1", "", "x", None)
    assert not write_document(kept, with_vector=False).HasField("metadata")
