"""The answer that most vendors give: a list of results, a model, a count of tokens."""

from gateway.backends import reading
from gateway.backends.dialect import Decoded
from gateway.backends.reading import Json


def read_results(
    payload: Json, count: int, *, list_key: str, score_key: str
) -> Decoded:
    """Read `{list_key: [{"index", score_key}], "model", "usage": {"total_tokens"}}`.

    Raises:
        ContractBrokenError: No such list, or one that is not complete and correct.

    """
    answer = reading.mapping(payload, "the answer")
    return Decoded(
        raw=reading.by_index(answer.get(list_key), score_key=score_key, count=count),
        model=reading.text(answer.get("model")),
        usage=reading.usage(tokens=reading.member(answer, "usage", "total_tokens")),
    )
