"""The servers that these tests know: how each is named in the environment and asked.

What is asked here is written by hand, so that the dialect under test is not compared with
itself.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

# One core may need a minute for 200 documents.
PATIENCE_S = 300.0

# Measured: 0.011 between llama-server's four slots with eight bits per weight.
_IN_ANY_COMPANY = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of server."""

    dialect: str
    variable: str
    """Begins the names of its variables: `…_URL`, `…_API_KEY`."""
    path: str
    texts_key: str = "documents"
    results_key: str = "results"
    """Empty: the answer is the list itself."""
    score_key: str = "relevance_score"
    more: Mapping[str, object] = field(default_factory=dict)
    """What a request for raw numbers says beside query and documents."""
    scale: str = ""
    """Empty: the dialect knows it."""
    at_once: int = 1000
    """Documents in one call."""
    cuts: bool = True
    """It reads the beginning of a long document; otherwise it refuses the call."""
    models_path: str
    """Where it names its model."""
    tolerance: float
    """How much a score may change with what else is computed at the same time."""

    @property
    def url_variable(self) -> str:
        return f"{self.variable}_URL"

    @property
    def key_variable(self) -> str:
        return f"{self.variable}_API_KEY"


LLAMACPP = Kind(
    dialect="llamacpp",
    variable="LLAMA_SERVER",
    path="/v1/rerank",
    scale="logit",
    cuts=False,
    models_path="/v1/models",
    tolerance=_IN_ANY_COMPANY,
)
INFINITY = Kind(
    dialect="infinity",
    variable="INFINITY",
    path="/rerank",
    more={"raw_scores": True},
    models_path="/models",
    # Measured: 0.9e-6 between a document alone and the same one padded in a batch.
    tolerance=1e-5,
)
TEI = Kind(
    dialect="tei",
    variable="TEI",
    path="/rerank",
    texts_key="texts",
    results_key="",
    score_key="score",
    more={"raw_scores": True, "truncate": True},
    at_once=32,
    models_path="/info",
    tolerance=_IN_ANY_COMPANY,
)
VLLM = Kind(
    dialect="vllm",
    variable="VLLM",
    path="/v1/rerank",
    more={"truncate_prompt_tokens": -1},
    scale="probability",
    models_path="/v1/models",
    tolerance=_IN_ANY_COMPANY,
)

KINDS = (LLAMACPP, INFINITY, TEI, VLLM)


@dataclass(frozen=True, slots=True)
class Server:
    """One server that is there."""

    kind: Kind
    url: str
    key: str = ""

    @classmethod
    def named(cls, kind: Kind) -> "Server":
        """Give the one that the environment names."""
        return cls(
            kind,
            os.environ[kind.url_variable].rstrip("/"),
            os.environ.get(kind.key_variable, ""),
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    async def ask(self, query: str, texts: Sequence[str]) -> list[float]:
        """Ask it directly: one raw number per text."""
        kind = self.kind
        raw: list[float] = []
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
            for start in range(0, len(texts), kind.at_once):
                part = list(texts[start : start + kind.at_once])
                response = await client.post(
                    self.url + kind.path,
                    json={"query": query, kind.texts_key: part, **kind.more},
                    headers=self.headers,
                )
                response.raise_for_status()
                answer = response.json()
                results = answer[kind.results_key] if kind.results_key else answer
                scores = {each["index"]: each[kind.score_key] for each in results}
                raw += [scores[index] for index in range(len(part))]
        return raw

    async def model(self) -> str:
        """Ask it for the name of its model."""
        told = await self._get(self.kind.models_path)
        name: str = told["model_id"] if self.kind is TEI else told["data"][0]["id"]
        return name

    async def tolerance(self) -> float:
        """Say how close to `ask` an answer must be."""
        # One slot computes one document at a time: the same bits every time.
        if self.kind is LLAMACPP and (await self._get("/props"))["total_slots"] == 1:
            return 1e-6
        return self.kind.tolerance

    def settings(self, **more: Any) -> dict[str, Any]:
        """Configure a gateway that asks it, and nobody else."""
        return settings_of(self.kind, self.url, **more)

    async def _get(self, path: str) -> Any:
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
            response = await client.get(self.url + path, headers=self.headers)
        response.raise_for_status()
        return response.json()


def settings_of(kind: Kind, url: str, **more: Any) -> dict[str, Any]:
    """Configure a gateway in front of one server."""
    backend = {"dialect": kind.dialect, "url": url, "timeout_s": PATIENCE_S, **more}
    if kind.scale:
        backend["scale"] = kind.scale
    return {
        "backends": {kind.dialect: backend},
        "routes": {"default": {"backends": [kind.dialect], "timeout_s": PATIENCE_S}},
    }
