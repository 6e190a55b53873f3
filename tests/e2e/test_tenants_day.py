"""A day of three tenants, with two restarts and a `kill -9`: the ledger is what vendors bill."""

import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest

from rerank.v1 import (
    document_pb2,
    execution_pb2,
    options_pb2,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
)
from tests.e2e.running import _variables
from tests.e2e.subprocesses import Serving, command, serving
from tests.support.billing import PRICES, Billing, cost_of
from tests.support.identities import keys_of, shown_by

pytestmark = pytest.mark.real_time

DIALECTS = {"cohere": "cohere-v2", "voyage": "voyage", "pinecone": "pinecone"}
MODELS = {"cohere": "rerank-v3.5", "voyage": "rerank-2.5", "pinecone": "bge-reranker"}

TENANTS = {
    "acme": {"daily": {"cohere": {"search_units": 12}}},
    "beta": {"daily_budget": "0.015"},
    "gamma": {"daily": {"voyage": {"tokens": 1000}}},
}


class Day:
    """The vendors, and gateways that come and go in front of them."""

    def __init__(self, vendors: Mapping[str, Billing], folder: Path) -> None:
        self.vendors = vendors
        self.ledger = folder / "ledger.sqlite"
        self.began = datetime.now(UTC).date()
        backends: dict[str, Any] = {
            name: {
                "dialect": DIALECTS[name],
                "model": MODELS[name],
                "url": vendor.url,
                "max_documents": 100,
                "retries": 1,
                "extra_calls": 1,
                "price": {PRICES[name][0]: PRICES[name][1]},
            }
            for name, vendor in vendors.items()
        }
        routes = {name: {"backends": [name]} for name in vendors}
        routes["default"] = {"backends": ["cohere", "pinecone"]}
        self.environ = dict(
            _variables(
                {
                    "backends": backends,
                    "routes": routes,
                    "tenants": TENANTS,
                    "identity": keys_of("acme", "beta", "gamma"),
                    "ledger": {
                        "path": self.ledger,
                        "currency": "USD",
                        "labels": ["team"],
                    },
                }
            )
        )

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator["Gateway"]:
        async with (
            serving(environ=self.environ) as served,
            grpc.aio.insecure_channel(served.address) as channel,
        ):
            yield Gateway(served, channel)

    async def usage(self, *arguments: str) -> list[dict[str, Any]]:
        """Ask for what was used, of today and of yesterday where it is midnight."""
        found = []
        for day in sorted({self.began, datetime.now(UTC).date()}):
            asked = await command(
                *("usage", "--json", "--day", str(day), *arguments),
                environ=self.environ,
            )
            assert asked.code == 0, asked.err
            found += [json.loads(line) for line in asked.out.splitlines()]
        return found

    async def check(self) -> None:
        """Compare the ledger with the bills, to the unit and to the last billionth."""
        written: dict[tuple[str, str], tuple[int, Decimal, Decimal]] = {}
        for line in await self.usage():
            key = line["tenant"], line["backend"]
            calls, units, cost = written.get(key, (0, Decimal(0), Decimal(0)))
            units += Decimal(line["search_units"]) + line["tokens"]
            written[key] = (
                calls + line["calls"],
                units,
                cost + Decimal(line["cost"]),
            )
            assert not line["reserved_calls"]
            assert not line["unpriced_calls"]
        billed = {
            (tenant, name): (
                calls,
                Decimal(vendor.bill.units[tenant]),
                cost_of(name, vendor.bill.units[tenant]),
            )
            for name, vendor in self.vendors.items()
            for tenant, calls in vendor.bill.calls.items()
        }
        assert {key: value for key, value in written.items() if value[0]} == billed


class Gateway:
    """One gateway, and how its tenants ask it."""

    def __init__(self, served: Serving, channel: grpc.aio.Channel) -> None:
        self.served = served
        self._stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        self._asked = 0

    def ask(
        self,
        tenant: str,
        route: str,
        *,
        count: int = 3,
        again: bool = False,
        fail: bool = False,
        **labels: str,
    ) -> Any:
        self._asked += not again
        request = rerank_service_pb2.RerankRequest(
            query=f"{tenant} asks {self._asked} of {self.served.pid}",
            documents=[
                document_pb2.Document(text="x" * (place % 7 + 1) + f" {place}")
                for place in range(count)
            ],
            route=route,
            top_k=count,
            labels=labels,
            failure_policy=options_pb2.FAILURE_POLICY_FAIL
            if fail
            else options_pb2.FAILURE_POLICY_KEEP_ORDER,
        )
        return self._stub.Rerank(request, timeout=30, metadata=shown_by(tenant))


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[Day]:
    async with AsyncExitStack() as parts:
        vendors = {
            name: await parts.enter_async_context(Billing(dialect))
            for name, dialect in DIALECTS.items()
        }
        yield Day(vendors, tmp_path)


def reranked(answer: rerank_service_pb2.RerankResponse) -> bool:
    return answer.execution.outcome == execution_pb2.OUTCOME_RERANKED


def rate_limited(answer: rerank_service_pb2.RerankResponse) -> bool:
    execution = answer.execution
    return (
        execution.outcome == execution_pb2.OUTCOME_FELL_BACK
        and execution.fallback_reason == execution_pb2.FALLBACK_REASON_RATE_LIMITED
        and [each.index for each in answer.results] == list(range(len(answer.results)))
    )


async def in_the_morning(day: Day) -> None:
    cohere = day.vendors["cohere"]
    async with day.gateway() as morning:
        # Two of 100 documents in two calls, one of 250 in three.
        for count in (3, 100, 250):
            assert reranked(await morning.ask("acme", "cohere", count=count))
        assert reranked(await morning.ask("acme", "cohere", count=250, again=True))
        for team in ("search", "search", "ads"):
            assert reranked(await morning.ask("beta", "pinecone", team=team))
        assert reranked(await morning.ask("gamma", "voyage", count=20))
        cohere.failures = 1  # and is asked once more
        assert reranked(await morning.ask("beta", "cohere"))
        cohere.failures = 2  # and Pinecone answers instead
        instead = await morning.ask("acme", "default")
        assert instead.execution.backend == "pinecone"
        await morning.served.stop(signal.SIGTERM)


async def at_noon(day: Day) -> None:
    cohere = day.vendors["cohere"]
    async with day.gateway() as noon:
        assert reranked(await noon.ask("acme", "cohere", count=600))
        before = len(cohere.received)
        refused = await noon.ask("acme", "cohere", count=150)
        assert reranked(refused) is False
        assert reranked(await noon.ask("acme", "cohere"))  # the last unit
        assert rate_limited(await noon.ask("acme", "cohere"))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await noon.ask("acme", "cohere", fail=True)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(cohere.received) <= before + 2
        # Where there is another backend, that one is estimated anew.
        elsewhere = await noon.ask("acme", "default")
        assert elsewhere.execution.backend == "pinecone"
        # Others are none the wiser.
        assert reranked(await noon.ask("beta", "cohere"))
        cohere.hangs = 1
        hanging = noon.ask("beta", "cohere")
        await cohere.until(lambda: not cohere.hangs)
        await noon.served.stop(signal.SIGKILL)
        with pytest.raises(grpc.aio.AioRpcError):
            await hanging


async def in_the_evening(day: Day) -> None:
    voyage = day.vendors["voyage"]
    async with day.gateway() as evening:
        assert reranked(await evening.ask("gamma", "voyage", count=40))
        while reranked(await evening.ask("gamma", "voyage", count=40)):
            assert len(voyage.received) < 20
        assert rate_limited(await evening.ask("gamma", "voyage", count=40))
        while reranked(await evening.ask("beta", "pinecone")):
            assert len(day.vendors["pinecone"].received) < 40
        await evening.served.stop(signal.SIGTERM)


async def test_a_day_of_three_tenants_is_written_down_as_it_was_billed(
    day: Day,
) -> None:
    await in_the_morning(day)
    await day.check()
    assert day.vendors["cohere"].bill.units["acme"] == 5
    await at_noon(day)
    await in_the_evening(day)
    await day.check()
    await shown_as_it_was(day)


async def shown_as_it_was(day: Day) -> None:
    """Look at what `rerank-gateway usage` says of the day."""
    lines = await day.usage("--tenant", "beta")
    assert {line["tenant"] for line in lines} == {"beta"}
    assert sum(line["estimated_calls"] for line in lines) == 1
    assert sum(Decimal(line["cost"]) for line in lines) <= Decimal("0.015")
    teams = {line["labels"]["team"]: line["calls"] for line in lines if line["labels"]}
    assert teams == {"search": 2, "ads": 1}
    (saved,) = (
        line
        for line in await day.usage("--tenant", "acme")
        if line["backend"] == "cohere"
    )
    assert saved["saved_search_units"] == "3"
    assert saved["saved_cost"] == "0.006"
    shown = await command("usage", environ=day.environ)
    assert "acme" in shown.out
    assert "cost (USD)" in shown.out
