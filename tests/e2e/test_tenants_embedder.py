"""Vectors cost money: the ledger is what the embedder's vendor bills, over real sockets."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.tenants.ledger import Calendar
from gateway.tenants.ledger_lines import read_ledger
from rerank.v1 import (
    backend_service_pb2,
    backend_service_pb2_grpc,
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
    execution_pb2,
    search_service_pb2,
    search_service_pb2_grpc,
)
from tests.e2e.running import running
from tests.e2e.test_tenants import details
from tests.e2e.vendor import Exchange, Vendor, reply, reply_json
from tests.support.identities import keys_of, shown_by

pytestmark = pytest.mark.real_time

_PATIENCE_S = 30.0
_PRICE = Decimal("0.02")
"""Of a million tokens."""


class Embedding(Vendor):
    """Speaks OpenAI's dialect, and bills a token for each letter.

    The first word of a text says who asks.
    """

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.calls: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.failures = 0

    async def _answer(self, exchange: Exchange) -> None:
        if self.failures:
            self.failures -= 1
            await reply(503, b"{}")(exchange)
            return
        texts = exchange.received.json["input"]
        tenant = texts[0].partition(" ")[0]
        tokens = sum(map(len, texts))
        self.calls[tenant] += 1
        self.tokens[tenant] += tokens
        await reply_json(
            {
                "model": "m",
                "data": [
                    {"index": place, "embedding": [1.0, float(len(text)), 2.0]}
                    for place, text in enumerate(texts)
                ],
                "usage": {"total_tokens": tokens},
            }
        )(exchange)


@dataclass(frozen=True, slots=True)
class Scene:
    vendor: Embedding
    search: "search_service_pb2_grpc.SearchServiceAsyncStub"
    documents: "document_service_pb2_grpc.DocumentServiceAsyncStub"
    backends: "backend_service_pb2_grpc.BackendServiceAsyncStub"

    async def found(
        self, tenant: str, query: str, **labels: str
    ) -> search_service_pb2.SearchResponse:
        request = search_service_pb2.SearchRequest(
            query=f"{tenant} {query}", collection="papers", labels=labels
        )
        request.rerank.enabled = False
        return await self.search.Search(
            request, metadata=shown_by(tenant), timeout=_PATIENCE_S
        )

    async def imported(self, tenant: str, *batches: int) -> list[int]:
        """Import batches of so many documents; gives how many were taken of each."""

        async def requests() -> AsyncIterator[
            document_service_pb2.ImportDocumentsRequest
        ]:
            for number, count in enumerate(batches):
                names = [f"{tenant}-{number}-{each}" for each in range(count)]
                yield document_service_pb2.ImportDocumentsRequest(
                    collection="papers",
                    batch_id=str(number),
                    documents=[
                        document_pb2.Document(id=each, text=f"{tenant} {each}")
                        for each in names
                    ],
                )

        taken: list[int] = []
        call = self.documents.ImportDocuments(
            requests(), metadata=shown_by(tenant), timeout=_PATIENCE_S
        )
        try:
            async for answer in call:
                taken += [answer.accepted_count]
        except grpc.aio.AioRpcError as error:
            raise Refused(taken, error) from error
        return taken

    async def stored(self) -> int:
        listed = await self.documents.ListCollections(
            document_service_pb2.ListCollectionsRequest(),
            metadata=shown_by("owner"),
            timeout=_PATIENCE_S,
        )
        return listed.collections[0].document_count


class Refused(Exception):
    """An import that came to an end before its last batch."""

    def __init__(self, taken: list[int], error: grpc.aio.AioRpcError) -> None:
        super().__init__(taken)
        self.taken = taken
        self.error = error


@asynccontextmanager
async def scene(folder: Path, **tenants: Mapping[str, Any]) -> AsyncIterator[Scene]:
    async with Embedding() as vendor:
        settings = {
            "retrieval": {"engine": "embedded", "path": str(folder / "collections")},
            "embedder": {
                "dialect": "openai",
                "url": vendor.url,
                "max_texts": 4,
                "price": {"per_million_tokens": _PRICE},
            },
            "backends": {"local": {"dialect": "local", "price": {"per_1000_calls": 0}}},
            "tenants": {"owner": {"requests_per_s": 1000}, **tenants},
            "identity": keys_of("owner", "acme", "beta"),
            "ledger": {"path": folder / "ledger.sqlite", "labels": ["team"]},
        }
        async with running(settings) as started:
            channel = started.channel
            documents = document_service_pb2_grpc.DocumentServiceStub(channel)
            await documents.CreateCollection(
                document_service_pb2.CreateCollectionRequest(name="papers"),
                metadata=shown_by("owner"),
                timeout=_PATIENCE_S,
            )
            yield Scene(
                vendor,
                search_service_pb2_grpc.SearchServiceStub(channel),
                documents,
                backend_service_pb2_grpc.BackendServiceStub(channel),
            )


def written(folder: Path) -> dict[str, tuple[int, int, Decimal]]:
    """Give calls, tokens and money by tenant, once all is settled."""
    lines = read_ledger(folder / "ledger.sqlite", day=Calendar().today(), tenant=None)
    found: dict[str, tuple[int, int, Decimal]] = {}
    for each in lines:
        assert each.account.backend == "embedder"
        assert not each.reserved.calls
        assert not each.estimated
        calls, tokens, cost = found.get(each.account.tenant, (0, 0, Decimal(0)))
        found[each.account.tenant] = (
            calls + each.spent.calls,
            tokens + each.spent.tokens,
            cost + Decimal(each.spent.cost) / 10**9,
        )
    return found


async def test_the_ledger_is_what_the_vendor_bills(tmp_path: Path) -> None:
    async with scene(tmp_path) as of:
        assert await of.imported("acme", 3, 10) == [3, 10]
        assert await of.imported("beta", 1) == [1]
        for tenant in ("acme", "beta"):
            for query in ("soup", "soup", "bread"):
                answer = await of.found(tenant, query, team="a")
                assert answer.search_method == "rrf_hybrid"
        of.vendor.failures = 1
        degraded = await of.found("acme", "cake")
        assert degraded.search_method == "fulltext"
        bills = {
            tenant: (calls, of.vendor.tokens[tenant])
            for tenant, calls in of.vendor.calls.items()
        }
    found = written(tmp_path)
    # Asked for its dimension, by a text of the gateway's own, for who makes a collection.
    (probe,) = bills.keys() - {"acme", "beta"}
    bills["owner"] = bills.pop(probe)
    assert found == {
        tenant: (calls, tokens, _PRICE * tokens / 10**6)
        for tenant, (calls, tokens) in bills.items()
    }
    # 1 + 3 for the batches of four, and two queries.
    assert bills["acme"][0] == 6
    lines = read_ledger(tmp_path / "ledger.sqlite", day=Calendar().today(), tenant=None)
    teams = [each.account.labels for each in lines if each.account.tenant == "acme"]
    assert sorted(teams) == [(), (("team", "a"),)]


@pytest.mark.parametrize(
    "limits", [{"daily": {"embedder": {"tokens": 40}}}, {"daily_budget": "0.0000008"}]
)
async def test_who_may_use_no_more_is_searched_by_words_and_told_so(
    limits: Mapping[str, Any], tmp_path: Path
) -> None:
    async with scene(tmp_path, acme=limits) as of:
        await of.imported("beta", 2)
        assert (await of.found("acme", "soup" * 5)).search_method == "rrf_hybrid"
        asked = len(of.vendor.received)
        answer = await of.found("acme", "bread" * 20)
        # What is remembered needs no money.
        again = await of.found("acme", "soup" * 5)
        other = await of.found("beta", "bread" * 20)
        assert len(of.vendor.received) == asked + 1
    assert answer.search_method == "fulltext"
    embed, retrieve = answer.execution.stages[:2]
    assert embed.outcome == execution_pb2.STAGE_OUTCOME_FAILED
    assert embed.reason == execution_pb2.FALLBACK_REASON_RATE_LIMITED
    assert "no more than" in embed.detail
    assert retrieve.outcome == execution_pb2.STAGE_OUTCOME_DEGRADED
    assert "vector search failed" in answer.message
    assert again.search_method == other.search_method == "rrf_hybrid"


async def test_an_import_without_means_takes_no_half_of_a_batch(tmp_path: Path) -> None:
    acme = {"daily": {"embedder": {"calls": 3}}}
    async with scene(tmp_path, acme=acme) as of:
        asked = len(of.vendor.received)
        with pytest.raises(Refused) as raised:
            # One call, and three, of which two could be paid.
            await of.imported("acme", 2, 10)
        assert raised.value.taken == [2]
        assert len(of.vendor.received) == asked + 1
        assert await of.stored() == 2
        error = raised.value.error
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        said = details(error)
        assert said["ErrorInfo"].reason == "QUOTA_EXCEEDED"
        assert dict(said["ErrorInfo"].metadata) == {
            "quota": "daily.embedder.calls",
            "limit": "3",
        }
        assert said["RetryInfo"].retry_delay.seconds > 0
    assert written(tmp_path)["acme"][0] == 1


async def test_whoever_asks_whether_it_works_does_not_pay(tmp_path: Path) -> None:
    async with scene(tmp_path) as of:
        checked = await of.backends.CheckBackend(
            backend_service_pb2.CheckBackendRequest(name="embedder"),
            metadata=shown_by("owner"),
            timeout=_PATIENCE_S,
        )
        assert checked.available
    assert written(tmp_path)["(gateway)"][0] == 1
    assert written(tmp_path)["owner"][0] == 1


async def test_one_without_a_price_is_told_of_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {
        "retrieval": {"engine": "embedded", "path": str(tmp_path / "collections")},
        "tenants": {"acme": {"requests_per_s": 10}},
        "ledger": {"path": tmp_path / "ledger.sqlite"},
    }
    said = "the embedder has no price: its calls are counted as unpriced"
    async with running(settings):
        assert said in caplog.messages
    caplog.clear()
    async with running({**settings, "embedder": {"price": {"per_1000_calls": 0}}}):
        assert said not in caplog.messages
