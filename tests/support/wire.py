"""SearchService and DocumentService as a caller speaks to them, and what they answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.ranking.diversity import Marginal
from gateway.ranking.fusion import FusionTerm
from gateway.searching.contract import Explanation, Result, ScoreKind
from rerank.v1 import (
    collection_pb2,
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
    ranking_pb2,
    search_service_pb2,
    search_service_pb2_grpc,
)

PATIENCE_S = 30.0
"""The deadline of calls whose time is not what is tested."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Both services of a gateway."""

    documents: "document_service_pb2_grpc.DocumentServiceAsyncStub"
    search: "search_service_pb2_grpc.SearchServiceAsyncStub"

    async def create(self, name: str, *fields: collection_pb2.CollectionField) -> None:
        await self.documents.CreateCollection(
            document_service_pb2.CreateCollectionRequest(name=name, fields=fields),
            timeout=PATIENCE_S,
        )

    async def load(
        self,
        name: str,
        documents: Sequence[document_pb2.Document],
        within_s: float = PATIENCE_S,
    ) -> document_service_pb2.ImportDocumentsResponse:
        """Import one batch."""
        batch = document_service_pb2.ImportDocumentsRequest(
            collection=name, documents=documents
        )
        answers = self.documents.ImportDocuments(iter([batch]), timeout=within_s)
        (answer,) = [each async for each in answers]
        return answer

    async def delete(self, name: str, *ids: str) -> int:
        """Remove documents, and give the version without them."""
        answer = await self.documents.DeleteDocuments(
            document_service_pb2.DeleteDocumentsRequest(collection=name, ids=ids),
            timeout=PATIENCE_S,
        )
        return answer.version

    async def find(
        self, request: search_service_pb2.SearchRequest, within_s: float = PATIENCE_S
    ) -> search_service_pb2.SearchResponse:
        return await self.search.Search(request, timeout=within_s)


def calling(channel: grpc.aio.Channel) -> Caller:
    return Caller(
        documents=document_service_pb2_grpc.DocumentServiceStub(channel),
        search=search_service_pb2_grpc.SearchServiceStub(channel),
    )


def ids(answer: search_service_pb2.SearchResponse) -> list[str]:
    return [each.id for each in answer.results]


def refused(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """Give the reason that an error has in its details."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # an error has what it reads of a call
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert any(each.Unpack(info) for each in status.details)
    return info


def violations(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """Give what is wrong with a request, by the path of the field."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # an error has what it reads of a call
    assert status is not None
    bad = error_details_pb2.BadRequest()
    assert any(each.Unpack(bad) for each in status.details)
    return {each.field: each.description for each in bad.field_violations}


def read_results(
    results: Iterable[ranking_pb2.RankedDocument], *, relevance_weight: float
) -> tuple[Result, ...]:
    """Read an explained answer back into the values that it was written from."""
    return tuple(
        Result(
            id=each.id,
            index=each.index,
            rank=each.rank,
            search_method=each.search_method,
            retrieval_score=each.retrieval_score,
            score=each.score,
            score_kind=ScoreKind(
                ranking_pb2.ScoreKind.Name(each.score_kind).removeprefix("SCORE_KIND_")
            ),
            raw_score=_number(each, "raw_score"),
            rerank_score=_number(each, "rerank_score"),
            explanation=_explanation(each.explanation, relevance_weight),
        )
        for each in results
    )


def _explanation(said: ranking_pb2.Explanation, weight: float) -> Explanation:
    marginal = None
    if said.HasField("mmr_relevance"):
        relevance, penalty = said.mmr_relevance, said.mmr_penalty
        score = weight * relevance - (1.0 - weight) * penalty
        marginal = Marginal(score=score, relevance=relevance, penalty=penalty)
    return Explanation(
        vector_rank=said.vector_rank,
        bm25_rank=said.bm25_rank,
        vector_score=_number(said, "vector_score"),
        bm25_score=_number(said, "bm25_score"),
        vector_term=_term(said.vector_term) if said.HasField("vector_term") else None,
        bm25_term=_term(said.bm25_term) if said.HasField("bm25_term") else None,
        marginal=marginal,
    )


def _term(said: ranking_pb2.FusionTerm) -> FusionTerm:
    return FusionTerm(
        value=said.value,
        weight=said.weight,
        mean=_number(said, "mean"),
        deviation=_number(said, "deviation"),
    )


def _number(message: Any, name: str) -> float | None:
    return getattr(message, name) if message.HasField(name) else None
