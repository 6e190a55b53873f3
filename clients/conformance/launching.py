"""Start the gateway of the table, with its played rerankers and its collection."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import grpc
from google.protobuf.json_format import ParseDict

from clients.conformance.played import played_rerankers
from rerank.v1 import document_service_pb2, document_service_pb2_grpc

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_SETUP_S = 30.0
_STOP_S = 15.0
_LISTENING = re.compile(r"listening on (\S+:\d+),")


@contextmanager
def a_gateway() -> Iterator[str]:
    """Run it until the block ends; gives its HOST:PORT."""
    with (
        played_rerankers() as rerankers,
        tempfile.TemporaryDirectory(prefix="conformance-") as folder,
    ):
        config = Path(folder, "gateway.toml")
        text = (HERE / "gateway.toml").read_text("utf-8")
        config.write_text(text.replace("URL", rerankers.url), "utf-8")
        with _serving(config, data=Path(folder, "data")) as address:
            with grpc.insecure_channel(address) as channel:
                _store_papers(document_service_pb2_grpc.DocumentServiceStub(channel))
            yield address


@contextmanager
def _serving(config: Path, *, data: Path) -> Iterator[str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RERANK_GATEWAY", "OTEL_"))
    }
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gateway", "serve"),
            *("--config", str(config), "--address", "127.0.0.1:0"),
        ],
        cwd=ROOT,
        env={
            **inherited,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")]),
            "RERANK_GATEWAY__RETRIEVAL__PATH": str(data),
        },
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr  # noqa: S101 - it is a pipe
    try:
        yield _address(process.stderr)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _address(lines: IO[str]) -> str:
    said = []
    for line in lines:
        said.append(line)
        if found := _LISTENING.search(line):
            return found[1]
    sys.exit("the gateway did not start:\n" + "".join(said))


def _store_papers(
    documents: "document_service_pb2_grpc.DocumentServiceStub",
) -> None:
    papers = json.loads((HERE / "papers.json").read_text("utf-8"))
    create = ParseDict(papers["create"], document_service_pb2.CreateCollectionRequest())
    documents.CreateCollection(create, timeout=_SETUP_S)
    batch = ParseDict(papers["import"], document_service_pb2.ImportDocumentsRequest())
    for answer in documents.ImportDocuments(iter([batch]), timeout=_SETUP_S):
        if answer.rejected:
            sys.exit(f"the gateway rejected {answer.rejected}")
