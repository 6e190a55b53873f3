"""Calls over TLS."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from played import Played

from rerank_client import AsyncRerankClient, DeadlineExceeded, RerankClient
from rerank_client._gen.rerank.v1.rerank_service_pb2_grpc import (
    add_RerankServiceServicer_to_server,
)

OPENSSL = shutil.which("openssl")


@pytest.fixture
def identity(tmp_path: Path) -> tuple[bytes, bytes]:
    """A private key and its certificate."""
    if OPENSSL is None:
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *(OPENSSL, "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return key.read_bytes(), certificate.read_bytes()


async def test_both_clients_speak_tls(identity: tuple[bytes, bytes]) -> None:
    with ThreadPoolExecutor() as pool:
        server = grpc.server(pool)
        add_RerankServiceServicer_to_server(Played(), server)
        port = server.add_secure_port(
            "127.0.0.1:0", grpc.ssl_server_credentials([identity])
        )
        server.start()
        try:
            address = f"127.0.0.1:{port}"
            trusting = grpc.ssl_channel_credentials(identity[1])
            with RerankClient(address, credentials=trusting) as client:
                assert client.rerank("q", ["a"]).message == "q"
            async with AsyncRerankClient(address, credentials=trusting) as other:
                assert (await other.rerank("q", ["a"])).message == "q"
            distrusting = grpc.ssl_channel_credentials()
            with (
                RerankClient(address, credentials=distrusting) as client,
                pytest.raises(DeadlineExceeded),
            ):
                client.rerank("q", ["a"], timeout_s=0.3)
        finally:
            server.stop(grace=None).wait()
