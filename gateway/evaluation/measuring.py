"""How good the order of each query's documents is, as ir-measures computes it."""

from collections.abc import Mapping, Sequence

import ir_measures
import numpy as np

NDCG = "nDCG@10"
MRR = "MRR@10"
RECALL = "Recall@100"
MEASURES = (NDCG, MRR, RECALL)

_BY_NAME = {
    NDCG: ir_measures.nDCG @ 10,
    MRR: ir_measures.RR @ 10,
    RECALL: ir_measures.R @ 100,
}

Values = np.ndarray[tuple[int], np.dtype[np.float64]]
"""One per query, in the order of the judgements."""


def measured(
    measure: str,
    judgements: Mapping[str, Mapping[str, int]],
    orders: Mapping[str, Sequence[str]],
) -> Values:
    """Measure the order found for every judged query.

    Args:
        measure: One of `MEASURES`.
        judgements: By query, by document: the grade; above 0 is relevant.
        orders: By query: documents, best first. A query without any has 0.

    """
    # Numbers made from places, so that no tie is broken by anything but the order.
    run = {
        query: {document: -float(place) for place, document in enumerate(order)}
        for query, order in orders.items()
    }
    values = {
        each.query_id: each.value
        for each in ir_measures.iter_calc([_BY_NAME[measure]], judgements, run)
    }
    return np.array([values.get(query, 0.0) for query in judgements])
