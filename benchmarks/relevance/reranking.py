"""What is measured: anything that puts the documents of a query into a new order."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.progress import track

from benchmarks.relevance.collection import Collection
from rerank.v1.document_pb2 import Document
from rerank.v1.options_pb2 import FAILURE_POLICY_FAIL
from rerank.v1.rerank_service_pb2 import RerankRequest

if TYPE_CHECKING:  # known to the type checker alone
    from rerank.v1.rerank_service_pb2_grpc import RerankServiceAsyncStub

Rerank = Callable[[str, Sequence[str]], Awaitable[Sequence[int]]]
"""A query and its documents, best first as received; gives all their places (from 0)
in the new order, best first."""


async def rerank_all(
    collection: Collection, received: Mapping[str, Sequence[str]], rerank: Rerank
) -> dict[str, list[str]]:
    """Rerank the documents of every query, one query after the other.

    Raises:
        ValueError: An order leaves out or repeats a document.

    """
    orders = {}
    for query, names in track(received.items(), description="reranking"):
        order = await rerank(
            collection.queries[query], [collection.documents[name] for name in names]
        )
        if sorted(order) != list(range(len(names))):
            message = f"query {query}: {len(order)} places for {len(names)} documents"
            raise ValueError(message)
        orders[query] = [names[place] for place in order]
    return orders


def with_gateway(stub: "RerankServiceAsyncStub", *, first: int) -> Rerank:
    """Ask a gateway, as any caller would.

    Args:
        stub: Connected to it.
        first: How many documents are put to the model; the rest is left in place.

    """

    async def rerank(query: str, documents: Sequence[str]) -> list[int]:
        response = await stub.Rerank(
            RerankRequest(
                query=query,
                documents=[Document(text=text) for text in documents],
                top_k=first,
                search_method="fulltext",
                failure_policy=FAILURE_POLICY_FAIL,
            )
        )
        return [result.index for result in response.results]

    return rerank
