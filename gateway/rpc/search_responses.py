"""From plain values to a `SearchResponse`, with as many documents as it has room for."""

from gateway.ranking.fusion import FusionTerm
from gateway.rpc.documents import write_document
from gateway.rpc.responses import write_execution
from gateway.searching.contract import Explanation, Result, ScoreKind, Searched
from rerank.v1 import ranking_pb2, search_service_pb2

# Built when imported, so a name that the contract lacks cannot go unnoticed.
_SCORE_KINDS = {
    kind: ranking_pb2.ScoreKind.Value(f"SCORE_KIND_{kind}") for kind in ScoreKind
}

# A field's number takes one byte of a message where it is below 16, as all here are.
_TAG_BYTES = 1
_VARINT_BITS = 7


def write_search(
    searched: Searched, *, explain: bool, with_vectors: bool, max_bytes: int
) -> search_service_pb2.SearchResponse:
    """Write an answer.

    Args:
        searched: The answer.
        explain: Whether each result says how its first numbers came about.
        with_vectors: Whether the documents have their vectors, where they are there.
        max_bytes: Most bytes of the message. What does not fit is left out: documents,
            from the last one upward; never a result.

    """
    response = search_service_pb2.SearchResponse(
        results=[_result(each, explain=explain) for each in searched.results],
        search_method=searched.search_method,
        message=searched.message,
        fallback_triggered=searched.fallback_triggered,
        execution=write_execution(searched.execution),
        version=searched.version,
    )
    room = max_bytes - response.ByteSize()
    for result, message in zip(searched.results, response.results, strict=True):
        if result.document is None:
            continue
        document = write_document(result.document, with_vector=with_vectors)
        room -= _growth(message.ByteSize(), _field_size(document.ByteSize()))
        # From here on all are left out, or a small one would stay below a large one.
        if room < 0:
            break
        message.document.CopyFrom(document)
    return response


def _growth(size: int, added: int) -> int:
    """Tell by how much a field grows when its message of this size gets more."""
    return _field_size(size + added) - _field_size(size)


def _field_size(size: int) -> int:
    """Tell how many bytes a message of this size takes as a field of another."""
    return _TAG_BYTES + max(1, -(-size.bit_length() // _VARINT_BITS)) + size


def _result(result: Result, *, explain: bool) -> ranking_pb2.RankedDocument:
    return ranking_pb2.RankedDocument(
        id=result.id,
        index=result.index,
        rank=result.rank,
        original_rank=result.index + 1,
        score=result.score,
        score_kind=_SCORE_KINDS[result.score_kind],
        rerank_score=result.rerank_score,
        raw_score=result.raw_score,
        retrieval_score=result.retrieval_score,
        search_method=result.search_method,
        explanation=_explanation(result.explanation) if explain else None,
    )


def _explanation(explanation: Explanation) -> ranking_pb2.Explanation:
    marginal = explanation.marginal
    return ranking_pb2.Explanation(
        vector_rank=explanation.vector_rank,
        bm25_rank=explanation.bm25_rank,
        vector_score=explanation.vector_score,
        bm25_score=explanation.bm25_score,
        vector_term=_term(explanation.vector_term),
        bm25_term=_term(explanation.bm25_term),
        mmr_relevance=marginal.relevance if marginal else None,
        mmr_penalty=marginal.penalty if marginal else None,
    )


def _term(term: FusionTerm | None) -> ranking_pb2.FusionTerm | None:
    if term is None:
        return None
    return ranking_pb2.FusionTerm(
        value=term.value,
        weight=term.weight,
        mean=term.mean,
        deviation=term.deviation,
    )
