"""What is asked: requests as bytes, prepared once and sent many times."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rerank.v1 import document_pb2, options_pb2, rerank_service_pb2

QUERY_FIELD = 1
MIN_SCORE_FIELD = 7

_SCORED_BY_DEFAULT = 100
_WORDS = "reranking puts the best of what was found first "


@dataclass(frozen=True, slots=True)
class Payload:
    """So many documents of such a size."""

    documents: int = 100
    characters: int = 400

    def __str__(self) -> str:
        """Say it as the report does."""
        return f"{self.documents} x {self.characters / 1000:g} KB"

    @property
    def texts(self) -> list[str]:
        """Give documents that differ, as in life."""
        size = self.characters
        return [
            (f"{number} " + _WORDS * (size // len(_WORDS) + 1))[:size]
            for number in range(self.documents)
        ]

    @property
    def query(self) -> str:
        """Say how many they are: it is where the canned backend reads it."""
        return f"{self.documents} documents, question 0"


def rerank_request(
    payload: Payload, *, bypass: bool = False
) -> rerank_service_pb2.RerankRequest:
    """Ask the gateway, or the echo."""
    mode = options_pb2.CACHE_MODE_BYPASS if bypass else options_pb2.CACHE_MODE_DEFAULT
    return rerank_service_pb2.RerankRequest(
        query=payload.query,
        cache=options_pb2.CacheOptions(mode=mode) if bypass else None,
        top_k=payload.documents if payload.documents > _SCORED_BY_DEFAULT else None,
        documents=[
            document_pb2.Document(id=f"doc-{number}", text=text)
            for number, text in enumerate(payload.texts)
        ],
    )


def tei_request(payload: Payload) -> bytes:
    """Ask TEI, over HTTP, as the gateway does."""
    body = {
        "query": payload.query,
        "texts": payload.texts,
        "raw_scores": True,
        "truncate": True,
    }
    return json.dumps(body).encode()


def cohere_request(payload: Payload, *, model: str) -> bytes:
    """Ask LiteLLM's proxy, which speaks Cohere's language to its callers."""
    body = {
        "model": model,
        "query": payload.query,
        "documents": payload.texts,
        "return_documents": False,
    }
    return json.dumps(body).encode()


def appended(
    number: int, *, text_field: int, double_field: int, documents: int
) -> bytes:
    """Give what makes a request one of its own; the loader does the same."""
    found = b""
    if text_field:
        text = f"{documents} documents, question {number}".encode()
        found += bytes((text_field << 3 | 2, len(text))) + text
    if double_field:
        found += bytes((double_field << 3 | 1,)) + struct.pack("<d", number * 1e-12)
    return found


def write(path: Path, requests: Sequence[bytes]) -> Path:
    """Write them as the loader reads them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(struct.pack("<I", len(each)) + each for each in requests))
    return path


def read(path: Path) -> list[bytes]:
    """Read what was written."""
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack_from("<I", content)
        found.append(content[4 : 4 + length])
        content = content[4 + length :]
    return found
