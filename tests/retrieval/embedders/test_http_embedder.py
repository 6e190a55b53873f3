"""One embedder for every vendor that speaks HTTP and JSON."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest

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
from gateway.retrieval.embedders import DIALECTS
from gateway.retrieval.embedders.http import HttpEmbedder
from tests.retrieval.embedders.played import ask, facts, over, texts_for
from tests.support.vendors import Played, Vendor, reply, says

SECRET = "the secret text of a document"
GOOD = [[0.6, 0.8]]


# What is sent


async def test_a_call_is_a_post_of_json_that_wants_plain_json_back() -> None:
    vendor = says(GOOD)
    await ask(over(vendor, "tei"), ["a"])
    (request,) = vendor.requests
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert int(request.headers["content-length"]) == len(request.content)
    assert "authorization" not in request.headers


async def test_texts_are_sent_to_the_character() -> None:
    texts = ["数据库 🗄️", 'quoted "and" \\ \u0000', "line\nbreak\u2028", " é "]
    vendor = says([[1], [1], [1], [1]])
    await ask(over(vendor, "tei"), texts)
    assert vendor.sent["inputs"] == texts


async def test_what_is_blank_is_not_sent() -> None:
    vendor = says(GOOD)
    with pytest.raises(ValueError, match="text 0 is blank"):
        await ask(over(vendor, "tei"), [" "])
    assert not vendor.requests


# Who answered


async def test_the_model_is_what_is_known_by_then() -> None:
    known = facts(model="configured", fixed=False)
    embedder = over(says(GOOD), "tei", known=known)
    assert (await ask(embedder, ["a"])).model == "configured"
    known.learn_model("as it tells about itself")
    assert (await ask(embedder, ["a"])).model == "as it tells about itself"


# Vectors


async def test_a_vector_of_another_length_is_scaled_to_one() -> None:
    vectors = [[3, 4], [-0.003, 0.004], [3e200, -4e200], [3e-200, 4e-200]]
    found = await ask(over(says(vectors), "tei"), texts_for(4))
    assert np.allclose(
        found.vectors, [[0.6, 0.8], [-0.6, 0.8], [0.6, -0.8], [0.6, 0.8]]
    )


async def test_a_vector_of_length_one_is_left_as_the_vendor_rounded_it() -> None:
    vector = np.array([0.1, -0.7, 0.5, 0.2], dtype=np.float32)
    vector /= np.linalg.norm(vector)
    found = await ask(over(says([vector.astype(float).tolist()]), "tei"), ["a"])
    assert np.array_equal(found.vectors[0], vector)


# The dimension


async def test_the_first_answer_fixes_the_dimension() -> None:
    vendor = Vendor(lambda: reply([[1, 0]]), lambda: reply([[1, 0, 0]]))
    embedder = over(vendor, "tei")
    assert (await ask(embedder, ["a"])).dimension == 2
    for _ in range(2):
        words = "v: vectors of 3 numbers, where 2 are expected"
        with pytest.raises(Malformed, match=words):
            await ask(embedder, ["a"])


async def test_a_configured_dimension_holds_for_the_first_answer_too() -> None:
    embedder = over(says(GOOD), "tei", dimension=384)
    with pytest.raises(Malformed, match="vectors of 2 numbers, where 384 are expected"):
        await ask(embedder, ["a"])


async def test_an_answer_that_is_refused_fixes_nothing() -> None:
    vendor = Vendor(lambda: reply([[0, 0, 0]]), lambda: reply(GOOD))
    embedder = over(vendor, "tei")
    with pytest.raises(Malformed, match="all zeros"):
        await ask(embedder, ["a"])
    assert (await ask(embedder, ["a"])).dimension == 2


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
        await ask(over(says(GOOD, status), "tei"), ["a"])
    assert type(raised.value) is kind


@pytest.mark.parametrize("status", [200, 400, 401, 422, 424, 429, 500, 503])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_nothing_of_what_a_backend_answers_and_no_key_is_in_an_error(
    dialect: str, status: int
) -> None:
    body = dict.fromkeys(("error", "message", "error_type", "detail"), SECRET)
    embedder = over(says(body, status), dialect, model="m", key="test-api-key")
    with pytest.raises(BackendError) as raised:
        await ask(embedder, [SECRET])
    written = "".join(traceback.format_exception_only(raised.value))
    assert SECRET not in written + repr(raised.value)
    assert "test-api-key" not in written + repr(embedder)
    assert str(raised.value).startswith("v: ")


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientConnectionError("refused"),
        aiohttp.ClientPayloadError("reset"),
        ConnectionResetError("reset"),
        OSError("no route to host"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_connection_that_fails_is_a_backend_that_is_unavailable(
    error: Exception,
) -> None:
    async def vendor(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(Unavailable, match="v: no answer") as raised:
        await ask(over(vendor, "tei"), ["a"])
    assert raised.value.__cause__ is error


class Endless(httpx.AsyncByteStream):
    """A body that goes on, and tells how much was taken and whether it was closed."""

    def __init__(self) -> None:
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.taken += 64 * 1024
            yield b" " * (64 * 1024)

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("status", "kind"), [(200, Malformed), (500, Unavailable)])
async def test_a_body_without_end_is_not_read_to_its_end(
    status: int, kind: type[BackendError]
) -> None:
    body = Endless()

    async def vendor(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=body)

    with pytest.raises(kind):
        await ask(over(vendor, "tei"), ["a"])
    assert body.closed
    assert body.taken < 1.5 * 1024 * 1024


@pytest.mark.real_time
async def test_a_large_answer_is_read_in_a_thread() -> None:
    vector = [0.012345678901234567] * 4096
    found = await ask(over(says([vector] * 32), "tei"), texts_for(32))
    assert found.vectors.shape == (32, 4096)


@pytest.mark.real_time
async def test_what_is_wrong_is_told_of_a_large_answer_too() -> None:
    vector = [0.012345678901234567] * 4096
    words = "a number of vector 31 is missing or null"
    with pytest.raises(Malformed, match=words):
        await ask(over(says([vector] * 31 + [[None] * 4096]), "tei"), texts_for(32))


async def test_cancellation_ends_the_call_and_closes_its_answer() -> None:
    class Slow(Endless):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"["
            await asyncio.sleep(3600)

    body = Slow()

    async def vendor(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=body)

    asked = asyncio.create_task(ask(over(vendor, "tei"), ["a"]))
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert body.closed


@pytest.mark.parametrize("half", ["encode", "decode"])
async def test_a_bug_in_a_dialect_is_ours_and_quotes_nothing(half: str) -> None:
    def stumbles(*_: object) -> Any:
        raise KeyError(SECRET)

    right = DIALECTS["tei"]
    wrong = {
        "encode": replace(right, encode=stumbles),
        "decode": replace(right, decode=stumbles),
    }
    embedder = HttpEmbedder(
        name="v",
        dialect=wrong[half],
        url="http://vendor.test/embed",
        headers={},
        transport=Played(says(GOOD)),
        facts=facts(),
        model="",
        dimension=None,
    )
    with pytest.raises(Internal, match=r"^v: a bug: KeyError at \w+\.py:\d+$"):
        await ask(embedder, ["a"])
