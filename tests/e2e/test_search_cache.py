"""What searches remember: through a backend that judges by texts alone, over real gRPC."""

from pathlib import Path

import pytest

from rerank.v1 import document_pb2, execution_pb2, rerank_service_pb2
from rerank.v1 import search_service_pb2 as search
from tests.e2e.running import running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Vendor
from tests.support.wire import PATIENCE_S, calling

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["llamacpp"]
_TEXTS = [f"reranking of documents, part {part}" for part in range(6)]
_PLAY = _SHAPE.scored(lambda text: float(text[-1]))


async def test_a_search_asks_the_backend_only_for_what_nobody_remembers(
    tmp_path: Path,
) -> None:
    async with Vendor(_PLAY) as vendor:
        settings = {
            "cache": {"max_bytes": 2**20},
            "retrieval": {"engine": "embedded", "path": str(tmp_path)},
            "backends": {
                "played": {"dialect": "llamacpp", "url": vendor.url, **_SHAPE.settings}
            },
            "routes": {"default": {"backends": ["played"]}},
        }
        async with running(settings) as gateway:
            caller = calling(gateway.channel)
            await caller.create("papers")
            await caller.load("papers", _documents(4))
            asked = search.SearchRequest(query="reranking", collection="papers")
            first = await caller.find(asked)
            assert (first.execution.scored_count, first.execution.cached_count) == (
                4,
                0,
            )

            await caller.load("papers", _documents(6))
            second = await caller.find(asked)
            assert second.execution.outcome == execution_pb2.OUTCOME_RERANKED
            assert second.execution.cached_count == 4
            assert sorted(_SHAPE.texts(vendor.received[-1])) == _TEXTS[4:]
            assert second.search_method == "rrf_hybrid+rerank"
            raw = {each.id: each.raw_score for each in second.results}
            assert raw == {str(place): float(place) for place in range(6)}

            # Nor does it matter who asks.
            ranked = await gateway.stub.Rerank(
                rerank_service_pb2.RerankRequest(
                    query="reranking",
                    documents=[document_pb2.Document(text=each) for each in _TEXTS],
                ),
                timeout=PATIENCE_S,
            )
            assert ranked.execution.cached_count == 6
            assert len(vendor.received) == 2


def _documents(count: int) -> list[document_pb2.Document]:
    return [
        document_pb2.Document(id=str(place), text=text)
        for place, text in enumerate(_TEXTS[:count])
    ]
