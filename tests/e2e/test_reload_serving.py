"""`serve` reads its configuration again: told to, or because a file was replaced."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import grpc
import httpx
import pytest

from gateway.identity.keys import hash_of, new_key
from rerank.v1 import (
    backend_service_pb2,
    backend_service_pb2_grpc,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
)
from tests.e2e.running import place_of, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import Serving, command, serving
from tests.e2e.vendor import Vendor
from tests.e2e.workers import COUNT, to_each, worker_processes

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["tei"]
_PLAY = _SHAPE.scored(place_of)
_PATIENCE_S = 30.0
_NUMBERS = count()
_RELOADED = "the configuration was reloaded"
_REFUSED = "the configuration was not reloaded"


@pytest.fixture
async def first() -> AsyncIterator[Vendor]:
    async with Vendor(_PLAY, info=_SHAPE.info) as vendor:
        yield vendor


@pytest.fixture
async def second() -> AsyncIterator[Vendor]:
    async with Vendor(_PLAY, info=_SHAPE.info) as vendor:
        yield vendor


def _toml(vendor: Vendor, name: str, *more: str) -> str:
    return "\n".join(
        [
            f'routes.default.backends = ["{name}"]',
            f"[backends.{name}]",
            'dialect = "tei"',
            f'url = "{vendor.url}"',
            *more,
        ]
    )


def _replace(file: Path, text: str) -> None:
    """Put another file in its place, in one moment."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.rename(file)


@asynccontextmanager
async def _watching(
    file: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Serving]:
    """Serve, and look at the files again and again."""
    often = {"RERANK_GATEWAY__SERVER__WATCH_S": "0.02", **(environ or {})}
    async with serving("--config", str(file), *arguments, environ=often) as server:
        yield server


async def _rerank(
    channel: grpc.aio.Channel,
) -> rerank_service_pb2.RerankResponse:
    stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
    # Another question each time: what is remembered is asked of nobody.
    request = rerank_request(2, query=f"query {next(_NUMBERS)}")
    return await stub.Rerank(request, timeout=_PATIENCE_S)


async def _answered_by(server: Serving) -> str:
    async with grpc.aio.insecure_channel(server.address) as channel:
        return (await _rerank(channel)).execution.backend


# What makes it reload


async def test_sighup_reloads(tmp_path: Path, first: Vendor, second: Vendor) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(_toml(first, "one"))
    alone = {"RERANK_GATEWAY__SERVER__WATCH_S": "0"}
    async with serving("--config", str(file), environ=alone) as server:
        assert await _answered_by(server) == "one"
        file.write_text(_toml(second, "two"))
        server.send_signal(signal.SIGHUP)
        assert "(SIGHUP)" in await server.read_until(_RELOADED)
        assert await _answered_by(server) == "two"
        server.send_signal(signal.SIGHUP)
        await server.read_until("says what serves already (SIGHUP)")
        assert (await server.stop(signal.SIGTERM)).code == 0


async def test_a_file_that_is_replaced_is_seen(
    tmp_path: Path, first: Vendor, second: Vendor
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(_toml(first, "one"))
    async with _watching(file) as server:
        _replace(file, _toml(second, "two"))
        await server.read_until(_RELOADED)
        assert await _answered_by(server) == "two"
        # Not a new file, but the old one written to.
        file.write_text(_toml(first, "three"))
        await server.read_until(_RELOADED)
        assert await _answered_by(server) == "three"


async def test_a_config_map_that_is_swapped_is_seen(
    tmp_path: Path, first: Vendor, second: Vendor
) -> None:
    # As Kubernetes lays it out: a link to a file below a link to a folder.
    for folder, vendor, name in (("..1", first, "one"), ("..2", second, "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "gateway.toml").write_text(_toml(vendor, name))
    data = tmp_path / "..data"
    data.symlink_to("..1")
    file = tmp_path / "gateway.toml"
    file.symlink_to("..data/gateway.toml")
    async with _watching(file) as server:
        assert await _answered_by(server) == "one"
        beside = tmp_path / "..data_tmp"
        beside.symlink_to("..2")
        beside.rename(data)
        await server.read_until(_RELOADED)
        assert await _answered_by(server) == "two"


async def test_a_key_that_is_replaced_is_used(tmp_path: Path, first: Vendor) -> None:
    key, file = tmp_path / "key", tmp_path / "gateway.toml"
    key.write_text("an-old-key")
    file.write_text(_toml(first, "one", f'api_key_file = "{key}"'))
    async with _watching(file) as server:
        await _answered_by(server)
        assert "an-old-key" in first.received[-1].headers["authorization"]
        _replace(key, "a-new-key")
        await server.read_until(_RELOADED)
        await _answered_by(server)
        assert "a-new-key" in first.received[-1].headers["authorization"]


async def test_the_keys_of_callers_are_replaced(tmp_path: Path, first: Vendor) -> None:
    file, audit = tmp_path / "gateway.toml", tmp_path / "audit"
    old, new = new_key(), new_key()
    first.play = _SHAPE.scored(len)

    def known(name: str, key: str) -> str:
        return _toml(
            first,
            "one",
            '[identity]\nmode = "keys"',
            f'[identity.keys.{name}]\nadmin = true\nsha256 = "{hash_of(key)}"',
            f"[logs]\naudit = {json.dumps(str(audit))}",
        )

    file.write_text(known("old", old))
    async with (
        _watching(file) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        assert await _checked(channel, old) is grpc.StatusCode.OK
        _replace(file, known("new", new))
        await server.read_until(_RELOADED)
        assert await _checked(channel, old) is grpc.StatusCode.UNAUTHENTICATED
        assert await _checked(channel, new) is grpc.StatusCode.OK
        # A key for a route that is not there any more is refused with all the rest.
        _replace(file, f"{known('new', old)}\n[identity.keys.x]\nroutes = ['no']")
        assert "identity.keys.x" in await server.read_until(_REFUSED)
        assert await _checked(channel, new) is grpc.StatusCode.OK
        await server.stop(signal.SIGTERM)
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [
        (line["outcome"], line.get("key"), line.get("tenant"))
        for line in lines
        if line["action"].endswith("/CheckBackend")
    ] == [
        ("OK", "old", "old"),
        ("UNAUTHENTICATED", None, None),
        ("OK", "new", "new"),
        ("OK", "new", "new"),
    ]


async def _checked(channel: grpc.aio.Channel, key: str) -> grpc.StatusCode:
    """Check a backend, as only who is known may."""
    stub = backend_service_pb2_grpc.BackendServiceStub(channel)
    call = stub.CheckBackend(
        backend_service_pb2.CheckBackendRequest(name="one"),
        metadata=(("authorization", f"Bearer {key}"),),
        timeout=_PATIENCE_S,
    )
    return await call.code()


# What it refuses


async def test_a_wrong_file_changes_nothing_and_is_told_like_check_tells_it(
    tmp_path: Path, first: Vendor, second: Vendor
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(_toml(first, "one"))
    async with _watching(
        file,
        "--metrics-address",
        "127.0.0.1:0",
        environ={"RERANK_GATEWAY__LOGS__FORMAT": "json"},
    ) as server:
        line = json.loads(await server.read_until("metrics at"))
        metrics = re.findall(r"http://\S+", line["message"])[0]
        assert (await _shown(metrics))["success"] == 1

        _replace(file, "routes.default.top_k = -1\nserver.nobody = 1\n")
        line = json.loads(await server.read_until(_REFUSED))
        assert line["level"] == "ERROR"
        told = await command("check", str(file))
        assert told.code == 2
        assert line["problems"] == told.err.splitlines()
        assert len(line["problems"]) == 2
        assert all(each in line["message"] for each in line["problems"])
        assert await _answered_by(server) == "one"
        shown = await _shown(metrics)
        assert (shown["success"], shown["refused"]) == (0, 1)

        _replace(file, _toml(second, "two"))
        line = json.loads(await server.read_until(_RELOADED))
        assert line["outcome"] == "APPLIED"
        after = await _shown(metrics)
        assert (after["success"], after["applied"]) == (1, 1)
        assert after["time"] > shown["time"]


async def test_a_key_that_is_gone_changes_nothing_until_it_is_back(
    tmp_path: Path, first: Vendor
) -> None:
    key, file = tmp_path / "key", tmp_path / "gateway.toml"
    key.write_text("an-old-key")
    file.write_text(_toml(first, "one", f'api_key_file = "{key}"'))
    async with _watching(file) as server:
        key.unlink()
        refused = await server.read_until(_REFUSED)
        assert f"backends.one: cannot read {key}" in refused
        await _answered_by(server)
        assert "an-old-key" in first.received[-1].headers["authorization"]
        key.write_text("a-new-key")
        await server.read_until(_RELOADED)


async def test_what_waits_for_a_restart_is_named(tmp_path: Path, first: Vendor) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(_toml(first, "one"))
    async with _watching(file) as server:
        _replace(file, _toml(first, "two", "[retrieval]", "write_timeout_s = 7"))
        line = await server.read_until("wait for the next start")
        assert "retrieval.write_timeout_s" in line
        await server.read_until(_RELOADED)
        assert await _answered_by(server) == "two"


async def test_a_key_of_the_store_waits_and_is_named(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("an-old-key")
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'[retrieval]\nurl = "http://127.0.0.1:1"\napi_key_file = "{key}"\n'
    )
    qdrant = {"RERANK_GATEWAY__RETRIEVAL__ENGINE": "qdrant"}
    async with _watching(file, environ=qdrant) as server:
        key.write_text("a-new-key")
        assert "retrieval.api_key" in await server.read_until("wait for the next start")


async def _shown(url: str) -> dict[str, float]:
    async with httpx.AsyncClient() as client:
        text = (await client.get(url)).text
    prefix = "rerank_gateway_config_reload"
    names = {
        f"{prefix}_success": "success",
        f"{prefix}_time_seconds": "time",
        **{
            f'{prefix}s_total{{rerank_gateway_config_outcome="{each}"}}': each
            for each in ("applied", "refused", "unchanged")
        },
    }
    lines = [line.rpartition(" ") for line in text.splitlines()]
    return {names[name]: float(value) for name, _, value in lines if name in names}


# Several workers


async def test_all_workers_change_and_those_that_come_later_begin_with_it(
    tmp_path: Path, first: Vendor, second: Vendor
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(_toml(first, "one"))
    async with _watching(
        file,
        *("--workers", str(COUNT), "--metrics-address", "127.0.0.1:0"),
        environ={"RERANK_GATEWAY__LOGS__FORMAT": "json"},
    ) as server:
        line = json.loads(await server.read_until("metrics at"))
        metrics = re.findall(r"http://\S+", line["message"])[0]
        async with to_each(server) as channels:
            assert [
                (await _rerank(each)).execution.backend for each in channels.values()
            ] == ["one"] * COUNT
            _replace(file, _toml(second, "two"))
            line = json.loads(await server.read_until(_RELOADED))
            assert "worker" not in line
            assert [
                (await _rerank(each)).execution.backend for each in channels.values()
            ] == ["two"] * COUNT
        _replace(file, "[backends]\nnobody = 1")
        await server.read_until(_REFUSED)
        # They tell the same, and it is told once.
        shown = await _shown(metrics)
        assert (shown["applied"], shown["refused"], shown["success"]) == (1, 1, 0)

        before = worker_processes(server)
        os.kill(before[0], signal.SIGKILL)
        await server.read_until("worker 0 serves in its place")
        async with to_each(server) as channels:
            assert [
                (await _rerank(each)).execution.backend for each in channels.values()
            ] == ["two"] * COUNT
        # It is not what a worker is sent that reloads.
        for pid in worker_processes(server).values():
            os.kill(pid, signal.SIGHUP)
        assert await _answered_by(server) == "two"
        assert (await server.stop(signal.SIGTERM)).code == 0


async def test_no_worker_changes_where_one_cannot(
    tmp_path: Path, first: Vendor
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(_toml(first, "one"))
    async with _watching(file, "--workers", str(COUNT)) as server:
        _replace(
            file,
            _toml(
                first, "two", "[backends.mine]", 'dialect = "local"', 'model = "./no"'
            ),
        )
        assert "backends.mine" in await server.read_until(_REFUSED)
        async with asyncio.timeout(_PATIENCE_S):
            assert await _answered_by(server) == "one"
