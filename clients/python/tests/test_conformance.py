"""The table that holds the clients of every language to the same answers."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from clients.conformance.comparing import ALWAYS_VOLATILE, difference, steady
from conftest import ROOT, a_gateway
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from rerank_client import AsyncRerankClient, RerankClient, RerankError, types

Case = dict[str, Any]

CASES: list[Case] = [
    case
    for file in sorted((ROOT / "clients/conformance/cases").glob("*.json"))
    for case in json.loads(file.read_text("utf-8"))
]

METHODS = {
    "rerank.v1.RerankService/Rerank": ("rerank", types.RerankRequest),
    "rerank.v1.RerankService/RerankBatch": ("rerank_batch", types.RerankBatchRequest),
    "rerank.v1.SearchService/Search": ("search", types.SearchRequest),
    "rerank.v1.SearchService/SearchProgressive": (
        "search_progressive",
        types.SearchProgressiveRequest,
    ),
    "rerank.v1.DocumentService/ImportDocuments": (
        "import_documents",
        types.ImportDocumentsRequest,
    ),
    "rerank.v1.DocumentService/DeleteDocuments": (
        "delete_documents",
        types.DeleteDocumentsRequest,
    ),
    "rerank.v1.DocumentService/GetDocument": ("get_document", types.GetDocumentRequest),
    "rerank.v1.DocumentService/ListDocuments": (
        "list_documents",
        types.ListDocumentsRequest,
    ),
    "rerank.v1.DocumentService/CreateCollection": (
        "create_collection",
        types.CreateCollectionRequest,
    ),
    "rerank.v1.DocumentService/DeleteCollection": (
        "delete_collection",
        types.DeleteCollectionRequest,
    ),
    "rerank.v1.DocumentService/ListCollections": (
        "list_collections",
        types.ListCollectionsRequest,
    ),
    "rerank.v1.BackendService/ListBackends": (
        "list_backends",
        types.ListBackendsRequest,
    ),
    "rerank.v1.BackendService/CheckBackend": (
        "check_backend",
        types.CheckBackendRequest,
    ),
}


# One for each client: the circuits of dead backends open when the table is run twice.
@pytest.fixture(scope="module")
def gateways() -> Iterator[tuple[str, str]]:
    with a_gateway() as one, a_gateway() as other:
        yield one, other


@pytest.fixture
def client(gateways: tuple[str, str]) -> Iterator[RerankClient]:
    with RerankClient(gateways[0]) as client:
        yield client


@pytest.fixture
async def async_client(
    gateways: tuple[str, str],
) -> AsyncIterator[AsyncRerankClient]:
    async with AsyncRerankClient(gateways[1]) as client:
        yield client


def test_the_table_is_there() -> None:
    assert CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_client_of_threads_sees_what_the_table_says(
    case: Case, client: RerankClient
) -> None:
    for call in case["calls"]:
        name, argument, options = _arguments(call)
        try:
            answer = getattr(client, name)(argument, **options)
            got = [answer] if isinstance(answer, Message) else [*answer]
        except RerankError as error:
            _check_error(error, call)
        else:
            _check_answers(got, call)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_the_client_of_coroutines_sees_what_the_table_says(
    case: Case, async_client: AsyncRerankClient
) -> None:
    for call in case["calls"]:
        name, argument, options = _arguments(call)
        asked = getattr(async_client, name)(argument, **options)
        try:
            streams = hasattr(asked, "__aiter__")
            got = [each async for each in asked] if streams else [await asked]
        except RerankError as error:
            _check_error(error, call)
        else:
            _check_answers(got, call)


def _arguments(call: Case) -> tuple[str, Any, dict[str, Any]]:
    name, kind = METHODS[call["method"]]
    options = {"timeout_s": call["timeout_s"]} if "timeout_s" in call else {}
    if "requests" in call:
        return name, [ParseDict(each, kind()) for each in call["requests"]], options
    return name, ParseDict(call["request"], kind()), options


def _check_answers(got: list[Message], call: Case) -> None:
    assert "error" not in call, "it answered instead of failing"
    expected = call["responses"] if "responses" in call else [call["response"]]
    answers = [MessageToDict(each) for each in got]
    if call["method"].endswith("/RerankBatch"):
        answers.sort(key=lambda each: str(each["requestId"]))
        expected = sorted(expected, key=lambda each: str(each["requestId"]))
    volatile = ALWAYS_VOLATILE | set(call.get("volatile", ()))
    told = difference(steady(answers, volatile), steady(expected, volatile))
    assert not told, told


def _check_error(error: RerankError, call: Case) -> None:
    assert "error" in call, f"it failed instead of answering: {error}"
    seen: dict[str, Any] = {
        "code": error.code.name,
        "reason": f"ERROR_REASON_{error.reason}",
        "metadata": dict(error.metadata),
    }
    if error.violations:
        seen["violations"] = [
            {"field": each.field, "description": each.description}
            for each in error.violations
        ]
    volatile = frozenset(call.get("volatile", ()))
    told = difference(steady(seen, volatile), steady(call["error"], volatile))
    assert not told, told
