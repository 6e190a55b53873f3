"""The floor: a grpc.aio server that takes a `RerankRequest` and answers at once.

Run as `python -m benchmarks.cost.echo`; it prints its address.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import uvloop
from grpc.aio import ServicerContext

from rerank.v1 import ranking_pb2, rerank_service_pb2, rerank_service_pb2_grpc

_LARGEST = 32 << 20
"""As the gateway's."""


class Echo(rerank_service_pb2_grpc.RerankServiceServicer):
    """Gives every document back in its place, with as much about it as a gateway."""

    async def Rerank(  # noqa: N802 - gRPC's name
        self,
        request: rerank_service_pb2.RerankRequest,
        _: "ServicerContext[Any, Any]",
    ) -> rerank_service_pb2.RerankResponse:
        """Answer with one result per document."""
        return rerank_service_pb2.RerankResponse(
            results=[
                ranking_pb2.RankedDocument(
                    id=document.id,
                    index=index,
                    rank=index + 1,
                    original_rank=index + 1,
                    score=0.5,
                    score_kind=ranking_pb2.SCORE_KIND_RERANK,
                    rerank_score=0.5,
                    raw_score=0.0,
                    search_method="rerank",
                )
                for index, document in enumerate(request.documents)
            ],
            search_method="rerank",
        )

    def RerankBatch(  # noqa: N802 - gRPC's name
        self, request_iterator: object, context: object
    ) -> AsyncIterator[rerank_service_pb2.RerankBatchResponse]:
        """Refuse."""
        raise NotImplementedError


async def main() -> None:
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", _LARGEST),
            ("grpc.max_send_message_length", _LARGEST),
        ]
    )
    rerank_service_pb2_grpc.add_RerankServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port},", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
