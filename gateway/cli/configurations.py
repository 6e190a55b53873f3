"""Each way of searching that has a name, as the request that asks for it."""

from gateway.ranking.method import INPUT_ORDER, SEARCH_METHODS
from rerank.v1 import options_pb2, search_service_pb2

SEARCHED = tuple(sorted(SEARCH_METHODS - {"rerank", INPUT_ORDER}))
"""The `search_method`s of a search; the others are those of a caller's own list."""

_MODES = {
    "vector": search_service_pb2.RETRIEVAL_MODE_VECTOR,
    "fulltext": search_service_pb2.RETRIEVAL_MODE_FULLTEXT,
}
_FUSIONS = {
    "rrf_hybrid": search_service_pb2.FUSION_RRF,
    "zscore_hybrid": search_service_pb2.FUSION_ZSCORE,
}


def request_of(
    search_method: str, *, query: str, collection: str, limit: int
) -> search_service_pb2.SearchRequest:
    """Ask for all stages that a `search_method` names, and for no others.

    Args:
        search_method: One of `SEARCHED`.
        query: What to search for.
        collection: Where.
        limit: How many results.

    """
    base, *stages = search_method.split("+")
    request = search_service_pb2.SearchRequest(
        query=query,
        collection=collection,
        limit=limit,
        retrieval=search_service_pb2.RetrievalOptions(
            mode=_MODES.get(base, search_service_pb2.RETRIEVAL_MODE_HYBRID),
            fusion=_FUSIONS.get(base, search_service_pb2.FUSION_UNSPECIFIED),
        ),
        rerank=search_service_pb2.RerankOptions(
            enabled="rerank" in stages,
            # A remembered score would make the next configuration look fast.
            cache=options_pb2.CacheOptions(mode=options_pb2.CACHE_MODE_BYPASS),
        ),
    )
    if "mmr" in stages:
        request.mmr.enabled = True
        if stages[0] == "rerank":
            request.mmr.stage = search_service_pb2.MMR_STAGE_AFTER_RERANK
    return request
