"""What a known caller may use: whatever else there is, for it there is not."""

import asyncio
import base64
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway.events import CallEnded, Event
from gateway.identity.keys import hash_of
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
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Vendor, hang

pytestmark = pytest.mark.real_time

_PATIENCE_S = 30.0

KEYS: dict[str, dict[str, str]] = {
    "admin": {"tenant": "house", "admin": "true"},
    "reader": {
        "tenant": "acme",
        "routes": '["default", "theirs"]',
        "collections": '["papers"]',
    },
    "writer": {"tenant": "acme", "collections": '["papers"]', "write": "true"},
    "other": {"tenant": "umbrella", "routes": '["theirs"]'},
    "limited_admin": {"tenant": "acme", "collections": '["papers"]', "admin": "true"},
}


def _metadata(key: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer key-of-{key}")]


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway with routes and collections, of which callers may use some."""

    channel: grpc.aio.Channel
    client: httpx.AsyncClient
    ended: list[CallEnded]

    @property
    def rerank(self) -> Any:
        return rerank_service_pb2_grpc.RerankServiceStub(self.channel)

    @property
    def search(self) -> Any:
        return search_service_pb2_grpc.SearchServiceStub(self.channel)

    @property
    def documents(self) -> Any:
        return document_service_pb2_grpc.DocumentServiceStub(self.channel)

    @property
    def backends(self) -> Any:
        return backend_service_pb2_grpc.BackendServiceStub(self.channel)


@asynccontextmanager
async def _serving(folder: Path, **more: str) -> AsyncIterator[Scene]:
    prefix = "RERANK_GATEWAY__"
    environ = {
        f"{prefix}HTTP__ADDRESS": "127.0.0.1:0",
        f"{prefix}RETRIEVAL__ENGINE": "embedded",
        f"{prefix}RETRIEVAL__PATH": str(folder / "collections"),
        f"{prefix}EMBEDDER__DIALECT": "none",
        f"{prefix}IDENTITY__MODE": "keys",
        **{f"{prefix}{name}": value for name, value in more.items()},
    }
    for name, said in KEYS.items():
        key = f"{prefix}IDENTITY__KEYS__{name.upper()}__"
        environ[f"{key}SHA256"] = hash_of(f"key-of-{name}")
        environ |= {f"{key}{each.upper()}": value for each, value in said.items()}
    ended: list[CallEnded] = []

    def note(event: Event) -> None:
        if isinstance(event, CallEnded):
            ended.append(event)

    routes = {each: {"backends": ["local"]} for each in ("default", "theirs", "secret")}
    async with AsyncExitStack() as parts:
        gateway = await parts.enter_async_context(
            running({"routes": routes}, environ=environ, emit=note)
        )
        client = httpx.AsyncClient(
            base_url=f"http://{gateway.server.http_address}", timeout=_PATIENCE_S
        )
        client = await parts.enter_async_context(client)
        scene = Scene(gateway.channel, client, ended)
        for name in ("papers", "secrets"):
            await scene.documents.CreateCollection(
                document_service_pb2.CreateCollectionRequest(name=name),
                metadata=_metadata("admin"),
                timeout=_PATIENCE_S,
            )
        yield scene


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with _serving(tmp_path_factory.mktemp("permitted")) as serving:
        yield serving


# Each way to name a route or a collection, as a function of the name

Ask = Callable[[Scene, str, str], Awaitable[Any]]
"""Names something as some caller; gives all that it is told."""


def _request(route: str = "") -> rerank_service_pb2.RerankRequest:
    return rerank_service_pb2.RerankRequest(
        query="soup", documents=[document_pb2.Document(text="soup")], route=route
    )


async def _told(call: Any) -> Any:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details(), tuple(error.trailing_metadata() or ())
    return "OK"


async def _rerank(scene: Scene, key: str, route: str) -> Any:
    return await _told(
        scene.rerank.Rerank(
            _request(route), metadata=_metadata(key), timeout=_PATIENCE_S
        )
    )


async def _batch(scene: Scene, key: str, route: str) -> Any:
    async def requests() -> AsyncIterator[rerank_service_pb2.RerankBatchRequest]:
        yield rerank_service_pb2.RerankBatchRequest(
            request_id="1", request=_request(route)
        )

    call = scene.rerank.RerankBatch(
        requests(), metadata=_metadata(key), timeout=_PATIENCE_S
    )
    async for answer in call:
        if answer.HasField("error"):
            return answer.error.SerializeToString(deterministic=True)
    return "OK"


async def _search_over(scene: Scene, key: str, route: str) -> Any:
    request = search_service_pb2.SearchRequest(query="soup", collection="papers")
    request.rerank.route = route
    return await _told(
        scene.search.Search(request, metadata=_metadata(key), timeout=_PATIENCE_S)
    )


async def _tei(scene: Scene, key: str, route: str) -> Any:
    stub: Any = tei_pb2_grpc.RerankStub(scene.channel)
    metadata = [*_metadata(key), ("x-rerank-route", route)]
    request = tei_pb2.RerankRequest(query="soup", texts=["soup"])
    return await _told(stub.Rerank(request, metadata=metadata, timeout=_PATIENCE_S))


async def _tei_info(scene: Scene, key: str, route: str) -> Any:
    stub: Any = tei_pb2_grpc.InfoStub(scene.channel)
    metadata = [*_metadata(key), ("x-rerank-route", route)]
    request = tei_pb2.InfoRequest()
    return await _told(stub.Info(request, metadata=metadata, timeout=_PATIENCE_S))


async def _post(scene: Scene, key: str, path: str, body: object, **headers: str) -> Any:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await scene.client.post(
        path, json=body, headers={**dict(_metadata(key)), **headers}
    )
    return (
        "OK" if response.status_code == 200 else (response.status_code, response.text)
    )


async def _connect(scene: Scene, key: str, route: str) -> Any:
    body = {"query": "soup", "documents": [{"text": "soup"}], "route": route}
    return await _post(scene, key, "/rerank.v1.RerankService/Rerank", body)


async def _by_header(scene: Scene, key: str, route: str) -> Any:
    body = {"query": "soup", "documents": ["soup"], "model": "m"}
    return await _post(scene, key, "/v2/rerank", body, x_rerank_route=route)


ROUTES: dict[str, Ask] = {
    "Rerank": _rerank,
    "RerankBatch": _batch,
    "Search": _search_over,
    "tei.v1.Rerank": _tei,
    "tei.v1.Info": _tei_info,
    "connect": _connect,
    "x-rerank-route": _by_header,
}


async def _search(scene: Scene, key: str, collection: str) -> Any:
    request = search_service_pb2.SearchRequest(query="soup", collection=collection)
    return await _told(
        scene.search.Search(request, metadata=_metadata(key), timeout=_PATIENCE_S)
    )


async def _progressive(scene: Scene, key: str, collection: str) -> Any:
    request = search_service_pb2.SearchProgressiveRequest(
        search=search_service_pb2.SearchRequest(query="soup", collection=collection)
    )

    async def all_of_it() -> None:
        async for _ in scene.search.SearchProgressive(
            request, metadata=_metadata(key), timeout=_PATIENCE_S
        ):
            pass

    return await _told(all_of_it())


async def _get(scene: Scene, key: str, collection: str) -> Any:
    request = document_service_pb2.GetDocumentRequest(collection=collection, id="x")
    return await _told(
        scene.documents.GetDocument(
            request, metadata=_metadata(key), timeout=_PATIENCE_S
        )
    )


async def _import(scene: Scene, key: str, collection: str) -> Any:
    async def batches() -> AsyncIterator[document_service_pb2.ImportDocumentsRequest]:
        yield document_service_pb2.ImportDocumentsRequest(
            collection=collection,
            batch_id="1",
            documents=[document_pb2.Document(id="1", text="soup")],
        )

    async def all_of_it() -> None:
        async for _ in scene.documents.ImportDocuments(
            batches(), metadata=_metadata(key), timeout=_PATIENCE_S
        ):
            pass

    return await _told(all_of_it())


async def _delete(scene: Scene, key: str, collection: str) -> Any:
    request = document_service_pb2.DeleteDocumentsRequest(
        collection=collection, ids=["y"]
    )
    return await _told(
        scene.documents.DeleteDocuments(
            request, metadata=_metadata(key), timeout=_PATIENCE_S
        )
    )


async def _delete_collection(scene: Scene, key: str, collection: str) -> Any:
    request = document_service_pb2.DeleteCollectionRequest(name=collection)
    return await _told(
        scene.documents.DeleteCollection(
            request, metadata=_metadata(key), timeout=_PATIENCE_S
        )
    )


async def _create_collection(scene: Scene, key: str, collection: str) -> Any:
    request = document_service_pb2.CreateCollectionRequest(name=collection)
    return await _told(
        scene.documents.CreateCollection(
            request, metadata=_metadata(key), timeout=_PATIENCE_S
        )
    )


COLLECTIONS: dict[str, tuple[str, Ask]] = {
    "Search": ("reader", _search),
    "SearchProgressive": ("reader", _progressive),
    "GetDocument": ("reader", _get),
    "ImportDocuments": ("writer", _import),
    "DeleteDocuments": ("writer", _delete),
    "DeleteCollection": ("limited_admin", _delete_collection),
    "CreateCollection": ("limited_admin", _create_collection),
}
"""By RPC: a key that may make such calls, and the call."""


def _plain(told: object) -> str:
    """Show what was told, with what Connect packs in base64."""
    return re.sub(
        r'(?<="value":")([^"]*)',
        lambda found: repr(base64.b64decode(found[1] + "==")),
        repr(told),
    )


# Routes


@pytest.mark.parametrize("way", ROUTES)
async def test_a_route_that_is_allowed_is_used(way: str, scene: Scene) -> None:
    assert await ROUTES[way](scene, "reader", "theirs") == "OK"
    assert await ROUTES[way](scene, "admin", "secret") == "OK"


@pytest.mark.parametrize("way", ROUTES)
async def test_a_route_that_is_not_is_like_one_that_there_is_not(
    way: str, scene: Scene
) -> None:
    # Of the same length, since answers say how long they are.
    secret = await ROUTES[way](scene, "reader", "secret")
    absent = await ROUTES[way](scene, "reader", "absent")
    assert secret != "OK"
    assert _plain(secret).replace("secret", "absent") == _plain(absent)


async def test_a_model_that_is_a_route_is_one_for_those_alone_who_may(
    scene: Scene,
) -> None:
    """Any other `model` is ignored, and so is this one."""
    for model in ("secret", "absent"):
        body = {"query": "soup", "documents": ["soup"], "model": model}
        response = await scene.client.post(
            "/v2/rerank", json=body, headers=dict(_metadata("reader"))
        )
        assert response.status_code == 200
        assert response.headers["x-rerank-route"] == "default"


async def test_who_may_not_use_the_default_has_no_default(scene: Scene) -> None:
    code, words, _ = await _rerank(scene, "other", "")
    assert (code, words) == (
        grpc.StatusCode.NOT_FOUND,
        "there is no route 'default'",
    )


async def test_who_may_not_use_the_default_learns_of_no_model_of_it(
    scene: Scene,
) -> None:
    async def model(key: str) -> object:
        response = await scene.client.get("/info", headers=dict(_metadata(key)))
        return response.json()["model_id"]

    assert await model("reader")
    assert await model("other") is None


# Collections


@pytest.mark.parametrize("way", COLLECTIONS)
async def test_a_collection_that_is_not_allowed_is_like_one_that_there_is_not(
    way: str, scene: Scene
) -> None:
    key, ask = COLLECTIONS[way]
    # Of the same length, since answers say how long they are.
    secret = await ask(scene, key, "secrets")
    absent = await ask(scene, key, "absent_")
    assert secret[0] is grpc.StatusCode.NOT_FOUND
    assert repr(secret).replace("secrets", "absent_") == repr(absent)


async def test_what_may_be_used_is_used(scene: Scene) -> None:
    assert await _import(scene, "writer", "papers") == "OK"
    assert await _search(scene, "reader", "papers") == "OK"
    assert await _delete(scene, "writer", "papers") == "OK"


async def test_only_those_that_are_allowed_are_listed(scene: Scene) -> None:
    async def listed(key: str) -> list[str]:
        answer = await scene.documents.ListCollections(
            document_service_pb2.ListCollectionsRequest(),
            metadata=_metadata(key),
            timeout=_PATIENCE_S,
        )
        return [each.name for each in answer.collections]

    assert await listed("reader") == ["papers"]
    assert set(await listed("admin")) >= {"papers", "secrets"}


# What else it takes


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("reader", set[str]()),
        ("writer", {"import", "delete"}),
        ("limited_admin", {"import", "delete", "create", "drop", "backends"}),
        ("admin", {"import", "delete", "create", "drop", "backends"}),
    ],
)
async def test_what_changes_something_needs_its_right(
    key: str, allowed: set[str], scene: Scene
) -> None:
    tried = {
        "import": await _import(scene, key, "papers"),
        "delete": await _delete(scene, key, "papers"),
        "create": await _create_collection(scene, key, "absent"),
        "drop": await _delete_collection(scene, key, "absent"),
        "backends": await _told(
            scene.backends.ListBackends(
                backend_service_pb2.ListBackendsRequest(),
                metadata=_metadata(key),
                timeout=_PATIENCE_S,
            )
        ),
    }
    denied = {
        what
        for what, told in tried.items()
        if told != "OK" and told[0] is grpc.StatusCode.PERMISSION_DENIED
    }
    assert denied == set(tried) - allowed


async def test_the_line_of_a_call_says_whose_it_is(scene: Scene) -> None:
    scene.ended.clear()
    await _rerank(scene, "reader", "")
    await _connect(scene, "other", "theirs")
    await _told(scene.rerank.Rerank(_request(), timeout=_PATIENCE_S))
    assert [(each.status, each.tenant) for each in scene.ended] == [
        ("OK", "acme"),
        ("OK", "umbrella"),
        ("UNAUTHENTICATED", ""),
    ]


async def test_strangers_take_no_room_and_are_not_told_that_there_is_none() -> None:
    (shape,) = SHAPES["llamacpp"]
    prefix = "RERANK_GATEWAY__"
    environ = {
        f"{prefix}SERVER__MAX_CALLS": "1",
        f"{prefix}IDENTITY__MODE": "keys",
        f"{prefix}IDENTITY__KEYS__READER__SHA256": hash_of("key-of-reader"),
    }
    known = _metadata("reader")
    async with Vendor(hang) as vendor:
        backend = {"dialect": shape.dialect, "url": vendor.url, **shape.settings}
        settings = {
            "backends": {"behind": backend},
            "routes": {"default": {"backends": ["behind"]}},
        }
        async with running(settings, environ=environ) as gateway:
            strangers = [
                gateway.stub.Rerank(_request(), timeout=_PATIENCE_S) for _ in range(20)
            ]
            for stranger in strangers:
                code, *_ = await _told(stranger)
                assert code is grpc.StatusCode.UNAUTHENTICATED
            first = gateway.stub.Rerank(_request(), metadata=known, timeout=_PATIENCE_S)
            await vendor.until(lambda: vendor.in_progress > 0)
            code, *_ = await _told(
                gateway.stub.Rerank(_request(), metadata=known, timeout=_PATIENCE_S)
            )
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            code, *_ = await _told(gateway.stub.Rerank(_request(), timeout=_PATIENCE_S))
            assert code is grpc.StatusCode.UNAUTHENTICATED
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first


# What is remembered


async def _cached(scene: Scene, key: str, route: str, query: str) -> int:
    request = _request(route)
    request.query = query
    answer = await scene.rerank.Rerank(
        request, metadata=_metadata(key), timeout=_PATIENCE_S
    )
    count: int = answer.execution.cached_count
    return count


async def test_each_tenant_remembers_for_itself_unless_a_route_shares(
    tmp_path: Path,
) -> None:
    async with _serving(
        tmp_path,
        CACHE__MAX_BYTES="1000000",
        ROUTES__SECRET__SHARE_CACHE="true",
    ) as scene:
        assert await _cached(scene, "writer", "theirs", "a") == 0
        assert await _cached(scene, "reader", "theirs", "a") == 1
        assert await _cached(scene, "other", "theirs", "a") == 0
        assert await _cached(scene, "other", "theirs", "a") == 1
        assert await _cached(scene, "writer", "secret", "b") == 0
        assert await _cached(scene, "admin", "secret", "b") == 1


async def test_a_whole_answer_is_none_for_who_may_not_use_its_route(
    tmp_path: Path,
) -> None:
    """Of one tenant, and word by word the same request."""
    async with _serving(tmp_path, CACHE__MAX_BYTES="1000000") as scene:
        for _ in range(3):
            assert await _rerank(scene, "writer", "secret") == "OK"
            code, *_ = await _rerank(scene, "reader", "secret")
            assert code is grpc.StatusCode.NOT_FOUND


# Keys that change


async def test_a_file_of_keys_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"

    def write(*names: str) -> None:
        new = file.with_suffix(".new")
        new.write_text(
            "".join(
                f'[identity.keys.{each}]\nsha256 = "{hash_of(f"key-of-{each}")}"\n'
                for each in names
            )
        )
        new.replace(file)

    async def until(serving: Scene, key: str, wanted: str) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                told = await _rerank(serving, key, "")
                code = "OK" if told == "OK" else told[0].name
                if code == wanted:
                    return
                assert code in ("OK", "UNAUTHENTICATED")

    write("filed")
    async with _serving(
        tmp_path,
        IDENTITY__KEYS_FILE=str(file),
        IDENTITY__LOOK_EVERY_S="0.02",
    ) as scene:
        await until(scene, "filed", "OK")
        await until(scene, "later", "UNAUTHENTICATED")
        write("later")
        await until(scene, "later", "OK")
        await until(scene, "filed", "UNAUTHENTICATED")
        assert await _rerank(scene, "reader", "") == "OK"
        file.write_text("")
        began = time.monotonic()
        while time.monotonic() - began < 0.2:  # a broken file changes nothing
            await until(scene, "later", "OK")
