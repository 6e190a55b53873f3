"""Ask a backend about itself: at the start, until it answers, and then now and again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import httpx
import pytest

from gateway.backends.dialect import Info
from gateway.backends.dialects.tei import read_info
from gateway.backends.facts import Facts
from gateway.concurrency import in_the_background
from gateway.discovery import Discovery, over_http
from gateway.events import BackendSilent, Event, FactsLearned
from tests.support.scorers import now
from tests.support.vendors import Handler, Played, reply

INFO = {"model_id": "bge", "max_client_batch_size": 64}


@dataclass
class Asked:
    """What a discovery did, as seen from outside."""

    facts: Facts
    told: list[Event] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    @property
    def learned(self) -> list[FactsLearned]:
        return [event for event in self.told if isinstance(event, FactsLearned)]

    @property
    def silences(self) -> list[str]:
        return [event.detail for event in self.told if isinstance(event, BackendSilent)]


@asynccontextmanager
async def discovering(
    vendor: Handler, *, fixed: bool = False, path: str = "/info"
) -> AsyncIterator[Asked]:
    """Discover a vendor while the block runs."""
    facts = Facts(max_documents=32, model="configured", fixed=fixed)
    asked = Asked(facts)
    began = now()

    async def noted(request: httpx.Request) -> httpx.Response:
        asked.at.append(round(now() - began, 6))
        asked.requests.append(request)
        return await vendor(request)

    discovery = Discovery(
        backend="tei",
        ask=over_http(
            Info(path=path, read=read_info),
            base_url="http://vendor.test",
            headers={"Authorization": "Bearer test-api-key"},
            transport=Played(noted),
        ),
        facts=facts,
        emit=asked.told.append,
    )
    async with in_the_background(discovery.run()):
        await asyncio.sleep(0)
        yield asked


def saying(*bodies: object) -> Handler:
    """Say one after the other, and the last for ever; raise what is an exception."""
    turns = iter(bodies)
    last: list[object] = []

    async def vendor(_: httpx.Request) -> httpx.Response:
        last[:] = [next(turns, *last)]
        (body,) = last
        if isinstance(body, Exception):
            raise body
        if isinstance(body, int):
            return reply({"error": "x"}, body)
        return reply(body)

    return vendor


async def test_what_a_backend_tells_is_learned_and_reported_once() -> None:
    async with discovering(saying(INFO)) as asked:
        await asyncio.sleep(200)
        assert (asked.facts.model, asked.facts.max_documents) == ("bge", 64)
        assert asked.told == [FactsLearned("tei", "bge", 64)]


async def test_it_is_asked_with_its_key_below_its_base_url() -> None:
    async with discovering(saying(INFO)) as asked:
        await asyncio.sleep(1)
        (request,) = asked.requests
    assert (request.method, str(request.url)) == ("GET", "http://vendor.test/info")
    assert request.headers["authorization"] == "Bearer test-api-key"


async def test_a_backend_that_was_replaced_is_noticed_within_a_minute() -> None:
    other = {"model_id": "mxbai", "max_client_batch_size": 8}
    async with discovering(saying(INFO, INFO, other)) as asked:
        await asyncio.sleep(125)
        assert asked.at == [0, 60, 120]
        assert asked.facts.model == "mxbai"
        assert [each.model for each in asked.learned] == ["bge", "mxbai"]


async def test_what_is_configured_stands_whatever_a_backend_tells() -> None:
    async with discovering(saying(INFO), fixed=True) as asked:
        await asyncio.sleep(1)
        assert asked.facts.max_documents == 32


async def test_a_silent_backend_is_asked_more_and_more_rarely() -> None:
    async with discovering(saying(aiohttp.ClientConnectionError("refused"))) as asked:
        await asyncio.sleep(250)
        assert asked.at == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
        assert asked.silences == ["ClientConnectionError"]


async def test_a_backend_that_is_silent_for_a_week_is_still_asked() -> None:
    week_s = 7 * 24 * 3600
    async with discovering(saying(aiohttp.ClientConnectionError("refused"))) as asked:
        await asyncio.sleep(week_s)
        assert len(asked.at) > week_s / 61
        assert asked.silences == ["ClientConnectionError"]


async def test_each_silence_is_reported_once_and_so_is_its_end() -> None:
    down = aiohttp.ClientConnectionError("refused")
    async with discovering(saying(down, down, INFO, down, down, INFO)) as asked:
        await asyncio.sleep(300)
        assert asked.told[:4] == [
            BackendSilent("tei", "ClientConnectionError"),
            FactsLearned("tei", "bge", 64),
            BackendSilent("tei", "ClientConnectionError"),
            FactsLearned("tei", "bge", 64),
        ]
        assert len(asked.told) == 4


async def test_after_an_answer_the_next_silence_begins_with_a_short_wait() -> None:
    down = aiohttp.ClientConnectionError("refused")
    async with discovering(saying(down, down, down, INFO, down)) as asked:
        await asyncio.sleep(75)
        assert asked.at == [0, 1, 3, 7, 67, 68, 70, 74]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (401, "HTTP 401"),
        (404, "HTTP 404"),
        (503, "HTTP 503"),
        (b"<html>", "the info is missing or null, not an object"),
        (b"", "the info is missing or null, not an object"),
        ([INFO], "the info is an array, not an object"),
        (b" " * (1024 * 1024 + 1), "an answer of over 1048576 bytes"),
        (aiohttp.ClientPayloadError("the secret"), "ClientPayloadError"),
        (OSError("the secret"), "OSError"),
    ],
)
async def test_what_is_no_answer_changes_nothing_and_is_told_in_our_own_words(
    body: object, words: str
) -> None:
    async with discovering(saying(body)) as asked:
        await asyncio.sleep(0.5)
        assert asked.silences == [words]
        assert (asked.facts.model, asked.facts.max_documents) == ("configured", 32)


async def test_a_backend_that_hangs_is_given_up_after_two_seconds() -> None:
    given_up = []

    async def vendor(_: httpx.Request) -> httpx.Response:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            given_up.append(now())
            raise
        return reply(INFO)

    async with discovering(vendor) as asked:
        await asyncio.sleep(2.5)
        assert asked.silences == ["no answer in 2 s"]
        assert len(given_up) == 1
        await asyncio.sleep(1)
        assert len(asked.requests) == 2


async def test_it_ends_with_its_owner() -> None:
    async with discovering(saying(json.dumps(INFO))) as asked:
        await asyncio.sleep(1)
    count = len(asked.requests)
    await asyncio.sleep(600)
    assert len(asked.requests) == count
