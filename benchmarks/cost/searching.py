"""Search on the embedded engine, over gRPC."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.cost.contest import Contestant, Cost, Effort, contest
from benchmarks.cost.load import SEARCH, Target
from benchmarks.cost.native import BUILT
from benchmarks.cost.payloads import write
from benchmarks.cost.processes import Running
from benchmarks.cost.servers import gateway
from benchmarks.retrieval.building import COLLECTION, build
from benchmarks.retrieval.synthetic import Asked, queries
from rerank.v1 import search_service_pb2

_ASKED = 200


def search(documents: int, effort: Effort) -> dict[str, Cost]:
    """Measure searches of so many documents, without and with a rerank."""
    folder = BUILT.parent / "retrieval" / str(documents)
    asyncio.run(build(folder, count=documents))
    asked = list(queries(count=_ASKED, among=documents))
    with _serving(str(folder)) as server:
        plain = _target(server, asked, rerank=False)
        reranked = _target(server, asked, rerank=True)
        return contest(
            {
                "hybrid": Contestant(server, plain, alike=False),
                "hybrid, built-in rerank": Contestant(server, reranked, alike=False),
            },
            replace(effort, round_s=3 * effort.round_s),
        )


@contextmanager
def _serving(folder: str) -> Iterator[Running]:
    environ = {
        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "embedded",
        "RERANK_GATEWAY__RETRIEVAL__PATH": folder,
        "RERANK_GATEWAY__EMBEDDER__DIALECT": "none",  # the queries bring vectors
    }
    with gateway("", environ) as server:
        yield server


def _target(server: Running, asked: list[Asked], *, rerank: bool) -> Target:
    requests = []
    for each in asked:
        request = search_service_pb2.SearchRequest(
            query=each.text,
            embedding=each.vector.tolist(),
            collection=COLLECTION,
        )
        request.rerank.enabled = rerank
        requests.append(request.SerializeToString())
    path = BUILT / "requests" / f"search-{'reranked' if rerank else 'plain'}"
    return Target(server.address, write(path, requests), method=SEARCH)
