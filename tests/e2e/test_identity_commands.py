"""Identity and TLS, as an operator sets them up and a caller meets them."""

import signal
import ssl
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.identity.keys import hash_of
from tests.e2e.subprocesses import Serving, command, serving
from tests.support.identities import Authority

pytestmark = pytest.mark.real_time

_PATIENCE_S = 30.0
_METRICS_KEY = "key-of-prometheus"


@pytest.fixture
def notes(tmp_path: Path) -> str:
    file = tmp_path / "notes.txt"
    file.write_text("soup\nbackups\n")
    return str(file)


async def _made(*arguments: str) -> tuple[str, str]:
    """Make a key; gives it, and what belongs into the configuration."""
    made = await command("keys", "create", *arguments)
    assert made.code == 0, made.err
    key = made.err.strip().rpartition(" ")[2]
    assert key not in made.out
    return key, made.out


async def test_a_key_is_shown_once_and_its_hash_is_for_the_configuration() -> None:
    key, snippet = await _made("shop", "--tenant", "acme", "--route", "default")
    said = tomllib.loads(snippet)
    assert said == {
        "identity": {
            "keys": {
                "shop": {
                    "sha256": hash_of(key),
                    "tenant": "acme",
                    "routes": ["default"],
                }
            }
        }
    }


async def test_what_the_configuration_would_refuse_is_not_made() -> None:
    for wrong in (("Shop",), ("shop", "--tenant", "a b"), ("shop", "--route", "X")):
        made = await command("keys", "create", *wrong)
        assert made.code == 2
        assert made.err.startswith("rerank-gateway: identity.keys.")
        assert not made.out


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    authority = Authority(folder)
    server = authority.signed("server")
    yield "RERANK_GATEWAY__TLS__CERTIFICATE", str(server.certificate)
    yield "RERANK_GATEWAY__TLS__KEY", str(server.key)


async def _address(server: Serving, words: str) -> str:
    line = await server.read_until(words)
    return line.partition("https://")[2].split("/")[0].strip()


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_gateway_with_keys_and_tls(
    workers: str, tmp_path: Path, notes: str
) -> None:
    key, snippet = await _made("shop")
    keys = tmp_path / "keys.toml"
    keys.write_text(snippet + (await _made("hall"))[1])
    environ = {
        **dict(_files(tmp_path)),
        "RERANK_GATEWAY__IDENTITY__MODE": "keys",
        "RERANK_GATEWAY__IDENTITY__KEYS_FILE": str(keys),
        "RERANK_GATEWAY__TELEMETRY__METRICS_SHA256": hash_of(_METRICS_KEY),
    }
    trusted = {"RERANK_GATEWAY__CLIENT__CA": str(tmp_path / "authority.pem")}
    async with serving(
        *("--workers", workers, "--http-address", "127.0.0.1:0"),
        *("--metrics-address", "127.0.0.1:0"),
        environ=environ,
    ) as server:
        http = await _address(server, "the APIs of vendors at ")
        metrics = await _address(server, "metrics at ")
        asking = ("rerank", "--query", "soup", notes)
        address = ("--address", f"grpcs://{server.address}")

        answered = await command(
            *asking, *address, environ={**trusted, "RERANK_GATEWAY_KEY": key}
        )
        assert answered.code == 0, answered.err
        assert "soup" in answered.out
        unknown = await command(*asking, *address, environ=trusted)
        assert (unknown.code, unknown.err) == (
            2,
            "rerank-gateway: UNAUTHENTICATED: valid credentials are required\n",
        )
        clear = await command(*asking, "--address", server.address)
        assert clear.code == 1

        context = ssl.create_default_context(cafile=tmp_path / "authority.pem")
        async with httpx.AsyncClient(verify=context, timeout=_PATIENCE_S) as client:
            url = f"https://{http}/v1/rerank"
            body = {"query": "soup", "documents": ["soup"]}
            assert (await client.post(url, json=body)).status_code == 401
            headers = {"authorization": f"Bearer {key}"}
            assert (
                await client.post(url, json=body, headers=headers)
            ).status_code == 200

            url = f"https://{metrics}/metrics"
            refused = await client.get(url)
            assert refused.status_code == 401
            assert not refused.content
            # The key of a caller is none here.
            assert (await client.get(url, headers=headers)).status_code == 401
            headers = {"authorization": f"Bearer {_METRICS_KEY}"}
            shown = await client.get(url, headers=headers)
            assert shown.status_code == 200
            assert 'rpc_status_code="UNAUTHENTICATED"' in shown.text
        finished = await server.stop(signal.SIGTERM)
        assert "Rerank of shop OK" in finished.err
        for secret in (key, hash_of(key), _METRICS_KEY):
            assert secret not in finished.err


async def test_a_key_goes_nowhere_in_the_clear(notes: str) -> None:
    asked = await command(
        *("rerank", "--query", "soup", notes, "--address", "gateway.test:50051"),
        environ={"RERANK_GATEWAY_KEY": "secret"},
    )
    assert asked.code == 2
    assert "a key is sent over TLS alone: grpcs://gateway.test" in asked.err
    assert "secret" not in asked.err


async def test_a_key_without_tls_goes_to_this_machine(notes: str) -> None:
    key, _ = await _made("shop")
    environ = {
        "RERANK_GATEWAY__IDENTITY__MODE": "keys",
        "RERANK_GATEWAY__IDENTITY__KEYS__SHOP__SHA256": hash_of(key),
    }
    async with serving(environ=environ) as server:
        asked = await command(
            *("rerank", "--query", "soup", notes, "--address", server.address),
            environ={"RERANK_GATEWAY_KEY": key},
        )
    assert asked.code == 0, asked.err


async def test_a_command_with_a_gateway_of_its_own_needs_no_key(
    tmp_path: Path, notes: str
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(
        f"""
        server.address = "0.0.0.0:0"
        http.address = "0.0.0.0:0"
        identity.mode = "keys"
        identity.keys.shop.sha256 = "{hash_of("x")}"
        """
    )
    asked = await command("rerank", "--query", "soup", notes, "--config", str(config))
    assert asked.code == 0, asked.err


# What does not start


async def test_nobody_serves_others_unasked() -> None:
    refused = await command("serve", "--address", "0.0.0.0:0")
    assert refused.code == 2
    assert refused.err.startswith("server.address: others reach it")


async def test_who_wants_to_is_told_what_it_means() -> None:
    environ = {"RERANK_GATEWAY__SERVER__ALLOW_ANONYMOUS": "true"}
    async with serving("--address", "0.0.0.0:0", environ=environ) as server:
        await server.read_until("may call: server.allow_anonymous")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('identity.mode = "oauth"', "identity.mode: input should be"),
        ('identity.mode = "keys"', "identity.keys: is required"),
        ('identity.mode = "keys"\nidentity.keys_file = "/nowhere"', "identity.keys_"),
        ('identity.keys.a.sha256 = "secret"', "identity.keys.a.sha256: must be"),
        ('tls.certificate = "/nowhere"\ntls.key = "/nowhere"', "tls.certificate: can"),
        ('http.address = "0.0.0.0:0"', "http.address: others reach it"),
    ],
)
@pytest.mark.parametrize("how", ["check", "serve"])
async def test_what_is_wrong_is_told_and_nothing_is_served(
    how: str, content: str, problem: str, tmp_path: Path
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(content)
    named = ("--config",) if how == "serve" else ()
    ended = await command(how, *named, str(config))
    assert ended.code == 2
    assert ended.err.startswith(problem)
    assert "secret" not in ended.err
