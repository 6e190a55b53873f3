"""The question that every SDK asks, and what the gateway answers to it over its own gRPC."""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from rerank.v1 import document_pb2, rerank_service_pb2, rerank_service_pb2_grpc

QUERY = "vitamin b12"
DOCUMENTS = [
    "Iron is carried by transferrin.",
    "Vitamin D comes with the sun.",
    "Vitamin B12 is found in meat.",
    "The sun rises in the east.",
]
"""The reranker that is played scores them 1/16, 8/16, 15/16 and 1/16."""

MODEL = "rerank-v3.5"
"""No route has this name, so that the default one answers."""
KEY = "a-key-that-opens-nothing"

TOO_MANY = ["Vitamin B12 is found in meat."] * 1001
TOO_MANY_WORDS = "there are 1001, at most 1000 are allowed"
BLANK_WORDS = "must not be blank"

Scores = list[tuple[int, float | None]]
"""Place and score of each document, best first; None: nobody scored it."""

AS_RECEIVED: Scores = [(0, None), (1, None), (2, None), (3, None)]

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that listens."""

    address: str
    """HOST:PORT of gRPC."""
    http: str
    """URL of the APIs of vendors."""

    def scores(
        self,
        *,
        query: str = QUERY,
        documents: Sequence[str] = DOCUMENTS,
        route: str = "",
        top_n: int = 0,
    ) -> Scores:
        """Ask over gRPC, without any SDK."""
        request = rerank_service_pb2.RerankRequest(
            query=query,
            documents=[document_pb2.Document(text=text) for text in documents],
            route=route,
            top_n=top_n,
        )
        with grpc.insecure_channel(self.address) as channel:
            stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
            answer = stub.Rerank(request, timeout=_PATIENCE_S)
        return [
            (each.index, each.rerank_score if each.HasField("rerank_score") else None)
            for each in answer.results
        ]
