"""Home-made rerankers: the three shapes that people write when nobody prescribes one.

`{"results": [{"index", "relevance_score"}]}`, `{"rankings": [{"index", "score"}]}` and
`{"scores": [0.9, …]}` in the order of the request. None of them says what its numbers
are, so the scale must be configured.
"""

from gateway.backends import reading
from gateway.backends.dialect import Call, Decoded, Dialect
from gateway.backends.reading import Json

_LISTS = {"results": "relevance_score", "rankings": "score"}


def encode(call: Call) -> Json:
    """Ask as most of them expect it."""
    body = {
        "query": call.query,
        "documents": call.texts,
        "top_n": len(call.texts),
    }
    return {"model": call.model, **body} if call.model else body


def decode(payload: Json, count: int) -> Decoded:
    """Read whichever of the shapes is there; two at once would be a guess."""
    answer = reading.mapping(payload, "the answer")
    shapes = [key for key in ("results", "rankings", "scores") if key in answer]
    if len(shapes) != 1:
        message = f"{len(shapes)} of the members results, rankings, scores"
        raise reading.ContractBrokenError(message)
    (shape,) = shapes
    if shape == "scores":
        raw = reading.by_position(answer["scores"], count=count)
    else:
        raw = reading.by_index(answer[shape], score_key=_LISTS[shape], count=count)
    return Decoded(raw=raw, model=reading.text(answer.get("model")))


DIALECT = Dialect(
    path="/rerank",
    encode=encode,
    decode=decode,
    scale=None,
    max_documents=1000,
    max_in_flight=16,
)
