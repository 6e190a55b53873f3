"""The endpoint for Prometheus, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from gateway.listening import AddressError
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.scrape import scrape

pytestmark = pytest.mark.real_time

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
# As Prometheus 3 asks.
PROMETHEUS = (
    f"{OPENMETRICS};escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
SENT = b"GET /metrics HTTP/1.1\r\nHost: gateway\r\n"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@asynccontextmanager
async def scraped(instruments: Instruments) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        scrape(instruments.families, "127.0.0.1:0") as address,
        httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as client,
    ):
        yield client


def values(text: str) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


async def test_what_was_counted_is_shown() -> None:
    instruments = Instruments()
    instruments.watch_server(lag_s=lambda: 0.5, in_flight=lambda: 3)
    async with scraped(instruments) as client:
        instruments.stage_ended("rerank", 0.2)
        first = await client.get("/metrics")
        instruments.stage_ended("rerank", 0.3)
        second = await client.get("/metrics?of=interest-to-nobody")
    assert first.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert values(first.text)["rerank_gateway_stage_duration_seconds_count"] == 1
    shown = values(second.text)
    assert shown["rerank_gateway_stage_duration_seconds_count"] == 2
    assert shown["rerank_gateway_event_loop_lag_seconds"] == 0.5
    assert shown["rerank_gateway_server_inflight"] == 3
    assert shown["process_cpu_seconds_total"] > 0
    assert shown["python_info"] == 1
    assert not [name for name in shown if name.endswith("_created")]


@pytest.mark.parametrize("accept", [OPENMETRICS, PROMETHEUS])
async def test_who_takes_openmetrics_gets_it_with_examples(accept: str) -> None:
    instruments = Instruments()
    instruments.stage_ended("rerank", 0.2, trace_id=TRACE)
    async with scraped(instruments) as client:
        answer = await client.get("/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {
        family.name: family
        for family in openmetrics.text_string_to_metric_families(  # type: ignore[no-untyped-call]  # half typed
            answer.text
        )
    }
    stages = families["rerank_gateway_stage_duration_seconds"]
    assert (stages.type, stages.unit) == ("histogram", "seconds")
    examples = [each.exemplar for each in stages.samples if each.exemplar]
    assert [each.labels for each in examples] == [{"trace_id": TRACE}]


@pytest.mark.parametrize(
    "accept", ["", "application/json", ";;=,", "text/plain;version=x"]
)
async def test_who_asks_for_something_else_gets_text(accept: str) -> None:
    async with scraped(Instruments()) as client:
        answer = await client.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")


async def test_it_is_compressed_for_who_takes_that() -> None:
    async with scraped(Instruments()) as client:
        for encoding, expected in (("gzip", "gzip"), ("identity", None)):
            answer = await client.get("/metrics", headers={"accept-encoding": encoding})
            assert answer.headers.get("content-encoding") == expected
            assert "rerank_gateway_candidates_count" in values(answer.text)


async def test_there_is_nothing_else() -> None:
    async with scraped(Instruments()) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/metrics/more")).status_code == 404
        assert (await client.post("/metrics")).status_code == 405


async def test_an_address_in_use_is_refused_and_left_alone() -> None:
    instruments = Instruments()
    async with scrape(instruments.families, "127.0.0.1:0") as address:
        with pytest.raises(AddressError) as refused:
            async with scrape(Instruments().families, address):
                pass
        assert str(refused.value) == (
            f"cannot listen on {address}: Address already in use"
        )
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://{address}/metrics")
        assert answer.status_code == 200


async def test_a_host_that_is_not_there_is_refused() -> None:
    with pytest.raises(AddressError, match=r"cannot listen on gateway\.invalid:0"):
        async with scrape(Instruments().families, "gateway.invalid:0"):
            pass


async def test_at_the_end_the_address_is_free_again() -> None:
    async with scrape(Instruments().families, "127.0.0.1:0") as address:
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*place(address))
    async with scrape(Instruments().families, address) as again:
        assert again == address


@pytest.mark.parametrize(
    "sent",
    [b"", SENT, SENT + b"Content-Length: 9\r\n\r\n", b"\x16\x03\x01 not HTTP"],
    ids=["nothing", "half a request", "half a body", "TLS"],
)
async def test_who_is_slow_keeps_nobody_waiting(sent: bytes) -> None:
    loop = asyncio.get_running_loop()
    writers = []
    async with scraped(Instruments()) as client:
        base = client.base_url
        for _ in range(30):
            _, writer = await asyncio.open_connection(base.host, base.port)
            writer.write(sent)
            writers.append(writer)
        assert (await client.get("/metrics")).status_code == 200
        leaving = loop.time()
    assert loop.time() - leaving < 2
    for writer in writers:
        writer.close()


async def test_who_does_not_read_does_not_hold_up_the_end() -> None:
    instruments = Instruments()
    for number in range(150):
        instruments.attempt_began(f"backend{number}")
        instruments.attempt_ended(f"backend{number}", error_type="", duration_s=1)
    answers = 0

    def count() -> float:
        nonlocal answers
        answers += 1
        return 0.0

    instruments.watch_server(lag_s=count, in_flight=lambda: 0.0)
    loop = asyncio.get_running_loop()
    async with scrape(instruments.families, "127.0.0.1:0") as address:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(0)
            await loop.sock_connect(deaf, place(address))
            await loop.sock_sendall(deaf, (SENT + b"\r\n") * 100)
            async with httpx.AsyncClient(base_url=f"http://{address}") as client:
                for _ in range(10):
                    assert (await client.get("/metrics")).status_code == 200
            leaving = loop.time()
    assert loop.time() - leaving < 2
    assert answers < 100


async def test_what_is_counted_meanwhile_is_shown_whole() -> None:
    instruments = Instruments()
    done = False

    async def work() -> int:
        count = 0
        while not done:
            for _ in range(50):
                instruments.call_ended(
                    method=f"test.Service/{count % 40}",
                    status="OK",
                    error_type="",
                    duration_s=0.05,
                )
                count += 1
            # As a gateway does, it leaves the scraper some of the time.
            await asyncio.sleep(0.001)
        return count

    async with scraped(instruments) as client:
        working = asyncio.create_task(work())
        before = 0.0
        for _ in range(5):
            text = (await client.get("/metrics")).text
            families = {
                family.name: family
                for family in parser.text_string_to_metric_families(text)
            }
            calls = families["rpc_server_call_duration_seconds"].samples
            for method in {sample.labels["rpc_method"] for sample in calls}:
                own = [each for each in calls if each.labels["rpc_method"] == method]
                buckets = [each.value for each in own if each.name.endswith("_bucket")]
                (count,) = [each.value for each in own if each.name.endswith("_count")]
                assert buckets == sorted(buckets)
                assert buckets[-1] == count
            total = sum(each.value for each in calls if each.name.endswith("_count"))
            assert total >= before
            before = total
        done = True
        counted = await working
        text = (await client.get("/metrics")).text
    total = sum(
        sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "rpc_server_call_duration_seconds_count"
    )
    assert total == counted
