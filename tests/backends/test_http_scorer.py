"""One scorer for every vendor that speaks HTTP and JSON."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import aiohttp
import httpx
import pytest

from gateway.backends.dialects import DIALECTS
from gateway.backends.errors import (
    BackendError,
    Internal,
    Malformed,
    RateLimited,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.http import HttpScorer
from gateway.ranking.normalize import Scale
from tests.support.scorers import asking
from tests.support.vendors import Played, asking_for, over, reply, says

SECRET = "the secret text of a document"
GOOD = {"scores": [0.5]}


# What is sent


async def test_a_call_is_a_post_of_json_that_wants_plain_json_back() -> None:
    vendor = says(GOOD)
    await over(vendor, "simple").score(asking("a"))
    (request,) = vendor.requests
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["host"] == "vendor.test"
    assert int(request.headers["content-length"]) == len(request.content)
    assert "authorization" not in request.headers


async def test_a_key_is_sent_as_a_header() -> None:
    vendor = says(GOOD)
    await over(vendor, "simple", key="test-api-key").score(asking("a"))
    assert vendor.requests[0].headers["authorization"] == "Bearer test-api-key"


async def test_texts_are_sent_to_the_character() -> None:
    texts = ["数据库 🗄️", 'quoted "and" \\ \u0000', "line\nbreak\u2028", "é"]
    vendor = says({"scores": [1, 2, 3, 4]})
    await over(vendor, "simple").score(asking(*texts, query="où ?"))
    assert vendor.sent["documents"] == texts
    assert vendor.sent["query"] == "où ?"


# Who answered


async def test_the_answer_tells_who_gave_it() -> None:
    scores = await over(says(GOOD), "simple", name="mine", scale=Scale.COSINE).score(
        asking("a")
    )
    assert (scores.backend, scores.scale) == ("mine", Scale.COSINE)


async def test_the_model_is_what_the_backend_says_else_what_is_known_by_then() -> None:
    facts = Facts(max_documents=1, model="configured", fixed=True)
    dialect = DIALECTS["simple"]
    scorer = HttpScorer(
        name="v",
        dialect=dialect,
        url="http://vendor.test/rerank",
        headers={},
        transport=Played(says(GOOD)),
        scale=Scale.LOGIT,
        facts=facts,
        model="",
    )
    assert (await scorer.score(asking("a"))).model == "configured"
    facts.learn_model("as it tells about itself")
    assert (await scorer.score(asking("a"))).model == "as it tells about itself"


# Failures


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, Malformed),
        (302, Rejected),
        (400, Rejected),
        (401, Unauthenticated),
        (413, TooLarge),
        (429, RateLimited),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
async def test_every_status_but_200_is_a_failure_whatever_its_body_says(
    status: int, kind: type[BackendError]
) -> None:
    with pytest.raises(BackendError) as raised:
        await over(says(GOOD, status), "simple").score(asking("a"))
    assert type(raised.value) is kind


@pytest.mark.parametrize("status", [200, 400, 401, 422, 424, 429, 500, 503])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_nothing_of_what_a_backend_answers_and_no_key_is_in_an_error(
    dialect: str, status: int
) -> None:
    answer = {
        "error": SECRET,
        "message": SECRET,
        "error_type": SECRET,
        "detail": SECRET,
    }
    scorer = over(says(answer, status), dialect, model="m", key="test-api-key")
    with pytest.raises(BackendError) as raised:
        await scorer.score(asking(SECRET, query=SECRET))
    written = "".join(traceback.format_exception_only(raised.value)) + repr(
        raised.value
    )
    assert SECRET not in written
    assert "test-api-key" not in written
    assert str(raised.value).startswith("v: ")


async def test_a_key_is_not_in_what_is_printed_of_a_scorer() -> None:
    scorer = over(says(GOOD), "simple", key="test-api-key")
    assert "test-api-key" not in repr(scorer)


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientConnectionError("refused"),
        aiohttp.ConnectionTimeoutError("too late"),
        aiohttp.ClientConnectionResetError("reset"),
        aiohttp.ClientOSError("broken pipe"),
        aiohttp.ClientResponseError(cast("Any", None), (), message="no HTTP"),
        aiohttp.NonHttpUrlClientError("gopher://"),
        aiohttp.ClientPayloadError("cut off"),
        aiohttp.ServerDisconnectedError(),
        ConnectionResetError("reset"),
        OSError("no route to host"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_connection_that_fails_is_a_backend_that_is_unavailable(
    error: Exception,
) -> None:
    asked = 0

    async def vendor(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        raise error

    with pytest.raises(Unavailable, match="v: no answer") as raised:
        await over(vendor, "simple").score(asking("a"))
    assert raised.value.__cause__ is error
    assert raised.value.transient
    assert raised.value.blames_backend
    assert asked == 1


async def test_the_cause_behind_a_cause_is_named() -> None:
    async def vendor(_: httpx.Request) -> httpx.Response:
        raise aiohttp.ClientConnectionError(SECRET) from ConnectionRefusedError()

    with pytest.raises(Unavailable, match=r"no answer \(ConnectionRefusedError\)"):
        await over(vendor, "simple").score(asking("a"))


async def test_an_answer_that_breaks_off_is_a_backend_that_is_unavailable() -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b'{"scores": ['
        raise aiohttp.ClientPayloadError(SECRET)

    async def vendor(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=half())

    with pytest.raises(Unavailable, match=r"no answer \(ClientPayloadError\)"):
        await over(vendor, "simple").score(asking("a"))


# Size


class Endless(httpx.AsyncByteStream):
    """A body that goes on, and tells how much of it was taken and whether it was closed."""

    def __init__(self) -> None:
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.taken += 64 * 1024
            yield b" " * (64 * 1024)

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("status", "kind"), [(200, Malformed), (500, Unavailable), (429, RateLimited)]
)
async def test_a_body_without_end_is_not_read_to_its_end(
    status: int, kind: type[BackendError]
) -> None:
    body = Endless()

    async def vendor(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=body)

    with pytest.raises(kind):
        await over(vendor, "simple").score(asking("a"))
    assert body.closed
    assert body.taken < 1.2 * 1024 * 1024


async def test_a_body_that_was_read_whole_is_closed_too() -> None:
    class Once(Endless):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'{"scores": [1.0]}'

    body = Once()

    async def vendor(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=body)

    await over(vendor, "simple").score(asking("a"))
    assert body.closed


@pytest.mark.real_time
async def test_a_vendor_may_echo_all_that_it_was_sent() -> None:
    """So much that it is written and read in a thread: 3 MB there, 9 MB back."""
    text = "ж" * 1_500_000

    async def vendor(_: httpx.Request) -> httpx.Response:
        echo = {"text": text}
        return reply(
            {"results": [{"index": 0, "relevance_score": 1.0, "document": echo}]}
        )

    scores = await over(vendor, "simple").score(asking(text))
    assert scores.raw == (1.0,)


@pytest.mark.real_time
async def test_what_is_wrong_is_told_of_a_large_body_too() -> None:
    async def vendor(_: httpx.Request) -> httpx.Response:
        return reply("[" + "0," * 400_000)

    with pytest.raises(Malformed, match="a body that is not JSON"):
        await over(vendor, "simple").score(asking("a"))


# Giving up


async def test_cancellation_ends_the_call_and_closes_its_answer() -> None:
    class Slow(Endless):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.sleep(3600)

    body = Slow()

    async def vendor(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=body)

    asked = asyncio.create_task(over(vendor, "simple").score(asking("a")))
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert body.closed


async def test_many_calls_at_once_do_not_mix_their_answers() -> None:
    async def vendor(request: httpx.Request) -> httpx.Response:
        count = request.content.count(b"document ")
        await asyncio.sleep(1.0 / count)
        return reply({"scores": [float(count)] * count})

    scorer = over(vendor, "simple")
    answers = await asyncio.gather(
        *(scorer.score(asking_for(count)) for count in range(1, 20))
    )
    assert [scores.raw for scores in answers] == [
        (float(count),) * count for count in range(1, 20)
    ]


@pytest.mark.parametrize("half", ["encode", "decode"])
async def test_a_bug_in_a_dialect_costs_the_scores_and_not_the_documents(
    half: str,
) -> None:
    def stumbles(*_: object) -> Any:
        message = "the text of a document"
        raise KeyError(message)

    right = DIALECTS["simple"]
    dialect = {
        "encode": replace(right, encode=stumbles),
        "decode": replace(right, decode=stumbles),
    }[half]
    scorer = HttpScorer(
        name="v",
        dialect=dialect,
        url="http://vendor.test/rerank",
        headers={},
        transport=Played(says({"scores": [0.5]})),
        scale=Scale.LOGIT,
        facts=Facts(max_documents=1, model="", fixed=True),
        model="",
    )
    with pytest.raises(Internal, match=r"^v: a bug: KeyError at \w+\.py:\d+$"):
        await scorer.score(asking("a"))
