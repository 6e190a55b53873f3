"""LiteLLM's proxy beside the gateway: same backend, same payload, as lean as it can be."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.cost.load import Target
from benchmarks.cost.native import BUILT
from benchmarks.cost.payloads import Payload, cohere_request, write
from benchmarks.cost.processes import ROOT, Running, free_port, running_command

VERSION = "1.108.7"
"""Of LiteLLM; older ones are not all harmless: 1.107.0 was one that somebody had broken into."""

_PLACE = ROOT / "build" / "bench" / "litellm"
_START_S = 60.0
_LOOK_S = 0.1
INFINITY, TEI = "infinity", "tei"
"""How it is told to ask the canned backend. TEI is its provider `huggingface`."""

_CONFIG = """\
model_list:
  - model_name: infinity
    litellm_params:
      model: infinity/canned
      api_base: http://{backend}/infinity
      api_key: none
  - model_name: tei
    litellm_params:
      model: huggingface/canned
      api_base: http://{backend}
      api_key: none
litellm_settings:
  telemetry: false
  set_verbose: false
  success_callback: []
  failure_callback: []
general_settings:
  disable_spend_logs: true
  # Nothing has to be looked up for a caller.
  dangerously_permit_weak_or_unset_master_key: true
"""


def install() -> Path | None:
    """Install it into an environment of its own; None where that does not work."""
    command = _PLACE / "bin" / "litellm"
    if command.exists():
        return command
    print(f"installing LiteLLM {VERSION} into {_PLACE} (once)")
    wanted = f"litellm[proxy]=={VERSION}"
    for step in (
        [sys.executable, "-m", "venv", str(_PLACE)],
        [str(_PLACE / "bin" / "pip"), "install", "--quiet", wanted],
    ):
        if subprocess.run(step, check=False).returncode:
            print("LiteLLM cannot be installed: going on without it")
            return None
    return command


@contextmanager
def litellm(command: Path, backend: str) -> Iterator[Running]:
    """Run its proxy: one worker, no database, no logs, nothing reported."""
    port = free_port()
    config = BUILT / "litellm.yaml"
    config.write_text(_CONFIG.format(backend=backend))
    with running_command(
        [
            *(str(command), "--config", str(config), "--num_workers", "1"),
            *("--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"),
        ],
        environ={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # asks no one for prices
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "PYTHONPATH": "",
        },
        ready="Set models",
    ) as started:
        _wait(port)
        yield Running(f"127.0.0.1:{port}", started.process)


def _wait(port: int) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(_LOOK_S)
    message = "LiteLLM's proxy does not listen"
    raise RuntimeError(message)


def request(server: Running, payload: Payload, *, model: str) -> Target:
    """Ask it, in Cohere's language, which is what it speaks."""
    name = f"{payload.documents}x{payload.characters}-cohere-{model}"
    body = cohere_request(payload, model=model)
    path = write(BUILT / "requests" / name, [body])
    return Target(server.address, path, method="", path="/rerank")
