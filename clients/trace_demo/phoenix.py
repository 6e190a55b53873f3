"""Phoenix, which shows traces in a browser: installed apart, started, asked.

It is a tool beside the gateway and no part of it (licence: Elastic-2.0). It keeps what it
gets in the folder of one run of the demo, asks nobody in the network for anything, and
its pages listen on loopback. Its port for OTLP over gRPC, which nothing here uses, is
open on all interfaces: Phoenix has no setting for that.
"""

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from clients.trace_demo import environment
from clients.trace_demo.processes import free_port, running

VERSION = "20.26.1"
INSTALLED = Path("build", "trace-demo", f"phoenix-{VERSION}")
PORT = 6006
START_S = 300.0
ANSWER_S = 10.0
MOST_SPANS = 1000


@dataclass(frozen=True, slots=True)
class Phoenix:
    """A Phoenix that is listening."""

    url: str

    def project_page(self, project: str) -> str:
        """Where all traces of a project are listed."""
        return f"{self.url}/redirects/projects/{project}"

    def trace_page(self, trace_id: str) -> str:
        """Where one trace is shown."""
        return f"{self.url}/redirects/traces/{trace_id}"

    def spans(self, project: str) -> list[dict[str, Any]]:
        """Give all spans of a project, in the order in which they began."""
        answer = _get(
            f"{self.url}/v1/projects/{project}/spans?limit={MOST_SPANS}",
        )
        if answer is None or answer.status_code == httpx.codes.NOT_FOUND:
            return []  # a project is there from its first span on
        spans: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
        return sorted(spans, key=lambda span: str(span["start_time"]))


def install(command: Path = INSTALLED / "bin" / "phoenix") -> str:
    """Install it where it is not yet, and give its command."""
    done = INSTALLED / ".done"
    if done.exists():
        return str(command)
    print(
        f"installing Phoenix {VERSION} in {INSTALLED} (850 MB; a minute or two, once)"
    )
    shutil.rmtree(INSTALLED, ignore_errors=True)
    venv.create(INSTALLED, with_pip=True)
    pip = [str(INSTALLED / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    pip += ["--disable-pip-version-check", "--retries", "1"]
    installed = subprocess.run(
        [*pip, f"arize-phoenix=={VERSION}"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if installed.returncode:
        sys.exit(
            f"Phoenix could not be installed. It comes from where pip gets its packages,"
            f" so this once the network is needed. pip said:\n{installed.stderr.rstrip()}"
        )
    done.touch()
    return str(command)


@contextmanager
def a_phoenix(folder: Path) -> Iterator[Phoenix]:
    """Run it on its usual port, or on a free one where that is taken."""
    command = [install(), "serve"]
    port = free_port(PORT)
    environ = environment.without("PHOENIX_", "OTEL_") | {
        "PHOENIX_WORKING_DIR": str(folder / "phoenix"),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
        "PHOENIX_ENABLE_MCP_SERVER": "false",
    }
    print(f"starting Phoenix {VERSION} (half a minute)")
    log = folder / "phoenix.log"
    with running("Phoenix", command, environ=environ, log=log) as program:
        phoenix = Phoenix(f"http://127.0.0.1:{port}")

        def ready() -> bool:
            answer = _get(f"{phoenix.url}/healthz")
            return answer is not None and answer.is_success

        program.until(ready, patience_s=START_S)
        yield phoenix


def _get(url: str) -> httpx.Response | None:
    try:
        return httpx.get(url, timeout=ANSWER_S, trust_env=False)
    except httpx.TransportError:
        return None
