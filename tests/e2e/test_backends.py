"""BackendService over real gRPC, and its command."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from rerank.v1 import backend_pb2, backend_service_pb2, backend_service_pb2_grpc
from tests.e2e.running import Running, running
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import command
from tests.e2e.vendor import Play, Vendor, hang, reply

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["tei"]
_PANDA = _SHAPE.scored(lambda text: 5.26 if "panda" in text else -8.19)


def _settings(url: str) -> dict[str, Any]:
    return {
        "backends": {
            "down": {"dialect": "cohere-v2", "model": "m", "url": "http://127.0.0.1:9"},
            "keyless": {
                "dialect": "jina",
                "model": "jina-reranker-v3",
                "api_key_env": "NOT_SET",
            },
            "tei": {"dialect": "tei", "url": url, "timeout_s": 0.3, "min_score": 0.25},
        },
        "routes": {"default": {"backends": ["tei", "down", "keyless"]}},
    }


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor(_PANDA, info=_SHAPE.info) as vendor:
        yield vendor


def _stub(gateway: Running) -> "backend_service_pb2_grpc.BackendServiceAsyncStub":
    return backend_service_pb2_grpc.BackendServiceStub(gateway.channel)


async def test_every_backend_is_listed_by_name_with_what_is_known(
    vendor: Vendor,
) -> None:
    async with running(_settings(vendor.url)) as gateway:
        listed = await _stub(gateway).ListBackends(
            backend_service_pb2.ListBackendsRequest()
        )

    assert not listed.next_page_token
    down, keyless, tei = listed.backends
    assert [each.name for each in listed.backends] == ["down", "keyless", "tei"]
    assert {each.kind for each in listed.backends} == {
        backend_pb2.BACKEND_KIND_RERANKER
    }
    assert down.dialect == "cohere-v2"
    assert down.scale == backend_pb2.SCORE_SCALE_PROBABILITY
    assert down.state == backend_pb2.BACKEND_STATE_UNSPECIFIED
    assert keyless.state == backend_pb2.BACKEND_STATE_MISCONFIGURED
    assert tei.scale == backend_pb2.SCORE_SCALE_LOGIT
    assert tei.limits.max_documents == 32
    assert tei.limits.max_in_flight == 16
    assert tei.limits.max_queued == 256
    assert tei.limits.timeout.nanos == 300_000_000
    assert tei.default_top_k == 100
    assert tei.min_score == 0.25
    assert not down.HasField("min_score")
    assert vendor.url not in str(listed)


async def test_pages_follow_each_other_without_gap_or_repetition(
    vendor: Vendor,
) -> None:
    names = []
    async with running(_settings(vendor.url)) as gateway:
        request = backend_service_pb2.ListBackendsRequest(page_size=1)
        for _ in range(3):
            page = await _stub(gateway).ListBackends(request)
            names += [each.name for each in page.backends]
            request.page_token = page.next_page_token
    assert names == ["down", "keyless", "tei"]
    assert not page.next_page_token


@pytest.mark.parametrize(
    ("page_size", "page_token", "fields"),
    [
        (-1, "", {"page_size"}),
        (0, "mine", {"page_token"}),
        (-1, "after:", {"page_size", "page_token"}),
    ],
)
async def test_a_page_that_was_never_given_is_an_error(
    vendor: Vendor, page_size: int, page_token: str, fields: set[str]
) -> None:
    async with running(_settings(vendor.url)) as gateway:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _stub(gateway).ListBackends(
                backend_service_pb2.ListBackendsRequest(
                    page_size=page_size, page_token=page_token
                )
            )
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert any((refused.value.details() or "").startswith(f) for f in fields)


@pytest.mark.parametrize(
    ("play", "state", "reason"),
    [
        (_PANDA, "READY", "UNSPECIFIED"),
        (hang, "UNREACHABLE", "TIMEOUT"),
        (reply(401, b""), "MISCONFIGURED", "UNAUTHENTICATED"),
        (reply(404, b""), "MISCONFIGURED", "REJECTED"),
        (reply(429, b""), "DEGRADED", "RATE_LIMITED"),
        (
            reply(503, b'{"error":"x","error_type":"Unhealthy"}'),
            "LOADING",
            "UNAVAILABLE",
        ),
        (reply(500, b""), "UNREACHABLE", "UNAVAILABLE"),
        # A model without its head gives the same 1e-25 for everything.
        (_SHAPE.scored(lambda _: 1e-25), "MISCONFIGURED", "MISCONFIGURED"),
        # Probabilities where logits are configured.
        (
            _SHAPE.scored(lambda text: 0.97 if "panda" in text else 0.01),
            "MISCONFIGURED",
            "MISCONFIGURED",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_probe_says_what_state_a_backend_is_in(
    play: Play, state: str, reason: str
) -> None:
    async with Vendor(play) as vendor, running(_settings(vendor.url)) as gateway:
        found = await _stub(gateway).CheckBackend(
            backend_service_pb2.CheckBackendRequest(name="tei"), timeout=20
        )
        listed = await _stub(gateway).ListBackends(
            backend_service_pb2.ListBackendsRequest()
        )

    assert backend_pb2.BackendState.Name(found.state) == f"BACKEND_STATE_{state}"
    assert found.available == (state == "READY")
    answer = str(found) + str(listed)
    assert f"FALLBACK_REASON_{reason}" in answer or reason == "UNSPECIFIED"
    tei = listed.backends[2]
    assert tei.state == found.state
    assert tei.last_failure_reason == found.failure_reason
    assert tei.HasField("last_failure_time") == (not found.available)


async def test_a_probe_ends_with_the_deadline_of_its_caller() -> None:
    async with Vendor(hang) as vendor:
        settings = _settings(vendor.url)
        settings["backends"]["tei"]["timeout_s"] = 600
        async with running(settings) as gateway:
            found = await _stub(gateway).CheckBackend(
                backend_service_pb2.CheckBackendRequest(name="tei"), timeout=1
            )
    assert not found.available


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", grpc.StatusCode.INVALID_ARGUMENT),
        ("nobody", grpc.StatusCode.NOT_FOUND),
        ("x" * 100_000, grpc.StatusCode.NOT_FOUND),
    ],
    ids=["none", "unknown", "endless"],
)
async def test_a_backend_that_is_not_configured_cannot_be_probed(
    vendor: Vendor, name: str, code: grpc.StatusCode
) -> None:
    async with running(_settings(vendor.url)) as gateway:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _stub(gateway).CheckBackend(
                backend_service_pb2.CheckBackendRequest(name=name)
            )
    assert refused.value.code() == code


async def test_the_command_shows_every_backend_and_fails_if_one_does_not_work(
    vendor: Vendor,
) -> None:
    ready = {"RERANK_GATEWAY_BACKEND": f"tei+{vendor.url}"}
    well = await command("backends", environ=ready)
    assert well.code == 0
    assert "READY" in well.out

    broken = await command(
        "backends", environ={"RERANK_GATEWAY_BACKEND": "tei+http://127.0.0.1:9"}
    )
    assert broken.code == 1
    assert "UNREACHABLE" in broken.out
    assert "tei: no answer (ConnectionRefusedError)" in broken.out
