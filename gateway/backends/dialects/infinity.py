"""michaelfeil's Infinity.

Recorded from a real one (0.0.78): Cohere's shape below its url prefix, logits on request,
long documents cut without a word, every mistake a 422.
"""

from gateway.backends import reading
from gateway.backends.dialect import Call, Decoded, Dialect, Info, Refusal
from gateway.backends.errors import BackendError, Excess, TooLarge
from gateway.backends.facts import Facts
from gateway.backends.reading import Json
from gateway.ranking.normalize import Scale

_MAX_CHARACTERS = 122_880


def encode(call: Call) -> Json:
    """Ask for logits: its own sigmoid saturates to 1.0 in half precision."""
    body: dict[str, Json] = {
        "query": call.query,
        # A longer text is refused, and no model reads that far.
        "documents": [text[:_MAX_CHARACTERS] for text in call.texts],
        "top_n": len(call.texts),
        "raw_scores": True,
        "return_documents": False,
    }
    if call.model:
        body["model"] = call.model
    return body


def decode(payload: Json, count: int) -> Decoded:
    """Read `{"results": [{"relevance_score", "index", "document": null}], "model"}`.

    Its usage counts characters, not tokens, so it is not reported.
    """
    answer = reading.mapping(payload, "the answer")
    return Decoded(
        raw=reading.by_index(
            answer.get("results"), score_key="relevance_score", count=count
        ),
        model=reading.text(answer.get("model")),
    )


def refusal(answer: Refusal) -> BackendError | None:
    """Find the list that is too long among the mistakes it names."""
    problems = reading.member(answer.payload, "detail")
    for problem in problems if isinstance(problems, list) else []:
        if reading.member(problem, "type") == "too_long":
            given = reading.member(problem, "ctx", "actual_length")
            limit = reading.member(problem, "ctx", "max_length")
            return TooLarge(
                answer.backend,
                Excess.DOCUMENTS,
                given=given if isinstance(given, int) else None,
                limit=limit if isinstance(limit, int) else None,
            )
    return None


def read_models(payload: Json, facts: Facts) -> None:
    """Read `/models`: the configured model where it can rerank, else the first that can."""
    told = reading.mapping(payload, "the list of models")
    rerankers = [
        reading.text(reading.member(model, "id"))
        for model in reading.array(told.get("data"), "the list of models")
        if "rerank" in _capabilities(model)
    ]
    if rerankers and facts.model not in rerankers:
        facts.learn_model(rerankers[0])


def _capabilities(model: Json) -> list[Json]:
    capabilities = reading.member(model, "capabilities")
    return capabilities if isinstance(capabilities, list) else []


DIALECT = Dialect(
    path="/rerank",
    encode=encode,
    decode=decode,
    refusal=refusal,
    scale=Scale.LOGIT,
    max_documents=2048,
    max_in_flight=32,
    info=Info(path="/models", read=read_models),
)
