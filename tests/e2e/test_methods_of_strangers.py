"""What strangers call is counted and told by names that there are: theirs could be anything."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.compose import gateway
from gateway.events import CallEnded, Event
from gateway.identity.keys import hash_of, new_key
from gateway.settings import checked
from tests.support.identities import Authority

pytestmark = pytest.mark.real_time

_PATIENCE_S = 30.0
_APART = [("grpc.use_local_subchannel_pool", 1)]
_NOBODYS = "rerank.v1.RerankService/Nobodys"


def _raw(**more: Any) -> dict[str, Any]:
    return {
        "server": {"address": "127.0.0.1:0"},
        "retrieval": {"engine": "none"},
        **more,
    }


async def _told(
    raw: Mapping[str, Any], credentials: grpc.ChannelCredentials | None
) -> list[tuple[str, str]]:
    """Call what there is not, and what there is; give what was told of both."""
    events: list[Event] = []
    async with gateway(checked(raw), events.append) as served:
        channel = grpc.aio.insecure_channel(served.address, _APART)
        if credentials:
            channel = grpc.aio.secure_channel(served.address, credentials, _APART)
        async with channel:
            for method in (_NOBODYS, "rerank.v1.RerankService/Rerank"):
                call: Any = channel.unary_unary(f"/{method}")
                with pytest.raises(grpc.aio.AioRpcError):
                    await call(b"", timeout=_PATIENCE_S)
    ended = [each for each in events if isinstance(each, CallEnded)]
    return [(each.method, each.status) for each in ended]


async def test_without_a_key() -> None:
    keys = {"mode": "keys", "keys": {"shop": {"sha256": hash_of(new_key())}}}
    assert await _told(_raw(identity=keys), None) == [
        ("_OTHER", "UNAUTHENTICATED"),
        ("rerank.v1.RerankService/Rerank", "UNAUTHENTICATED"),
    ]


@pytest.mark.parametrize(
    ("common", "statuses"),
    [
        ("nobody", ("UNAUTHENTICATED", "UNAUTHENTICATED")),
        ("shop", ("UNIMPLEMENTED", "INVALID_ARGUMENT")),
    ],
)
async def test_with_a_certificate(
    tmp_path: Path, common: str, statuses: tuple[str, str]
) -> None:
    authority, callers = Authority(tmp_path, "authority"), Authority(tmp_path, "all")
    server = authority.signed("server")
    raw = _raw(
        tls={
            "certificate": str(server.certificate),
            "key": str(server.key),
            "client_ca": str(callers.file),
            "client_auth": "require",
        },
        identity={
            "mode": "certificates",
            "certificates": {"shop": {"common_name": "shop"}},
        },
    )
    files = callers.certified("a", common=(common,))
    credentials = grpc.ssl_channel_credentials(
        authority.pem, files.key.read_bytes(), files.pem
    )
    assert await _told(raw, credentials) == [
        ("_OTHER", statuses[0]),
        ("rerank.v1.RerankService/Rerank", statuses[1]),
    ]
