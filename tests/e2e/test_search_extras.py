"""What is served where some of the optional packages are not installed."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest

from rerank.v1 import (
    document_pb2,
    execution_pb2,
    rerank_service_pb2_grpc,
    search_service_pb2,
)
from tests.e2e.running import rerank_request
from tests.e2e.subprocesses import ENVIRONMENT, ROOT, serving
from tests.support.mortal import Embedder
from tests.support.wire import PATIENCE_S, calling, ids, refused

pytestmark = pytest.mark.real_time

Search = search_service_pb2.SearchRequest


@pytest.mark.parametrize(
    ("missing", "method"),
    [
        # The extra `local` without `embedded`, and then neither.
        (["lancedb", "pyarrow"], "rrf_hybrid+rerank"),
        (["lancedb", "pyarrow", "numpy", "onnxruntime"], "rrf_hybrid"),
    ],
    ids=["local alone", "nothing"],
)
async def test_without_the_extra_rerank_is_served_and_search_says_what_to_install(
    missing: list[str], method: str, tmp_path: Path
) -> None:
    environ = _lacking(missing, tmp_path)
    async with (
        serving(environ=environ) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        rerank = rerank_service_pb2_grpc.RerankServiceStub(channel)
        answer = await rerank.Rerank(rerank_request(3), timeout=PATIENCE_S)
        assert answer.search_method == method
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await calling(channel).find(Search(query="x"))
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        info = refused(raised.value)
        assert info.reason == "RETRIEVAL_NOT_CONFIGURED"
        assert info.metadata["missing"] == "embedded"
        said = raised.value.details() or ""
        assert "pip install 'rerank-gateway[embedded]'" in said


async def test_the_extra_of_a_cluster_is_named_too(tmp_path: Path) -> None:
    environ = {
        **_lacking(["Stemmer"], tmp_path),
        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "weaviate",
        "RERANK_GATEWAY__RETRIEVAL__URL": "http://127.0.0.1:1",
    }
    del environ["RERANK_GATEWAY__RETRIEVAL__PATH"]
    async with (
        serving(environ=environ) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await calling(channel).find(Search(query="x"))
        assert refused(raised.value).metadata["missing"] == "weaviate"
        said = raised.value.details() or ""
        assert "pip install 'rerank-gateway[weaviate]'" in said


_MODULES = {"huggingface-hub": "huggingface_hub", "pystemmer": "Stemmer"}


def _extra(name: str) -> set[str]:
    """Name the modules that an extra of the package brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = {
        re.split(r"[^\w-]", each)[0] for each in project["optional-dependencies"][name]
    }
    return {_MODULES.get(each, each) for each in packages}


async def test_the_extra_alone_is_enough_for_a_collection(tmp_path: Path) -> None:
    lacking = sorted(_extra("local") - _extra("embedded"))
    assert "onnxruntime" in lacking
    environ = _lacking(lacking, tmp_path)
    async with (
        Embedder() as embedder,
        serving(
            environ={
                **environ,
                "RERANK_GATEWAY__EMBEDDER__DIALECT": "openai",
                "RERANK_GATEWAY__EMBEDDER__URL": embedder.url,
            }
        ) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        caller = calling(channel)
        await caller.create("notes")
        document = document_pb2.Document(id="a", text="a cat")
        version = (await caller.load("notes", [document])).version
        answer = await caller.find(
            Search(query="cats", collection="notes", min_version=version)
        )
        # The built-in scorer is not installed.
        assert answer.search_method == "rrf_hybrid"
        assert answer.execution.outcome == execution_pb2.OUTCOME_FELL_BACK
        assert ids(answer) == ["a"]


def _lacking(modules: Sequence[str], folder: Path) -> dict[str, str]:
    """Make an environment in which these cannot be imported."""
    for name in modules:
        (folder / f"{name}.py").write_text(
            f"raise ModuleNotFoundError('No module named {name}', name={name!r})\n"
        )
    return {
        "PYTHONPATH": os.pathsep.join([str(folder), ENVIRONMENT["PYTHONPATH"]]),
        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "embedded",
        "RERANK_GATEWAY__RETRIEVAL__PATH": str(folder / "store"),
    }
