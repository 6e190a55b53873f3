"""What is convenient to write becomes the right request."""

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseError

from rerank_client import requests
from rerank_client.filters import equal
from rerank_client.types import (
    CacheMode,
    CacheOptions,
    CheckBackendRequest,
    CreateCollectionRequest,
    DeleteCollectionRequest,
    DeleteDocumentsRequest,
    Document,
    FailurePolicy,
    FieldType,
    GetDocumentRequest,
    ImportDocumentsRequest,
    MmrOptions,
    RerankBatchRequest,
    RerankOptions,
    RerankRequest,
    RetrievalMode,
    RetrievalOptions,
    SearchProgressiveRequest,
    SearchRequest,
)


def test_a_document_is_a_text_a_mapping_or_a_message() -> None:
    request = requests.rerank(
        "q",
        [
            "a text",
            {"id": "b", "text": "b", "score": 0, "metadata": {"year": 2026}},
            Document(id="c"),
        ],
        {},
    )
    assert MessageToDict(request) == {
        "query": "q",
        "documents": [
            {"text": "a text"},
            {"id": "b", "text": "b", "score": 0.0, "metadata": {"year": 2026.0}},
            {"id": "c"},
        ],
    }


def test_a_misspelt_key_of_a_document_is_an_error() -> None:
    with pytest.raises(ParseError, match="txt"):
        requests.to_document({"txt": "a"})


def test_one_text_is_no_list_of_documents() -> None:
    with pytest.raises(TypeError, match="documents are several"):
        requests.rerank("q", "abc", {})
    with pytest.raises(TypeError, match="documents are several"):
        list(requests.ImportBatches("").gather("abc"))
    with pytest.raises(TypeError, match="ids are several"):
        requests.delete_documents("abc", "")


def test_every_field_of_a_rerank_can_be_said() -> None:
    request = requests.rerank(
        "q",
        [],
        {
            "route": "legal",
            "top_k": 7,
            "top_n": 3,
            "min_score": 0.0,
            "search_method": "vector",
            "instruction": "be strict",
            "query_embedding": [1.0, 2.0],
            "cache": CacheOptions(mode=CacheMode.CACHE_MODE_BYPASS),
            "failure_policy": FailurePolicy.FAILURE_POLICY_FAIL,
            "labels": {"team": "a"},
            "max_per_group": 2,
            "return_documents": True,
            "return_embeddings": True,
            "scoring_timeout_s": 0.25,
        },
    )
    left = {each.name for each in RerankRequest.DESCRIPTOR.fields}
    left -= {each.name for each, _ in request.ListFields()}
    assert left == {"documents"}
    assert request.timeout.ToTimedelta().total_seconds() == 0.25


def test_every_field_of_a_search_can_be_said() -> None:
    request = requests.search(
        "q",
        {
            "embedding": [1.0],
            "collection": "papers",
            "limit": 3,
            "offset": 1,
            "filter": equal("lang", "en"),
            "retrieval": RetrievalOptions(mode=RetrievalMode.RETRIEVAL_MODE_VECTOR),
            "mmr": MmrOptions(enabled=True),
            "rerank": RerankOptions(enabled=False),
            "failure_policy": FailurePolicy.FAILURE_POLICY_FAIL,
            "labels": {"team": "a"},
            "explain": True,
            "min_version": 4,
            "return_embeddings": True,
            "max_response_bytes": 100_000,
            "max_per_group": 2,
            "search_timeout_s": 1.5,
        },
    )
    fields = {each.name for each in SearchRequest.DESCRIPTOR.fields}
    assert {each.name for each, _ in request.ListFields()} == fields
    assert request.timeout.ToTimedelta().total_seconds() == 1.5


def test_what_is_not_said_is_unset() -> None:
    request = requests.rerank("q", [], {})
    assert not request.HasField("top_k")
    assert not request.HasField("min_score")
    assert not request.HasField("timeout")


@pytest.mark.parametrize(
    ("write", "whole"),
    [
        (lambda r: requests.rerank(r, (), {}), RerankRequest(query="q")),
        (lambda r: requests.search(r, {}), SearchRequest(query="q")),
        (lambda r: requests.search_progressive(r, {}), SearchProgressiveRequest()),
        (lambda r: requests.batched(3, r), RerankBatchRequest(request_id="x")),
        (lambda r: requests.delete_documents(r, ""), DeleteDocumentsRequest()),
        (
            lambda r: requests.get_document(r, "", return_embeddings=False),
            GetDocumentRequest(id="a"),
        ),
        (
            lambda r: requests.create_collection(r, requests.NO_FIELDS, 0),
            CreateCollectionRequest(name="a"),
        ),
        (requests.delete_collection, DeleteCollectionRequest(name="a")),
        (requests.check_backend, CheckBackendRequest(name="a")),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_whole_message_goes_out_as_it_is(write: Any, whole: Any) -> None:
    assert write(whole) is whole


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda: requests.rerank(RerankRequest(), ["a"], {}), "documents"),
        (lambda: requests.rerank(RerankRequest(), (), {"top_n": 1}), "top_n"),
        (lambda: requests.search(SearchRequest(), {"limit": 1}), "limit"),
        (
            lambda: requests.get_document(
                GetDocumentRequest(), "papers", return_embeddings=True
            ),
            "collection, return_embeddings",
        ),
        (
            lambda: requests.create_collection(
                CreateCollectionRequest(), {"a": FieldType.FIELD_TYPE_BOOL}, 0
            ),
            "fields",
        ),
    ],
)
def test_nothing_is_said_beside_a_whole_message(write: Any, said: str) -> None:
    with pytest.raises(TypeError, match=f"^{said} beside a whole"):
        write()


def test_a_search_message_is_enough_for_a_progressive_search() -> None:
    request = requests.search_progressive(SearchRequest(query="q"), {})
    assert request.search.query == "q"


def test_a_batch_numbers_its_requests() -> None:
    request = requests.batched(3, RerankRequest(query="q"))
    assert request == RerankBatchRequest(
        request_id="3", request=RerankRequest(query="q")
    )


def test_imports_are_batched_by_number() -> None:
    batches = list(requests.ImportBatches("papers").gather(["a"] * 201))
    assert [(each.batch_id, len(each.documents)) for each in batches] == [
        ("0", 100),
        ("100", 100),
        ("200", 1),
    ]
    assert {each.collection for each in batches} == {"papers"}


def test_imports_are_batched_by_size() -> None:
    big = "a" * 1_500_000
    batches = list(requests.ImportBatches("").gather([big] * 5))
    assert [(each.batch_id, len(each.documents)) for each in batches] == [
        ("0", 2),
        ("2", 2),
        ("4", 1),
    ]


def test_a_whole_batch_goes_out_in_its_turn() -> None:
    whole = ImportDocumentsRequest(batch_id="mine", documents=[Document(), Document()])
    batches = list(requests.ImportBatches("").gather(["a", whole, "b"]))
    assert [each.batch_id for each in batches] == ["0", "mine", "3"]


def test_an_import_of_nothing_sends_nothing() -> None:
    assert list(requests.ImportBatches("").gather([])) == []
