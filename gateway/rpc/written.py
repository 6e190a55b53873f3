"""An answer in bytes, in whatever form its caller reads, and what it says in ours."""

from dataclasses import dataclass

from rerank.v1 import rerank_service_pb2


@dataclass(frozen=True, slots=True)
class Written:
    """An answer that is written already."""

    data: bytes
    """As it goes to the caller."""
    answer: rerank_service_pb2.RerankResponse
    """The same in our form, for whoever watches; maybe without its results."""
    returned: int
    """How many results it has."""


def written(response: Written) -> bytes:
    """Give the bytes: what gRPC takes for its serializer."""
    return response.data
