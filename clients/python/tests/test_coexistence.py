"""The gateway's own stubs and those of the client, in one process, in either order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

GATEWAYS = "from rerank.v1 import rerank_service_pb2, document_service_pb2_grpc"
CLIENTS = "from rerank_client import RerankClient, types"

BOTH = """
request = rerank_service_pb2.RerankRequest(query="q")
assert types.RerankRequest.FromString(request.SerializeToString()).query == "q"
assert isinstance(request, types.RerankRequest)  # one message, one class
with RerankClient("localhost:1") as client:
    try:
        client.rerank(request, timeout_s=0.01)
    except TimeoutError:
        print("asked")
"""


def run(code: str, *, path: Path | None = None) -> str:
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(path or "")},
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("imports", [(GATEWAYS, CLIENTS), (CLIENTS, GATEWAYS)])
def test_both_work_in_either_order(imports: tuple[str, str]) -> None:
    code = "\n".join([*imports, BOTH])
    assert run(code, path=ROOT / "protos") == "asked\n"


def test_the_client_needs_no_gateway() -> None:
    code = f"{CLIENTS}\nimport sys\nassert not {{'rerank', 'gateway'}} & sys.modules.keys()"
    run(code)


def test_a_message_can_be_pickled_without_a_gateway() -> None:
    code = (
        f"{CLIENTS}\nimport pickle\n"
        "document = types.Document(id='a')\n"
        "assert pickle.loads(pickle.dumps(document)) == document"
    )
    run(code)


def test_the_stubs_are_those_of_the_contract() -> None:
    """`./generate` was run after the last change of `protos/`."""
    code = """
import importlib, pkgutil
import rerank_client._gen.rerank.v1 as generated
names = [m.name for m in pkgutil.iter_modules(generated.__path__)]
for name in names:
    if name.endswith("_pb2"):
        ours = importlib.import_module(f"rerank_client._gen.rerank.v1.{name}")
        theirs = importlib.import_module(f"rerank.v1.{name}")
        assert ours.DESCRIPTOR.serialized_pb == theirs.DESCRIPTOR.serialized_pb
        print(ours.DESCRIPTOR.name)
"""
    names = run(code, path=ROOT / "protos").split()
    protos = (ROOT / "protos/rerank/v1").glob("*.proto")
    assert sorted(names) == sorted(f"rerank/v1/{each.name}" for each in protos)
