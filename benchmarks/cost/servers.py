"""The servers of a run: the floor, the canned backend, and gateways of every kind."""

import secrets
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from benchmarks.cost.native import BUILT, backend, is_built
from benchmarks.cost.processes import ROOT, Running, free_port, running, running_command
from gateway.backends import dialects
from gateway.settings import ServerSettings

TEI_GRPC = "tei-grpc"
WORKERS = "RERANK_GATEWAY__SERVER__WORKERS"

_A_DAY_S = "86400"
_KEY = "BENCH_CACHE_KEY"


@dataclass(frozen=True, slots=True)
class Backend:
    """The canned reranker, by every language that it speaks."""

    running: Running
    http: str
    https: str
    grpc: str

    @property
    def tei(self) -> str:
        """Name it to a gateway."""
        return f"tei+http://{self.http}"

    @property
    def infinity(self) -> str:
        """Name it to a gateway, as Infinity."""
        return f"infinity+http://{self.http}/infinity"


class Servers:
    """Starts servers, and ends them all with the block.

    Every gateway has telemetry on as in production: metrics exported to a collector, and
    traces of which none is sampled.
    """

    def __init__(self) -> None:
        self._started = ExitStack()
        self._collector: Running | None = None
        self._backend: Backend | None = None

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End them, the last first."""
        self._started.close()

    def enter(self, context: AbstractContextManager[Running]) -> Running:
        """Start one, and end it with the others."""
        return self._started.enter_context(context)

    def echo(self) -> Running:
        """Start the floor."""
        return self.enter(running("benchmarks.cost.echo"))

    @property
    def backend(self) -> Backend:
        """Give the canned backend, and start it the first time."""
        if self._backend is None:
            command = backend()
            if is_built() and (made := certificate()):
                command += ["-certificate", str(made[0]), "-key", str(made[1])]
            started = self.enter(running_command(command))
            said = dict(line.split(maxsplit=1) for line in started.said.splitlines())
            self._backend = Backend(
                started, said["http"], said.get("https", ""), said.get("grpc", "")
            )
        return self._backend

    def shared_memory(self) -> Running | None:
        """Start a gateway that remembers in a Redis and nowhere else; None without one."""
        started = redis()
        if started is None:
            return None
        port = self.enter(started).address
        return self.gateway(
            self.backend.tei,
            {
                "RERANK_GATEWAY__CACHE__MAX_BYTES": "0",
                "RERANK_GATEWAY__CACHE__URL": f"redis://127.0.0.1:{port}/0",
                "RERANK_GATEWAY__CACHE__KEY_ENV": _KEY,
                # A busy process comes to the answer late; a miss would be measured.
                "RERANK_GATEWAY__CACHE__TIMEOUT_S": "1",
                _KEY: secrets.token_hex(32),
            },
        )

    def gateway(
        self,
        url: str,
        environ: Mapping[str, str] | None = None,
        *,
        root: Path = ROOT,
    ) -> Running:
        """Start one that reranks by this backend, DIALECT+URL.

        Args:
            url: Of the backend.
            environ: Added to the environment.
            root: The tree whose code it is.

        """
        environ = {**self._telemetry(), **(environ or {})}
        return self.enter(gateway(url, environ, root=root))

    def _telemetry(self) -> dict[str, str]:
        if self._collector is None:
            self._collector = self.enter(running("benchmarks.telemetry.collector"))
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self._collector.address}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
        }


def gateway(
    url: str, environ: Mapping[str, str] | None = None, *, root: Path = ROOT
) -> AbstractContextManager[Running]:
    """Run a gateway that only reranks, unless the environment says otherwise."""
    return running(
        *("gateway", "serve", "--address", "127.0.0.1:0"),
        environ={
            **({"RERANK_GATEWAY_BACKEND": url} if url else {}),
            "RERANK_GATEWAY__RETRIEVAL__ENGINE": "none",
            # What is remembered must last to the end.
            "RERANK_GATEWAY__CACHE__TTL_S": _A_DAY_S,
            **({WORKERS: "1"} if has_workers() else {}),
            **(environ or {}),
        },
        root=root,
    )


def has_grpc_backends() -> bool:
    """Whether this gateway speaks gRPC to backends."""
    spoken = getattr(dialects, "GRPC_DIALECTS", {})
    return TEI_GRPC in spoken and is_built()


def has_workers() -> bool:
    """Whether this gateway serves with several processes."""
    return "workers" in ServerSettings.model_fields


@cache
def certificate() -> tuple[Path, Path] | None:
    """Make a certificate of localhost and its key; None without openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return None
    made, key = BUILT / "localhost.pem", BUILT / "localhost.key"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-days", "30", "-nodes"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-out", str(made), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    return made, key


def redis() -> AbstractContextManager[Running] | None:
    """Run a Redis, where there is one; its address is what it listens on."""
    command = shutil.which("redis-server") or shutil.which("valkey-server")
    if command is None:
        return None
    port = free_port()
    return running_command(
        [
            *(command, "--bind", "127.0.0.1", "--port", str(port)),
            *("--save", "", "--appendonly", "no"),
        ],
        ready=rf"Running mode=standalone, port=({port})[\s\S]*Ready to accept",
    )
