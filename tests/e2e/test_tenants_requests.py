"""Searches without a rerank, imports and deletions count against a tenant's rates too."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from rerank.v1 import (
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
    execution_pb2,
    search_service_pb2,
    search_service_pb2_grpc,
)
from tests.e2e.running import running
from tests.e2e.test_tenants import details
from tests.support.identities import keys_of, shown_by

pytestmark = pytest.mark.real_time

_PATIENCE_S = 30.0
ACME, OTHER = shown_by("acme"), shown_by("other")


@dataclass(frozen=True, slots=True)
class Scene:
    search: "search_service_pb2_grpc.SearchServiceAsyncStub"
    documents: "document_service_pb2_grpc.DocumentServiceAsyncStub"

    async def found(self, *, reranked: bool) -> search_service_pb2.SearchResponse:
        request = search_service_pb2.SearchRequest(
            query="soup", collection="papers", limit=2
        )
        request.rerank.enabled = reranked
        return await self.search.Search(request, metadata=ACME, timeout=_PATIENCE_S)

    async def imported(self, *batches: str) -> list[str]:
        async def requests() -> AsyncIterator[
            document_service_pb2.ImportDocumentsRequest
        ]:
            for each in batches:
                yield document_service_pb2.ImportDocumentsRequest(
                    collection="papers",
                    batch_id=each,
                    documents=[document_pb2.Document(id=each, text=f"soup {each}")],
                )

        call = self.documents.ImportDocuments(
            requests(), metadata=ACME, timeout=_PATIENCE_S
        )
        return [answer.batch_id async for answer in call]


@asynccontextmanager
async def scene(folder: Path, acme: Mapping[str, Any]) -> AsyncIterator[Scene]:
    settings = {
        "retrieval": {"engine": "embedded", "path": str(folder / "collections")},
        "embedder": {"dialect": "none"},
        "tenants": {"acme": acme},
        "identity": keys_of("acme", "other"),
        "ledger": {"path": folder / "ledger.sqlite"},
    }
    async with running(settings) as started:
        documents = document_service_pb2_grpc.DocumentServiceStub(started.channel)
        await documents.CreateCollection(
            document_service_pb2.CreateCollectionRequest(name="papers"),
            metadata=OTHER,
            timeout=_PATIENCE_S,
        )
        await documents.ImportDocuments(
            iter(
                [
                    document_service_pb2.ImportDocumentsRequest(
                        collection="papers",
                        batch_id="0",
                        documents=[document_pb2.Document(id="0", text="soup")],
                    )
                ]
            ),
            metadata=OTHER,
            timeout=_PATIENCE_S,
        ).read()
        search = search_service_pb2_grpc.SearchServiceStub(started.channel)
        yield Scene(search, documents)


async def test_a_search_without_a_rerank_has_no_other_answer(tmp_path: Path) -> None:
    async with scene(tmp_path, {"requests_per_s": 0.01, "requests_burst": 2}) as of:
        for _ in range(2):
            assert (await of.found(reranked=False)).results
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await of.found(reranked=False)
        # With one it is answered as it was found, as ever.
        fallen = await of.found(reranked=True)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    said = details(raised.value)
    assert said["ErrorInfo"].reason == "QUOTA_EXCEEDED"
    assert dict(said["ErrorInfo"].metadata) == {
        "quota": "requests_per_s",
        "limit": "0.01",
    }
    wait_s = said["RetryInfo"].retry_delay.ToTimedelta().total_seconds()
    assert 0 < wait_s <= 100
    assert fallen.results
    assert (
        fallen.execution.fallback_reason == execution_pb2.FALLBACK_REASON_RATE_LIMITED
    )


async def test_a_search_with_a_rerank_counts_once(tmp_path: Path) -> None:
    async with scene(tmp_path, {"requests_per_s": 0.01, "requests_burst": 3}) as of:
        outcomes = [(await of.found(reranked=True)).execution.outcome for _ in range(4)]
    reranked, fell_back = (
        execution_pb2.OUTCOME_RERANKED,
        execution_pb2.OUTCOME_FELL_BACK,
    )
    assert outcomes == [reranked] * 3 + [fell_back]


async def test_one_of_which_nothing_is_found_counts_too(tmp_path: Path) -> None:
    async with scene(tmp_path, {"requests_per_s": 0.01, "requests_burst": 1}) as of:
        request = search_service_pb2.SearchRequest(query="xyz", collection="papers")
        await of.search.Search(request, metadata=ACME, timeout=_PATIENCE_S)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await of.found(reranked=False)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_calls_for_documents_count(tmp_path: Path) -> None:
    async with scene(tmp_path, {"requests_per_s": 0.01, "requests_burst": 3}) as of:
        assert await of.imported("1") == ["1"]
        await of.documents.GetDocument(
            document_service_pb2.GetDocumentRequest(collection="papers", id="1"),
            metadata=ACME,
            timeout=_PATIENCE_S,
        )
        delete = document_service_pb2.DeleteDocumentsRequest(
            collection="papers", ids=["1"]
        )
        await of.documents.DeleteDocuments(delete, metadata=ACME, timeout=_PATIENCE_S)
        for asked in (
            of.documents.DeleteDocuments(delete, metadata=ACME, timeout=_PATIENCE_S),
            of.imported("2"),
            of.found(reranked=False),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await asked
            assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert details(raised.value)["ErrorInfo"].reason == "QUOTA_EXCEEDED"


async def test_an_import_goes_as_fast_as_its_tenant_may(tmp_path: Path) -> None:
    async with scene(tmp_path, {"requests_per_s": 100, "requests_burst": 1}) as of:
        began = asyncio.get_running_loop().time()
        batches = [str(number) for number in range(20)]
        assert await of.imported(*batches) == batches
        assert asyncio.get_running_loop().time() - began >= 0.19


async def test_an_import_is_one_call_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path, {"max_concurrent_calls": 1}) as of:
        call = of.documents.ImportDocuments(metadata=ACME, timeout=_PATIENCE_S)
        first = document_service_pb2.ImportDocumentsRequest(
            collection="papers",
            batch_id="1",
            documents=[document_pb2.Document(id="1", text="soup")],
        )
        await call.write(first)
        assert isinstance(
            await call.read(), document_service_pb2.ImportDocumentsResponse
        )
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await of.found(reranked=False)
        quota = details(raised.value)["ErrorInfo"].metadata["quota"]
        assert quota == "max_concurrent_calls"
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        async with asyncio.timeout(_PATIENCE_S):
            while True:  # its end is noticed a moment after it was told
                try:
                    await of.found(reranked=False)
                except grpc.aio.AioRpcError:
                    continue
                break
