"""How each vendor writes a good answer: the one table that knows."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.backends.dialects import DIALECTS
from gateway.ranking.normalize import Scale
from tests.e2e.vendor import Exchange, Play, Received, reply

ScoreOf = Callable[[str], float]
"""What a vendor's model makes of the text of a document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One shape of a good answer of one dialect."""

    dialect: str
    member: str
    """Where the list of results is; empty: the answer is the list itself."""
    score_key: str
    """Where a result has its number; empty: it is the number, and has no index."""
    texts_key: str = "documents"
    """Where the request has its documents."""
    settings: Mapping[str, object]
    """What a backend of this dialect must be told."""
    info: object = None
    """What the server tells about itself."""

    @property
    def name(self) -> str:
        """The shape as a name of a backend."""
        several = len(SHAPES[self.dialect]) > 1
        name = f"{self.dialect}_{self.member}" if several else self.dialect
        return name.replace("-", "_")

    @property
    def has_indexes(self) -> bool:
        return bool(self.score_key)

    @property
    def scale(self) -> Scale:
        return DIALECTS[self.dialect].scale or Scale(str(self.settings["scale"]))

    @property
    def is_logit(self) -> bool:
        return self.scale is Scale.LOGIT

    def texts(self, request: Received) -> list[str]:
        documents = request.json[self.texts_key]
        return [each["text"] if isinstance(each, dict) else each for each in documents]

    def results(self, raw: Sequence[float]) -> list[Any]:
        """Write one result per document, the best first where they have an index."""
        if not self.has_indexes:
            return list(raw)
        best_first = sorted(range(len(raw)), key=lambda index: -raw[index])
        return [{"index": index, self.score_key: raw[index]} for index in best_first]

    def answer(self, results: object, **more: object) -> bytes:
        """Write a whole answer."""
        return json.dumps(
            {**more, self.member: results} if self.member else results
        ).encode()

    def scored(self, score_of: ScoreOf) -> Play:
        """Answer well."""

        async def play(exchange: Exchange) -> None:
            await reply(200, self.body(exchange.received, score_of))(exchange)

        return play

    def body(self, request: Received, score_of: ScoreOf) -> bytes:
        return self.answer(self.results([score_of(t) for t in self.texts(request)]))


SHAPES: Mapping[str, tuple[Shape, ...]] = {
    "cohere-v1": (
        Shape(
            dialect="cohere-v1",
            member="results",
            score_key="relevance_score",
            settings={},
        ),
    ),
    "cohere-v2": (
        Shape(
            dialect="cohere-v2",
            member="results",
            score_key="relevance_score",
            settings={"model": "rerank-v3.5"},
        ),
    ),
    "infinity": (
        Shape(
            dialect="infinity",
            member="results",
            score_key="relevance_score",
            settings={},
            info={
                "data": [{"id": "BAAI/bge-reranker-base", "capabilities": ["rerank"]}]
            },
        ),
    ),
    "jina": (
        Shape(
            dialect="jina",
            member="results",
            score_key="relevance_score",
            settings={"model": "jina-reranker-v2-base-multilingual"},
        ),
    ),
    "llamacpp": (
        Shape(
            dialect="llamacpp",
            member="results",
            score_key="relevance_score",
            settings={"scale": "logit"},
        ),
    ),
    "nim": (
        Shape(
            dialect="nim",
            member="rankings",
            score_key="logit",
            texts_key="passages",
            settings={"model": "nvidia/llama-3.2-nv-rerankqa-1b-v2"},
        ),
    ),
    "pinecone": (
        Shape(
            dialect="pinecone",
            member="data",
            score_key="score",
            settings={"model": "bge-reranker-v2-m3"},
        ),
    ),
    "quillon": (
        Shape(
            dialect="quillon",
            member="verdicts",
            score_key="likelihood",
            texts_key="candidates",
            settings={"model": "quillon-2", "max_documents": 32},
        ),
    ),
    "simple": (
        Shape(
            dialect="simple",
            member="results",
            score_key="relevance_score",
            settings={"scale": "probability"},
        ),
        Shape(
            dialect="simple",
            member="rankings",
            score_key="score",
            settings={"scale": "probability"},
        ),
        Shape(
            dialect="simple",
            member="scores",
            score_key="",
            settings={"scale": "logit"},
        ),
    ),
    "tei": (
        Shape(
            dialect="tei",
            member="",
            score_key="score",
            texts_key="texts",
            settings={},
            info={"model_id": "BAAI/bge-reranker-base", "max_client_batch_size": 32},
        ),
    ),
    "vllm": (
        Shape(
            dialect="vllm",
            member="results",
            score_key="relevance_score",
            settings={"scale": "logit"},
        ),
    ),
    "voyage": (
        Shape(
            dialect="voyage",
            member="data",
            score_key="relevance_score",
            settings={"model": "rerank-2.5"},
        ),
    ),
}
"""By dialect; `quillon` is the invented one of `tests/support/quillon.py`. A dialect
without an entry fails `test_every_dialect_has_a_shape`."""

ALL_SHAPES = [shape for several in SHAPES.values() for shape in several]


def normalised(raw: float, shape: Shape) -> float:
    """Say what a raw number must become."""
    return 1 / (1 + math.exp(-raw)) if shape.is_logit else raw
