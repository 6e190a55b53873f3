"""Commands that ask a gateway which speaks TLS, and wants to know who asks.

Each does what an operator does: files, flags, variables, and what stands on the terminal.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.identity.keys import hash_of, new_key
from tests.e2e.subprocesses import Finished, command, serving
from tests.support.identities import Authority, Files

pytestmark = pytest.mark.real_time


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway that wants certificates and keys of callers, and what an operator has."""

    address: str
    config: Path
    authority: Authority
    caller: Files
    stranger: Files
    key: str

    @property
    def trusting(self) -> tuple[str, ...]:
        return ("--ca-file", str(self.authority.file))

    def showing(self, files: Files) -> tuple[str, ...]:
        return ("--cert-file", str(files.certificate), "--key-file", str(files.key))

    async def backends(
        self, *flags: str, environ: Mapping[str, str] | None = None
    ) -> Finished:
        """Ask for its backends, which needs a key."""
        return await command(
            *("backends", "--address", f"grpcs://{self.address}", *flags),
            environ={"RERANK_GATEWAY_KEY": self.key} if environ is None else environ,
        )


@contextlib.asynccontextmanager
async def _served(folder: Path, *, domain: str = "") -> AsyncIterator[Scene]:
    """Serve by a configuration file, as the image does."""
    authority, callers = Authority(folder), Authority(folder, "callers")
    shown = authority.signed("server", domain=domain)
    caller, key = callers.signed("caller"), new_key()
    config = folder / "gateway.toml"
    config.write_text(
        f"""
        [tls]
        certificate = "{shown.certificate}"
        key = "{shown.key}"
        client_ca = "{callers.file}"
        client_auth = "require"

        [identity]
        mode = "keys"
        [identity.keys.operator]
        sha256 = "{hash_of(key)}"
        admin = true

        [client]
        certificate = "{caller.certificate}"
        key = "{caller.key}"
        """
    )
    async with serving("--config", str(config)) as server:
        stranger = Authority(folder, "others").signed("stranger")
        yield Scene(server.address, config, authority, caller, stranger, key)


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with _served(tmp_path_factory.mktemp("mutual")) as found:
        yield found


@pytest.fixture(scope="module")
async def plain() -> AsyncIterator[str]:
    async with serving() as server:
        yield server.address


# Its own health, as a container's check asks for it


def _as_configured(scene: Scene) -> dict[str, str]:
    return {
        "RERANK_GATEWAY_CONFIG": str(scene.config),
        "RERANK_GATEWAY__SERVER__ADDRESS": scene.address,
    }


async def test_health_needs_nothing_but_the_configuration(scene: Scene) -> None:
    for arguments in ((), ("--service", "rerank.v1.RerankService")):
        asked = await command("health", *arguments, environ=_as_configured(scene))
        assert (asked.code, asked.out, asked.err) == (0, "SERVING\n", "")


@pytest.mark.parametrize("domain", ["gateway.example", "*.gateway.example"])
async def test_it_does_whatever_name_the_certificate_has(
    domain: str, tmp_path: Path
) -> None:
    async with _served(tmp_path, domain=domain) as scene:
        asked = await command("health", environ=_as_configured(scene))
        assert (asked.code, asked.out) == (0, "SERVING\n"), asked.err
        # Of all others, the name counts.
        other = await command(
            *("health", "--address", f"grpcs://{scene.address}"),
            *(*scene.trusting, *scene.showing(scene.caller)),
        )
        assert other.code == 1
        assert "is not for 127.0.0.1 (--server-name" in other.err
        named = await command(
            *("health", "--address", f"grpcs://{scene.address}"),
            *(*scene.trusting, *scene.showing(scene.caller)),
            *("--server-name", domain.replace("*", "one")),
        )
        assert named.code == 0, named.err


async def test_health_does_not_take_somebody_else_for_its_own(
    scene: Scene, tmp_path: Path
) -> None:
    other = Authority(tmp_path).signed("other")
    environ = _as_configured(scene) | {
        "RERANK_GATEWAY__TLS__CERTIFICATE": str(other.certificate),
        "RERANK_GATEWAY__TLS__KEY": str(other.key),
    }
    asked = await command("health", environ=environ)
    assert asked.code == 1
    assert "its certificate is not trusted" in asked.err
    assert asked.err.endswith("(it is not that of tls.certificate)\n")


async def test_health_says_that_a_certificate_is_missing(scene: Scene) -> None:
    environ = _as_configured(scene) | {
        "RERANK_GATEWAY__CLIENT__CERTIFICATE": "",
        "RERANK_GATEWAY__CLIENT__KEY": "",
    }
    asked = await command("health", environ=environ)
    assert asked.code == 1
    assert "it wants a certificate of ours" in asked.err


@pytest.mark.parametrize("wrong", ["[", "[backends.x]\n", 'server.address = "x"\n'])
async def test_health_is_that_of_the_gateway_and_not_of_a_new_configuration(
    wrong: str, scene: Scene, tmp_path: Path
) -> None:
    """A probe must not end who goes on serving by the one before."""
    right = tmp_path / "gateway.toml"
    right.write_text(f"{wrong}\n{scene.config.read_text()}")
    environ = _as_configured(scene) | {"RERANK_GATEWAY_CONFIG": str(right)}
    if wrong == "[":  # nothing of it can be read: what the environment says is left
        environ |= {
            "RERANK_GATEWAY__TLS__CERTIFICATE": str(scene.config.parent / "server.crt"),
            "RERANK_GATEWAY__TLS__KEY": str(scene.config.parent / "server.key"),
            "RERANK_GATEWAY__CLIENT__CERTIFICATE": str(scene.caller.certificate),
            "RERANK_GATEWAY__CLIENT__KEY": str(scene.caller.key),
        }
    asked = await command("health", environ=environ)
    assert (asked.code, asked.out) == (0, "SERVING\n"), asked.err


async def test_health_tells_of_both_where_nobody_serves(tmp_path: Path) -> None:
    wrong = tmp_path / "gateway.toml"
    wrong.write_text("nothing = 1\n")
    environ = {"RERANK_GATEWAY__SERVER__ADDRESS": "127.0.0.1:1"}
    asked = await command("health", "--config", str(wrong), environ=environ)
    assert asked.code == 1
    problem, state = asked.err.splitlines()
    assert problem.startswith("nothing: ")
    assert state == "rerank-gateway: 127.0.0.1:1: UNAVAILABLE: connection refused"


# Any other command


async def test_flags_say_whom_to_trust_and_what_to_show(scene: Scene) -> None:
    asked = await scene.backends(*scene.trusting, *scene.showing(scene.caller))
    assert asked.code == 0, asked.err
    assert "READY" in asked.out


async def test_tls_may_be_a_flag_as_well(scene: Scene) -> None:
    asked = await command(
        *("backends", "--address", scene.address, "--tls"),
        *(*scene.trusting, *scene.showing(scene.caller), "--token-env", "MINE"),
        environ={"MINE": scene.key},
    )
    assert asked.code == 0, asked.err


async def test_the_configuration_says_it_as_well(scene: Scene, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(f"{scene.key}\n")
    mine = tmp_path / "mine.toml"
    mine.write_text(
        f"""
        [client]
        ca = "{scene.authority.file}"
        certificate = "{scene.caller.certificate}"
        key = "{scene.caller.key}"
        token_file = "{secret}"
        """
    )
    asked = await scene.backends("--config", str(mine), environ={})
    assert asked.code == 0, asked.err


async def test_who_asks_another_gateway_need_not_be_fit_to_serve(plain: str) -> None:
    """An image whose own address nobody has opened yet, for one."""
    place = {"RERANK_GATEWAY__SERVER__ADDRESS": "0.0.0.0:50051"}
    asked = await command("backends", "--address", plain, environ=place)
    assert asked.code == 0, asked.err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("client.cert = 1\n", "client.cert: there is no such setting"),
        ("[", "gateway.toml: is not TOML"),
        ('client.token_env = "NOBODY"\n', "client.token_env: environment variable"),
    ],
)
async def test_what_is_configured_wrongly_for_asking_is_told(
    content: str, problem: str, plain: str, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(content)
    asked = await command("backends", "--address", plain, "--config", str(file))
    await _refused(asked, problem, 2)
    # Health is open to all, and a check of it is not the place to learn of keys.
    health = await command("health", "--address", plain, "--config", str(file))
    assert (health.code, health.out) == (0, "SERVING\n"), health.err


async def test_every_command_that_asks_has_the_options(
    scene: Scene, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("soup\n")
    way = ("--address", f"grpcs://{scene.address}", *scene.trusting)
    way += scene.showing(scene.caller)
    environ = {"RERANK_GATEWAY_KEY": scene.key}
    reranked = await command(
        "rerank", "--query", "soup", str(notes), *way, environ=environ
    )
    assert reranked.code == 0, reranked.err
    # Without a store, it is the gateway that says so.
    for asking in (
        ("search", "soup"),
        ("collections",),
        ("import", str(notes)),
        ("collections", "copy", "default", "--to", "other", "--to-address", way[1]),
    ):
        asked = await command(*asking, *way, environ=environ)
        assert "UNIMPLEMENTED" in asked.err or "FAILED_PRECONDITION" in asked.err


# What is wrong, in one line


async def _refused(asked: Finished, words: str, code: int = 1) -> None:
    assert asked.code == code, asked.err
    assert asked.err.startswith("rerank-gateway: ")
    assert asked.err.count("\n") == 1
    assert words in asked.err


async def test_nobody_trusts_an_authority_that_is_not_named(scene: Scene) -> None:
    asked = await scene.backends(*scene.showing(scene.caller))
    await _refused(asked, "its certificate is not trusted: unable to get local issuer")
    assert "--ca-file" in asked.err


async def test_a_wrong_name_is_told(scene: Scene) -> None:
    asked = await scene.backends(
        *(*scene.trusting, *scene.showing(scene.caller), "--server-name", "x.test")
    )
    await _refused(asked, "UNAVAILABLE: its certificate is not for x.test")


async def test_a_certificate_that_is_wanted_is_told(scene: Scene) -> None:
    asked = await scene.backends(*scene.trusting)
    await _refused(asked, "it wants a certificate of ours (--cert-file, --key-file)")


async def test_a_certificate_that_is_not_accepted_is_told(scene: Scene) -> None:
    asked = await scene.backends(*scene.trusting, *scene.showing(scene.stranger))
    await _refused(asked, "it does not accept the certificate /")


async def test_a_key_that_is_missing_is_told(scene: Scene) -> None:
    way = (*scene.trusting, *scene.showing(scene.caller))
    asked = await scene.backends(*way, environ={})
    await _refused(asked, "UNAUTHENTICATED: valid credentials are required", 2)
    named = await scene.backends(*way, "--token-env", "NOBODY")
    await _refused(named, "--token-env: environment variable NOBODY is not set", 2)


async def test_tls_where_there_is_none_is_told(plain: str, scene: Scene) -> None:
    asked = await command("backends", "--address", f"grpcs://{plain}", *scene.trusting)
    await _refused(asked, "it does not speak TLS: leave out grpcs:// and --tls")


@pytest.mark.parametrize("ask", ["backends", "health"])
async def test_no_tls_where_there_is_some_is_told(ask: str, scene: Scene) -> None:
    asked = await command(ask, "--address", scene.address)
    await _refused(asked, f"{scene.address}: UNAVAILABLE: it speaks TLS: grpcs://")


async def test_nobody_there_is_told() -> None:
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    for place in (f"127.0.0.1:{port}", f"grpcs://127.0.0.1:{port}"):
        asked = await command("backends", "--address", place)
        await _refused(asked, "UNAVAILABLE: connection refused")
    unknown = await command("backends", "--address", "nobody.invalid:1")
    await _refused(unknown, "nobody.invalid:1: UNAVAILABLE: there is no such host")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--ca-file", "/nowhere"), "--ca-file: cannot read /nowhere: No such file"),
        (("--cert-file", "/nowhere"), "one is of no use without the other"),
        (("--cert-file", "/a", "--key-file", "/b"), "/a and /b are not a certificate"),
    ],
)
async def test_a_file_that_cannot_be_used_is_told(
    flags: tuple[str, ...], words: str, scene: Scene
) -> None:
    await _refused(await scene.backends(*flags), words, 2)


async def test_a_file_that_is_no_certificate_is_told(scene: Scene) -> None:
    nothing = str(scene.config)
    wrong = await scene.backends("--ca-file", nothing)
    await _refused(wrong, "--ca-file: has no certificate in PEM", 2)
    mixed = await scene.backends(
        *(*scene.trusting, "--cert-file", str(scene.caller.certificate)),
        *("--key-file", str(scene.stranger.key)),
    )
    await _refused(mixed, "are not a certificate and its key in PEM", 2)


async def test_options_of_tls_need_an_address() -> None:
    await _refused(await command("backends", "--tls"), "--address: is required", 2)
