"""Who gets in: every listener and every way to call, by every mode, with every credential."""

import base64
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from gateway.compose import Gateway, gateway
from gateway.identity.keys import hash_of, new_key
from gateway.settings import load
from rerank.v1 import (
    backend_service_pb2,
    backend_service_pb2_grpc,
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)
from tei.v1 import tei_pb2, tei_pb2_grpc
from tests.e2e.running import running
from tests.support.identities import (
    AUDIENCE,
    ISSUER,
    Authority,
    Files,
    Signer,
    jwks,
    rsa_key,
)

pytestmark = pytest.mark.real_time

_PATIENCE_S = 30.0

RIGHT = new_key()
EXPIRED = new_key()
SIGNER = Signer("of-today")
RSA = Signer("of-today-too", "RS256", rsa_key())
STRANGER = Signer("of-today")
"""Says that its key is the issuer's."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway that listens for gRPC and HTTP."""

    channel: grpc.aio.Channel
    client: httpx.AsyncClient


Headers = list[tuple[str, str]]
Ask = Callable[[Scene, Headers], Awaitable[None]]
"""Calls once; raises what the caller gets instead of an answer."""


class Refused(Exception):
    """What a caller was told who was not let in."""

    def __init__(self, told: object) -> None:
        super().__init__(told)
        self.told = told


# Ways to call

_DOCUMENTS = [document_pb2.Document(text=each) for each in ("soup", "backups")]
_RERANK = rerank_service_pb2.RerankRequest(query="soup", documents=_DOCUMENTS)
_SEARCH = search_service_pb2.SearchRequest(query="soup", collection="papers", limit=1)


async def _rerank(scene: Scene, headers: Headers) -> None:
    stub = rerank_service_pb2_grpc.RerankServiceStub(scene.channel)
    await stub.Rerank(_RERANK, metadata=headers, timeout=_PATIENCE_S)


async def _batch(scene: Scene, headers: Headers) -> None:
    async def requests() -> AsyncIterator[rerank_service_pb2.RerankBatchRequest]:
        yield rerank_service_pb2.RerankBatchRequest(request_id="1", request=_RERANK)

    stub = rerank_service_pb2_grpc.RerankServiceStub(scene.channel)
    async for answer in stub.RerankBatch(
        requests(), metadata=headers, timeout=_PATIENCE_S
    ):
        assert answer.response.results


async def _search(scene: Scene, headers: Headers) -> None:
    stub = search_service_pb2_grpc.SearchServiceStub(scene.channel)
    await stub.Search(_SEARCH, metadata=headers, timeout=_PATIENCE_S)


async def _progressive(scene: Scene, headers: Headers) -> None:
    stub = search_service_pb2_grpc.SearchServiceStub(scene.channel)
    request = search_service_pb2.SearchProgressiveRequest(search=_SEARCH)
    async for answer in stub.SearchProgressive(
        request, metadata=headers, timeout=_PATIENCE_S
    ):
        assert answer.HasField("search_response")


async def _import(scene: Scene, headers: Headers) -> None:
    async def batches() -> AsyncIterator[document_service_pb2.ImportDocumentsRequest]:
        document = document_pb2.Document(id="1", text="soup")
        yield document_service_pb2.ImportDocumentsRequest(
            collection="papers", batch_id="1", documents=[document]
        )

    stub = document_service_pb2_grpc.DocumentServiceStub(scene.channel)
    async for answer in stub.ImportDocuments(
        batches(), metadata=headers, timeout=_PATIENCE_S
    ):
        assert answer.accepted_count == 1


async def _collections(scene: Scene, headers: Headers) -> None:
    stub = document_service_pb2_grpc.DocumentServiceStub(scene.channel)
    request = document_service_pb2.ListCollectionsRequest()
    await stub.ListCollections(request, metadata=headers, timeout=_PATIENCE_S)


async def _backends(scene: Scene, headers: Headers) -> None:
    stub = backend_service_pb2_grpc.BackendServiceStub(scene.channel)
    request = backend_service_pb2.ListBackendsRequest()
    await stub.ListBackends(request, metadata=headers, timeout=_PATIENCE_S)


async def _tei(scene: Scene, headers: Headers) -> None:
    stub: Any = tei_pb2_grpc.RerankStub(scene.channel)
    request = tei_pb2.RerankRequest(query="soup", texts=["soup", "backups"])
    await stub.Rerank(request, metadata=headers, timeout=_PATIENCE_S)


async def _tei_info(scene: Scene, headers: Headers) -> None:
    stub: Any = tei_pb2_grpc.InfoStub(scene.channel)
    await stub.Info(tei_pb2.InfoRequest(), metadata=headers, timeout=_PATIENCE_S)


async def _reflection(scene: Scene, headers: Headers) -> None:
    async def requests() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    channel: Any = scene.channel
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    async for answer in stub.ServerReflectionInfo(
        requests(), metadata=headers, timeout=_PATIENCE_S
    ):
        assert answer.list_services_response.service


async def _no_such_method(scene: Scene, headers: Headers) -> None:
    call: Any = scene.channel.unary_unary("/rerank.v1.RerankService/NoSuchMethod")
    try:
        await call(b"", metadata=headers, timeout=_PATIENCE_S)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise


def _posting(path: str, body: object) -> Ask:
    async def ask(scene: Scene, headers: Headers) -> None:
        _check(await scene.client.post(path, json=body, headers=headers))

    return ask


def _getting(path: str) -> Ask:
    async def ask(scene: Scene, headers: Headers) -> None:
        _check(await scene.client.get(path, headers=headers))

    return ask


def _check(response: httpx.Response) -> None:
    if response.status_code == 401:
        assert response.headers["www-authenticate"] == "Bearer"
        raise Refused(response.json())
    assert response.status_code == 200, response.text


_TEXTS = ["soup", "backups"]
_BODY = {"query": "soup", "documents": _TEXTS, "model": "m"}

GRPC: dict[str, Ask] = {
    "Rerank": _rerank,
    "RerankBatch": _batch,
    "Search": _search,
    "SearchProgressive": _progressive,
    "ImportDocuments": _import,
    "ListCollections": _collections,
    "ListBackends": _backends,
    "tei.v1.Rerank": _tei,
    "tei.v1.Info": _tei_info,
    "reflection": _reflection,
    "no such method": _no_such_method,
}
HTTP: dict[str, Ask] = {
    "connect": _posting(
        "/rerank.v1.RerankService/Rerank",
        {"query": "soup", "documents": [{"text": each} for each in _TEXTS]},
    ),
    "connect, search": _posting(
        "/rerank.v1.SearchService/Search", {"query": "soup", "collection": "papers"}
    ),
    "cohere v1": _posting("/cohere/v1/rerank", _BODY),
    "cohere v2": _posting("/v2/rerank", _BODY),
    "jina": _posting("/jina/v1/rerank", _BODY),
    "voyage": _posting("/voyage/v1/rerank", _BODY),
    "tei": _posting("/tei/rerank", {"query": "soup", "texts": _TEXTS}),
    "bare": _posting("/v1/rerank", _BODY),
    "no JSON": _posting("/v1/rerank", "soup"),
    "info": _getting("/info"),
    "openapi": _getting("/openapi.json"),
}
EVERY = {**GRPC, **HTTP}
_ANSWERED = [way for way in EVERY if way != "no JSON"]
"""Those that are right, once the caller is."""


# Credentials


def _forged(header: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Write a token by hand, whose header says what no library would."""

    def part(said: Mapping[str, Any] | bytes) -> bytes:
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = time.time()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "shop", "exp": now + 600}
    signed = part(header) + b"." + part(claims)
    return (signed + b"." + part(sign(signed))).decode()


def _by_public_key(signed: bytes) -> bytes:
    """Sign with what everybody knows, as if it were a secret."""
    return hmac.digest(json.dumps(RSA.jwk).encode(), signed, hashlib.sha256)


def _bearer(token: str) -> Headers:
    return [("authorization", f"Bearer {token}")]


_IN_ANY_MODE: dict[str, Headers] = {
    "nothing": [],
    "no scheme": [("authorization", RIGHT)],
    "an empty one": [("authorization", 'Bearer ""')],
    "the scheme alone": [("authorization", "Bearer")],
    "another scheme": [("authorization", f"Basic {RIGHT}")],
    "another header": [("x-api-key", RIGHT), ("api-key", RIGHT)],
    "another name for itself": [("x-rerank-caller", "shop")],
    "the hash": _bearer(hash_of(RIGHT)),
    "a beginning": _bearer(RIGHT[:-1]),
    "more": _bearer(RIGHT + "A"),
    "another case": _bearer(RIGHT.swapcase()),
    "an unknown one": _bearer(new_key()),
    "a very long one": _bearer("A" * 5000),
    "an unsigned token": _bearer(_forged({"alg": "none"}, lambda _: b"")),
    "rubbish with dots": _bearer("a.b.c"),
}
WRONG_KEYS: dict[str, Headers] = {
    **_IN_ANY_MODE,
    "two, of which one is right": [*_bearer(RIGHT), *_bearer(new_key())],
    "the right one twice": _bearer(RIGHT) * 2,
    "an expired one": _bearer(EXPIRED),
    "a token": _bearer(SIGNER.token()),
}
WRONG_TOKENS: dict[str, Headers] = {
    **_IN_ANY_MODE,
    "a key": _bearer(RIGHT),
    "two, of which one is right": [*_bearer(SIGNER.token()), *_bearer("a.b.c")],
    "an expired one": _bearer(SIGNER.token(exp=time.time() - 60)),
    "one that never expires": _bearer(SIGNER.token(exp=None)),
    "one of tomorrow": _bearer(SIGNER.token(nbf=time.time() + 86_400)),
    "of another issuer": _bearer(SIGNER.token(iss="https://issuer.test")),
    "of no issuer": _bearer(SIGNER.token(iss=None)),
    "for others": _bearer(SIGNER.token(aud="search")),
    "for nobody": _bearer(SIGNER.token(aud=None)),
    "of no tenant": _bearer(SIGNER.token(sub=None)),
    "of a tenant that is no name": _bearer(SIGNER.token(sub="a\nb")),
    "signed by a stranger": _bearer(STRANGER.token()),
    "with a key that nobody knows": _bearer(Signer("of-never").token()),
    "with an algorithm that is not allowed": _bearer(
        Signer("of-today-too", "RS512", rsa_key()).token()
    ),
    "signed with the public key": _bearer(
        _forged({"alg": "HS256", "kid": "of-today-too"}, _by_public_key)
    ),
    "that brings its own key": _bearer(
        STRANGER.token(headers={"kid": "its-own", "jwk": STRANGER.jwk})
    ),
    "that says where its key is": _bearer(
        STRANGER.token(headers={"kid": "its-own", "jku": "http://127.0.0.1:1/"})
    ),
    "changed": _bearer(SIGNER.token().rpartition(".")[0] + ".AAAA"),
}


WRONG_CERTIFICATES: dict[str, tuple[list[str], list[x509.GeneralName]]] = {
    "an unknown one": (["other"], [x509.DNSName("other.test")]),
    "one without names": ([], []),
    "one of another kind": (["shop.test"], [x509.DNSName("shop")]),
    "another case": (["Shop"], [x509.DNSName("SHOP.test")]),
    "more after a zero byte": (["shop\0.evil"], [x509.DNSName("shop.test\0.evil")]),
    "that of two callers": (["shop"], [x509.DNSName("hall.test")]),
    "two common names": (["shop", "other"], []),
}
"""What is in one that an authority has signed: common names, and alternative ones."""

RIGHT_CERTIFICATES: dict[str, tuple[list[str], list[x509.GeneralName]]] = {
    "common name": (["shop"], []),
    "dns": (["any"], [x509.DNSName("any.test"), x509.DNSName("hall.test")]),
    "uri": ([], [x509.UniformResourceIdentifier("spiffe://test/ns/a/sa/web")]),
}


def _environ(**more: str) -> dict[str, str]:
    return {f"RERANK_GATEWAY__{name}": value for name, value in more.items()}


_SERVING = _environ(
    HTTP__ADDRESS="127.0.0.1:0",
    RETRIEVAL__ENGINE="embedded",
    EMBEDDER__DIALECT="none",
)


def _keys() -> dict[str, str]:
    return _environ(
        IDENTITY__MODE="keys",
        IDENTITY__KEYS__SHOP__SHA256=hash_of(RIGHT),
        IDENTITY__KEYS__SHOP__ADMIN="true",
        IDENTITY__KEYS__OLD__SHA256=hash_of(EXPIRED),
        IDENTITY__KEYS__OLD__ADMIN="true",
        IDENTITY__KEYS__OLD__EXPIRES="2026-01-01T00:00:00Z",
    )


def _jwt(folder: Path) -> dict[str, str]:
    file = folder / "jwks.json"
    file.write_bytes(jwks(SIGNER, RSA))
    return _environ(
        IDENTITY__MODE="jwt",
        IDENTITY__JWT__ISSUER=ISSUER,
        IDENTITY__JWT__AUDIENCE=f'["{AUDIENCE}"]',
        IDENTITY__JWT__JWKS_FILE=str(file),
        IDENTITY__JWT__ADMIN_CLAIM="admin",
        IDENTITY__JWT__TIMEOUT_S="0.05",
    )


def _certificates(server: Files, callers: Authority) -> dict[str, str]:
    entries = "IDENTITY__CERTIFICATES__"
    return _environ(
        TLS__CERTIFICATE=str(server.certificate),
        TLS__KEY=str(server.key),
        TLS__CLIENT_CA=str(callers.file),
        TLS__CLIENT_AUTH="require",
        IDENTITY__MODE="certificates",
        **{
            f"{entries}SHOP__COMMON_NAME": "shop",
            f"{entries}SHOP__ADMIN": "true",
            f"{entries}HALL__DNS": "hall.test",
            f"{entries}HALL__ADMIN": "true",
            f"{entries}WEB__URI": "spiffe://test/ns/a/sa/web",
            f"{entries}WEB__ADMIN": "true",
        },
    )


@dataclass(frozen=True, slots=True)
class Certifying:
    """A gateway that knows callers by their certificates, and everybody's scene there."""

    right: Mapping[str, Scene]
    wrong: Mapping[str, Scene]


@asynccontextmanager
async def _certifying(folder: Path) -> AsyncIterator[Certifying]:
    authority, callers = Authority(folder, "authority"), Authority(folder, "callers")
    environ = {**_SERVING, **_certificates(authority.signed("server"), callers)}
    environ |= _environ(RETRIEVAL__PATH=str(folder / "collections"))
    settings = load(address="127.0.0.1:0", environ=environ)
    async with AsyncExitStack() as parts:
        served = await parts.enter_async_context(gateway(settings, lambda _: None))

        async def shown(number: int, names: Any) -> Scene:
            common, alternative = names
            files = callers.certified(
                f"caller-{number}", common=common, alternative=alternative
            )
            return Scene(
                await parts.enter_async_context(_channel(served, authority, files)),
                await parts.enter_async_context(_client(served, authority, files)),
            )

        each = {**RIGHT_CERTIFICATES, **WRONG_CERTIFICATES}
        scenes = {
            name: await shown(number, names)
            for number, (name, names) in enumerate(each.items())
        }
        yield Certifying(
            {name: scenes[name] for name in RIGHT_CERTIFICATES},
            {name: scenes[name] for name in WRONG_CERTIFICATES},
        )


def _channel(served: Gateway, authority: Authority, files: Files) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        authority.pem, files.key.read_bytes(), files.pem
    )
    apart = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.secure_channel(served.address, credentials, apart)


def _client(served: Gateway, authority: Authority, files: Files) -> httpx.AsyncClient:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.load_cert_chain(files.certificate, files.key)
    return httpx.AsyncClient(
        base_url=f"https://{served.http_address}", verify=context, timeout=_PATIENCE_S
    )


@asynccontextmanager
async def _gateway(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as parts:
        gateway = await parts.enter_async_context(
            running(
                {},
                environ={
                    **_SERVING,
                    **_environ(RETRIEVAL__PATH=str(folder / "collections")),
                    **environ,
                },
            )
        )
        client = httpx.AsyncClient(
            base_url=f"http://{gateway.server.http_address}", timeout=_PATIENCE_S
        )
        yield Scene(gateway.channel, await parts.enter_async_context(client))


async def _make_papers(scene: Scene, headers: Headers) -> None:
    stub = document_service_pb2_grpc.DocumentServiceStub(scene.channel)
    await stub.CreateCollection(
        document_service_pb2.CreateCollectionRequest(name="papers"),
        metadata=headers,
        timeout=_PATIENCE_S,
    )


@pytest.fixture(scope="module")
async def anonymous(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with _gateway(tmp_path_factory.mktemp("none"), {}) as scene:
        await _make_papers(scene, [])
        yield scene


@pytest.fixture(scope="module")
async def keyed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with _gateway(tmp_path_factory.mktemp("keys"), _keys()) as scene:
        await _make_papers(scene, _bearer(RIGHT))
        yield scene


@pytest.fixture(scope="module")
async def tokened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("jwt")
    async with _gateway(folder, _jwt(folder)) as scene:
        await _make_papers(scene, _bearer(SIGNER.token(admin=True)))
        yield scene


@pytest.fixture(scope="module")
async def certifying(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Certifying]:
    async with _certifying(tmp_path_factory.mktemp("certificates")) as some:
        await _make_papers(next(iter(some.right.values())), [])
        yield some


_OF_ITS_OWN = "Internal error from Core"
"""What grpc.aio's client says where a stream ends while it still writes: no word of it is the
gateway's."""


async def _told(way: str, scene: Scene, headers: Headers) -> object:
    """Give all that a caller is told who is refused.

    Raises:
        AssertionError: It is let in.

    """
    try:
        await EVERY[way](scene, headers)
    except grpc.aio.AioRpcError as error:
        if error.details() == _OF_ITS_OWN:
            return await _told(way, scene, headers)
        trailers = tuple(error.trailing_metadata() or ())
        return error.code(), error.details(), trailers
    except Refused as refused:
        return refused.told
    raise AssertionError


# The table


@pytest.mark.parametrize("way", _ANSWERED)
async def test_where_nobody_is_asked_all_get_in(way: str, anonymous: Scene) -> None:
    await EVERY[way](anonymous, [])
    await EVERY[way](anonymous, _bearer("whatever"))


@pytest.mark.parametrize("way", _ANSWERED)
async def test_who_has_a_key_gets_in(way: str, keyed: Scene) -> None:
    await EVERY[way](keyed, _bearer(RIGHT))
    await EVERY[way](keyed, [("authorization", f"bearer  {RIGHT}")])


@pytest.mark.parametrize("signer", [SIGNER, RSA], ids=lambda each: str(each.algorithm))
@pytest.mark.parametrize("way", _ANSWERED)
async def test_who_has_a_token_gets_in(
    way: str, signer: Signer, tokened: Scene
) -> None:
    await EVERY[way](tokened, _bearer(signer.token(admin=True)))


@pytest.mark.parametrize("credential", WRONG_KEYS)
@pytest.mark.parametrize("way", EVERY)
async def test_nobody_gets_in_without_a_key(
    way: str, credential: str, keyed: Scene
) -> None:
    told = await _told(way, keyed, WRONG_KEYS[credential])
    assert told == await _told(way, keyed, [])


@pytest.mark.parametrize("credential", WRONG_TOKENS)
@pytest.mark.parametrize("way", EVERY)
async def test_nobody_gets_in_without_a_token(
    way: str, credential: str, tokened: Scene
) -> None:
    told = await _told(way, tokened, WRONG_TOKENS[credential])
    assert told == await _told(way, tokened, [])


@pytest.mark.parametrize("certificate", RIGHT_CERTIFICATES)
@pytest.mark.parametrize("way", _ANSWERED)
async def test_who_has_a_certificate_that_is_listed_gets_in(
    way: str, certificate: str, certifying: Certifying
) -> None:
    await EVERY[way](certifying.right[certificate], [])
    # What else it shows does not matter.
    await EVERY[way](certifying.right[certificate], _bearer("whatever"))


@pytest.mark.parametrize("certificate", WRONG_CERTIFICATES)
@pytest.mark.parametrize("way", EVERY)
async def test_nobody_gets_in_with_a_certificate_that_is_not(
    way: str, certificate: str, certifying: Certifying, keyed: Scene
) -> None:
    scene = certifying.wrong[certificate]
    # In the same words as whoever has no key.
    assert await _told(way, scene, []) == await _told(way, keyed, [])
    forwarded = [("x-forwarded-client-cert", "Subject=CN=shop;DNS=hall.test")]
    for said in (_bearer(RIGHT), forwarded, [("x-rerank-caller", "shop")]):
        assert await _told(way, scene, said) == await _told(way, keyed, [])


async def test_health_is_open_to_all_who_have_a_certificate(
    certifying: Certifying,
) -> None:
    for scene in certifying.wrong.values():
        response = await scene.client.get("/health")
        assert (response.status_code, response.json()) == (200, {"status": "SERVING"})
    for scene in (*certifying.wrong.values(), *certifying.right.values()):
        stub: Any = health_pb2_grpc.HealthStub(scene.channel)
        request = health_pb2.HealthCheckRequest()
        answer = await stub.Check(request, timeout=_PATIENCE_S)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watching = stub.Watch(request, timeout=_PATIENCE_S)
        answer = await watching.read()
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watching.cancel()
    for scene in certifying.right.values():
        response = await scene.client.get("/health")
        assert [each["name"] for each in response.json()["backends"]]


@pytest.mark.parametrize("way", GRPC)
async def test_what_a_stranger_is_told_over_grpc(way: str, keyed: Scene) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await GRPC[way](keyed, _bearer("wrong"))
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert raised.value.details() == "valid credentials are required"
    failed: Any = raised.value
    status = rpc_status.from_call(failed)
    assert status
    (detail,) = status.details
    info = error_details_pb2.ErrorInfo()
    assert detail.Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "CREDENTIALS_REQUIRED",
        "rerank.v1",
        {},
    )


@pytest.mark.parametrize("way", HTTP)
async def test_what_a_stranger_is_told_over_http(way: str, keyed: Scene) -> None:
    with pytest.raises(Refused) as raised:
        await HTTP[way](keyed, _bearer("wrong"))
    said = json.dumps(raised.value.told)
    assert "valid credentials are required" in said
    for word in ("missing", "unknown", "expired", "malformed", "wrong"):
        assert word not in said


# What is open


async def test_health_is_open_and_names_no_backend(keyed: Scene) -> None:
    response = await keyed.client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "SERVING"})
    response = await keyed.client.get("/health", headers=_bearer(RIGHT))
    assert [each["name"] for each in response.json()["backends"]]


async def test_health_of_grpc_is_open(keyed: Scene) -> None:
    stub: Any = health_pb2_grpc.HealthStub(keyed.channel)
    request = health_pb2.HealthCheckRequest(service="rerank.v1.RerankService")
    answer = await stub.Check(request, timeout=_PATIENCE_S)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_only_what_is_said_to_be_open_is_open(tmp_path: Path) -> None:
    environ = {**_keys(), **_environ(IDENTITY__OPEN='["backends", "reflection"]')}
    async with _gateway(tmp_path, environ) as scene:
        await _backends(scene, [])
        await _reflection(scene, [])
        for way in ("Rerank", "openapi", "info"):
            assert await _told(way, scene, [])
        response = await scene.client.get("/health")
        assert response.status_code == 401
