"""TLS of every listener: what it shows, whom it lets in, and how both change meanwhile."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway.compose import gateway
from gateway.logs import EventLog
from gateway.settings import load
from rerank.v1 import document_pb2, rerank_service_pb2, rerank_service_pb2_grpc
from tests.support.identities import Authority, Files

pytestmark = pytest.mark.real_time

_PATIENCE_S = 30.0
_APART = [("grpc.use_local_subchannel_pool", 1)]
_RERANK = rerank_service_pb2.RerankRequest(
    query="soup", documents=[document_pb2.Document(text="soup")]
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway with all listeners, and who signed what it shows."""

    authority: Authority
    server: Files
    grpc: str
    http: str
    metrics: str
    client_ca: Path | None


Client = Files | None
"""What a caller shows; None: nothing."""

Ask = Callable[[Scene, Client], Awaitable[None]]


async def _over_grpc(scene: Scene, client: Client) -> None:
    credentials = grpc.ssl_channel_credentials(
        scene.authority.pem,
        client.key.read_bytes() if client else None,
        client.pem if client else None,
    )
    async with grpc.aio.secure_channel(scene.grpc, credentials, _APART) as channel:
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        await stub.Rerank(_RERANK, timeout=_PATIENCE_S)


async def _over_http(scene: Scene, client: Client) -> None:
    async with _client(scene, client) as asking:
        response = await asking.post(
            f"https://{scene.http}/v1/rerank",
            json={"query": "soup", "documents": ["soup"]},
        )
    assert response.status_code == 200


async def _metrics(scene: Scene, client: Client) -> None:
    async with _client(scene, client) as asking:
        response = await asking.get(f"https://{scene.metrics}/metrics")
    assert response.status_code == 200


LISTENERS: dict[str, Ask] = {
    "grpc": _over_grpc,
    "http": _over_http,
    "metrics": _metrics,
}
_REFUSALS = (grpc.aio.AioRpcError, httpx.TransportError)


def _trusting(authority: Authority, client: Client = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    if client:
        context.load_cert_chain(client.certificate, client.key)
    return context


def _client(scene: Scene, client: Client) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=_trusting(scene.authority, client), timeout=_PATIENCE_S
    )


@asynccontextmanager
async def _serving(
    folder: Path, *, client_ca: Path | None = None, **more: str
) -> AsyncIterator[Scene]:
    authority = Authority(folder)
    server = authority.signed("server")
    tls = {
        "CERTIFICATE": str(server.certificate),
        "KEY": str(server.key),
        "LOOK_EVERY_S": "0.02",
        **(
            {"CLIENT_CA": str(client_ca), "CLIENT_AUTH": "require"} if client_ca else {}
        ),
        **more,
    }
    settings = load(
        address="127.0.0.1:0",
        http_address="127.0.0.1:0",
        metrics_address="127.0.0.1:0",
        environ={
            "RERANK_GATEWAY__RETRIEVAL__ENGINE": "none",
            **{f"RERANK_GATEWAY__TLS__{name}": value for name, value in tls.items()},
        },
    )
    async with gateway(settings, EventLog()) as running:
        yield Scene(
            authority,
            server,
            grpc=running.address,
            http=running.http_address,
            metrics=running.metrics_address,
            client_ca=client_ca,
        )


async def _shown(address: str, context: ssl.SSLContext) -> bytes:
    """Give the certificate that a listener shows now."""
    host, _, port = address.rpartition(":")
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    try:
        shown: Any = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    return bytes(shown)


def _der(files: Files) -> bytes:
    return ssl.PEM_cert_to_DER_cert(files.certificate.read_text())


# Without certificates of callers


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with _serving(tmp_path_factory.mktemp("tls")) as serving:
        yield serving


@pytest.mark.parametrize("listener", LISTENERS)
async def test_who_trusts_the_authority_is_served(listener: str, scene: Scene) -> None:
    await LISTENERS[listener](scene, None)


@pytest.mark.parametrize("listener", LISTENERS)
async def test_who_trusts_another_one_is_not(
    listener: str, scene: Scene, tmp_path: Path
) -> None:
    others = Scene(
        Authority(tmp_path), scene.server, scene.grpc, scene.http, scene.metrics, None
    )
    with pytest.raises(_REFUSALS):
        await LISTENERS[listener](others, None)


async def test_nobody_is_served_in_the_clear(scene: Scene) -> None:
    async with grpc.aio.insecure_channel(scene.grpc, _APART) as channel:
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.Rerank(_RERANK, timeout=_PATIENCE_S)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    async with httpx.AsyncClient(timeout=_PATIENCE_S) as client:
        for address in (scene.http, scene.metrics):
            with pytest.raises(httpx.TransportError):
                await client.get(f"http://{address}/metrics")


@pytest.mark.parametrize("listener", ["grpc", "http", "metrics"])
async def test_nothing_older_than_tls_1_2_is_spoken(
    listener: str, scene: Scene
) -> None:
    context = _trusting(scene.authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        await _shown(getattr(scene, listener), context)


async def test_those_that_are_not_named_stay_without(tmp_path: Path) -> None:
    async with _serving(tmp_path, LISTENERS='["grpc"]') as some:
        await _over_grpc(some, None)
        async with httpx.AsyncClient(timeout=_PATIENCE_S) as client:
            response = await client.get(f"http://{some.metrics}/metrics")
    assert response.status_code == 200


# With certificates of callers


@pytest.fixture(scope="module")
async def mutual(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Scene, Files, Files]]:
    folder = tmp_path_factory.mktemp("mtls")
    callers, others = Authority(folder, "callers"), Authority(folder, "others")
    async with _serving(folder, client_ca=callers.file) as serving:
        yield serving, callers.signed("caller"), others.signed("stranger")


@pytest.mark.parametrize("listener", LISTENERS)
async def test_who_has_a_certificate_is_served(
    listener: str, mutual: tuple[Scene, Files, Files]
) -> None:
    scene, caller, _ = mutual
    await LISTENERS[listener](scene, caller)


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's", "the server's own"])
@pytest.mark.parametrize("listener", LISTENERS)
async def test_who_has_none_or_a_strangers_is_not(
    listener: str, whose: str, mutual: tuple[Scene, Files, Files]
) -> None:
    scene, _, stranger = mutual
    shown = {"nobody's": None, "a stranger's": stranger}.get(whose, scene.server)
    with pytest.raises(_REFUSALS):
        await LISTENERS[listener](scene, shown)


# Files that change


class _Ear(logging.Handler):
    """Hears when something is said."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words
        self.heard = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self._words in record.getMessage():
            self.heard.set()


@contextmanager
def _heard(words: str) -> Iterator[asyncio.Event]:
    ear = _Ear(words)
    logger = logging.getLogger("gateway")
    logger.addHandler(ear)
    try:
        yield ear.heard
    finally:
        logger.removeHandler(ear)


def _spoil(file: Path) -> None:
    file.write_text("rubbish")


async def _until_all_show(scene: Scene, wanted: bytes, client: Client = None) -> None:
    context = _trusting(scene.authority, client)
    async with asyncio.timeout(_PATIENCE_S):
        for address in (scene.grpc, scene.http, scene.metrics):
            while await _shown(address, context) != wanted:
                pass


async def test_a_new_certificate_is_shown_and_no_call_fails(tmp_path: Path) -> None:
    async with _serving(tmp_path) as scene:
        stop = asyncio.Event()
        answered = asyncio.Condition()
        made = dict.fromkeys(LISTENERS, 0)

        async def keep_calling(listener: str) -> None:
            while not stop.is_set():
                await LISTENERS[listener](scene, None)
                async with answered:
                    made[listener] += 1
                    answered.notify_all()

        async def all_made(least: int, since: dict[str, int]) -> None:
            async with asyncio.timeout(_PATIENCE_S), answered:
                await answered.wait_for(
                    lambda: all(made[each] >= since[each] + least for each in made)
                )

        async with asyncio.TaskGroup() as group:
            for listener in LISTENERS:
                for _ in range(3):
                    group.create_task(keep_calling(listener))
            for turn in range(3):
                new = scene.authority.signed(f"new-{turn}")
                before = dict(made)
                scene.server.replace_by(new)
                await _until_all_show(scene, _der(new))
                await all_made(3, before)
            stop.set()


async def test_calls_under_way_outlive_the_change(tmp_path: Path) -> None:
    async with _serving(tmp_path) as scene:
        credentials = grpc.ssl_channel_credentials(scene.authority.pem)
        async with (
            grpc.aio.secure_channel(scene.grpc, credentials, _APART) as channel,
            _client(scene, None) as client,
        ):
            stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
            await stub.Rerank(_RERANK, timeout=_PATIENCE_S)
            await client.get(f"https://{scene.http}/health")
            new = scene.authority.signed("new")
            scene.server.replace_by(new)
            await _until_all_show(scene, _der(new))
            await stub.Rerank(_RERANK, timeout=_PATIENCE_S)
            response = await client.get(f"https://{scene.http}/health")
    assert response.status_code == 200


async def test_another_authority_of_callers_holds_at_once(tmp_path: Path) -> None:
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    before, after = old.signed("before"), new.signed("after")
    callers = tmp_path / "callers.pem"
    callers.write_bytes(old.pem)
    async with _serving(tmp_path, client_ca=callers) as scene:
        for ask in LISTENERS.values():
            await ask(scene, before)
            with pytest.raises(_REFUSALS):
                await ask(scene, after)
        callers.with_suffix(".new").write_bytes(new.pem)
        callers.with_suffix(".new").replace(callers)
        shown = scene.authority.signed("shown")
        scene.server.replace_by(shown)
        await _until_all_show(scene, _der(shown), after)
        for ask in LISTENERS.values():
            await ask(scene, after)
            with pytest.raises(_REFUSALS):
                await ask(scene, before)


@pytest.mark.parametrize("what", ["certificate", "key"])
async def test_what_is_wrong_is_not_taken(what: str, tmp_path: Path) -> None:
    async with _serving(tmp_path) as scene:
        right = _der(scene.server)
        with _heard(f"not used: tls.{what}") as heard:
            _spoil(getattr(scene.server, what))
            async with asyncio.timeout(_PATIENCE_S):
                await heard.wait()
        for listener, ask in LISTENERS.items():
            await ask(scene, None)
            address = getattr(scene, listener)
            assert await _shown(address, _trusting(scene.authority)) == right
        new = scene.authority.signed("new")
        scene.server.replace_by(new)
        await _until_all_show(scene, _der(new))
