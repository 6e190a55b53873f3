"""`check --probe`: everything that a configuration names is asked whether it works."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import Finished, command
from tests.e2e.vendor import Exchange, Vendor, refusing_url, reply_json
from tests.support.redis_server import a_redis

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["tei"]
_VECTOR = [0.6, 0.8]


@pytest.fixture
async def reranker() -> AsyncIterator[Vendor]:
    def judged(text: str) -> int:
        return 8 if "panda" in text else -3

    async with Vendor(_SHAPE.scored(judged), info=_SHAPE.info) as vendor:
        yield vendor


@pytest.fixture
async def embedder() -> AsyncIterator[Vendor]:
    async def embed(exchange: Exchange) -> None:
        asked = exchange.received.json["input"]
        data = [{"index": place, "embedding": _VECTOR} for place, _ in enumerate(asked)]
        await reply_json({"data": data, "model": "m"})(exchange)

    async with Vendor(embed) as vendor:
        yield vendor


async def _probe(folder: Path, **urls: str) -> Finished:
    file = folder / "gateway.toml"
    file.write_text(
        f"""
        routes.default.backends = ["tei"]
        server.address = "127.0.0.1:1"
        [backends.tei]
        dialect = "tei"
        url = {json.dumps(urls["reranker"])}
        [embedder]
        dialect = "openai"
        model = "m"
        url = {json.dumps(urls["embedder"])}
        [retrieval]
        path = {json.dumps(str(folder / "collections"))}
        [identity]
        mode = "keys"
        [identity.keys.anybody]
        sha256 = "{"0" * 64}"
        [cache]
        url = {json.dumps(urls["cache"])}
        key_env = "SECRET"
        """
    )
    return await command(
        *("check", str(file), "--probe"),
        environ={
            "RERANK_GATEWAY__RETRIEVAL__ENGINE": "embedded",
            **({"SECRET": "s"} if urls.get("secret", "s") else {}),
        },
    )


def _states(finished: Finished) -> dict[str, str]:
    rows = [line.split() for line in finished.out.splitlines()]
    return {
        row[0]: row[3]
        for row in rows
        if len(row) > 4 and row[0] in ("tei", "embedder", "retrieval", "cache")
    }


async def test_where_all_answer_it_ends_well(
    tmp_path: Path, reranker: Vendor, embedder: Vendor
) -> None:
    with a_redis(tmp_path) as cache:
        finished = await _probe(
            tmp_path, reranker=reranker.url, embedder=embedder.url, cache=cache.url
        )
    assert finished.code == 0, finished
    assert _states(finished) == dict.fromkeys(
        ("tei", "embedder", "retrieval", "cache"), "READY"
    )


async def test_where_one_does_not_the_command_fails_and_says_why(
    tmp_path: Path, reranker: Vendor
) -> None:
    with refusing_url() as nowhere:
        finished = await _probe(
            tmp_path,
            reranker=reranker.url,
            embedder=nowhere,
            cache=nowhere.replace("http", "redis"),
        )
    assert finished.code == 1
    assert _states(finished) == {
        "tei": "READY",
        "embedder": "UNREACHABLE",
        "retrieval": "READY",
        "cache": "UNREACHABLE",
    }
    assert "cache: ConnectionError" in finished.out


async def test_a_secret_that_is_not_there_is_found(
    tmp_path: Path, reranker: Vendor, embedder: Vendor
) -> None:
    finished = await _probe(
        tmp_path,
        reranker=reranker.url,
        embedder=embedder.url,
        cache="redis://127.0.0.1:1/0",
        secret="",
    )
    assert finished.code == 1
    assert _states(finished)["cache"] == "MISCONFIGURED"
    assert "cache: environment variable SECRET is not set" in finished.out
