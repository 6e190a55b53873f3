"""A vendor that nobody has, written as a newcomer would: it goes through every suite."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import gateway.compose  # noqa: F401 - whoever uses the table has to be loaded
from gateway.backends import reading
from gateway.backends.dialect import Call, Decoded, Dialect, Refusal
from gateway.backends.dialects import DIALECTS
from gateway.backends.errors import BackendError, Excess, TooLarge
from gateway.backends.reading import Json
from gateway.ranking.normalize import Scale

# The file


def encode(call: Call) -> Json:
    return {
        "judge": call.model,
        "question": call.query,
        "candidates": [{"text": text} for text in call.texts],
        "want": len(call.texts),
    }


def decode(payload: Json, count: int) -> Decoded:
    answer = reading.mapping(payload, "the answer")
    return Decoded(
        raw=reading.by_index(
            answer.get("verdicts"), score_key="likelihood", count=count
        ),
        model=reading.text(answer.get("served_by")),
        usage=reading.usage(search_units=reading.member(answer, "cost", "credits")),
    )


def refusal(answer: Refusal) -> BackendError | None:
    most = reading.member(answer.payload, "most_candidates")
    if isinstance(most, int):
        return TooLarge(answer.backend, Excess.DOCUMENTS, limit=most)
    return None


QUILLON = Dialect(
    path="/v3/judge",
    encode=encode,
    decode=decode,
    refusal=refusal,
    credentials=lambda api_key: {"X-Quillon-Key": api_key},
    headers={"X-Quillon-Edition": "4"},
    listwise=lambda model: model.endswith("-panel"),
    scale=Scale.PROBABILITY,
    max_documents=4,
    max_in_flight=2,
    needs_model=True,
    home="https://quillon.test",
)

# The line


@contextmanager
def registered() -> Iterator[None]:
    """Let the table have it, wherever the table is used, until the block ends."""
    table = {**DIALECTS, "quillon": QUILLON}
    with pytest.MonkeyPatch.context() as patching:
        for name, module in list(sys.modules.items()):
            # What is imported meanwhile must not keep it.
            if name in {"gateway.backends.dialects", __name__}:
                continue
            if vars(module).get("DIALECTS") is DIALECTS:
                patching.setattr(module, "DIALECTS", table)
        yield
