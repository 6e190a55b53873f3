"""`rerank-gateway health`, as a container's health check runs it."""

import signal
import socket
from pathlib import Path

import pytest

from tests.e2e.subprocesses import command, serving

pytestmark = pytest.mark.real_time


async def test_it_ends_well_while_the_gateway_serves() -> None:
    async with serving() as server:
        whole = await command("health", "--address", server.address)
        one = await command(
            *("health", "--address", server.address),
            *("--service", "rerank.v1.RerankService"),
        )
    assert (whole.code, whole.out, whole.err) == (0, "SERVING\n", "")
    assert (one.code, one.out) == (0, "SERVING\n")


async def test_it_asks_where_its_own_configuration_serves(tmp_path: Path) -> None:
    async with serving() as server:
        port = server.address.rpartition(":")[2]
        for host in ("0.0.0.0", "127.0.0.1"):  # noqa: S104 - asked, not listened on
            place = {
                "RERANK_GATEWAY__SERVER__ADDRESS": f"{host}:{port}",
                "RERANK_GATEWAY__SERVER__ALLOW_ANONYMOUS": "true",
            }
            assert (await command("health", environ=place)).code == 0
        file = tmp_path / "gateway.toml"
        file.write_text(
            f'[server]\naddress = "0.0.0.0:{port}"\nallow_anonymous = true\n'
        )
        assert (await command("health", "--config", str(file))).code == 0


async def test_no_proxy_is_taken_from_the_environment() -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        nobody = {"http_proxy": f"http://127.0.0.1:{proxy.getsockname()[1]}"}
        async with serving() as server:
            asked = await command("health", "--address", server.address, environ=nobody)
    assert asked.code == 0


async def test_it_fails_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    asked = await command("health", "--address", address)
    assert (asked.code, asked.out) == (1, "")
    assert asked.err == f"rerank-gateway: {address}: UNAVAILABLE: connection refused\n"


async def test_it_fails_in_time_where_nobody_answers() -> None:
    async with serving() as server:
        server.send_signal(signal.SIGSTOP)
        try:
            asked = await command("health", "--address", server.address)
        finally:
            server.send_signal(signal.SIGCONT)
    assert asked.code == 1
    assert "DEADLINE_EXCEEDED" in asked.err or "UNAVAILABLE" in asked.err


async def test_it_fails_for_a_service_that_there_is_not() -> None:
    async with serving() as server:
        asked = await command(
            *("health", "--address", server.address, "--service", "rerank.v1.Nothing")
        )
    assert asked.code == 1
    assert asked.err.startswith("rerank-gateway: NOT_FOUND")


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.0.0.1:x"])
async def test_it_says_that_it_cannot_guess_a_port(address: str) -> None:
    place = {"RERANK_GATEWAY__SERVER__ADDRESS": address}
    asked = await command("health", environ=place)
    assert asked.code == 2
    assert "--address" in asked.err
