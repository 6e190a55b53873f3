"""Reranking in Haystack: a ranker component.

Needs the extra `haystack`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import grpc
from haystack import Document, component, default_from_dict, default_to_dict
from haystack.utils import Secret

from rerank_client import types
from rerank_client.answers import fallback_reason
from rerank_client.async_client import AsyncRerankClient
from rerank_client.client import RerankClient
from rerank_client.connection import ConnectionOptions
from rerank_client.provenance import (
    provenance,
    rerank_fields,
    retrieval_score_of,
    score_of,
    without,
)
from rerank_client.requests import RerankFields


@component
class GatewayRanker:
    """Orders documents by relevance, through the gateway.

    A document's `score` is what the model said, 0 to 1, and None where nobody scored it.
    The documents returned are copies. Their `meta` has `retrieval_score`, where there was
    one, `search_method`, `fallback_triggered`, and `fallback_reason` where nobody scored:
    the order is then the one received.

    Calls raise a `RerankError` when the gateway itself does not answer.
    """

    def __init__(
        self,
        address: str = "localhost:50051",
        *,
        token: Secret | None = None,
        tls: bool = False,
        top_k: int | None = None,
        candidates: int | None = None,
        min_score: float | None = None,
        route: str = "",
        search_method: str = "",
        instruction: str = "",
        meta_fields_to_embed: Sequence[str] = (),
        raise_on_failure: bool = False,
        timeout_s: float | None = None,
    ) -> None:
        """Set it up; it connects at the first run, or when it is warmed up.

        Args:
            address: The gateway.
            token: Sent as `authorization: Bearer …`.
            tls: Whether to speak TLS, with the system's certificates.
            top_k: Most documents to return. None: all.
            candidates: How many documents are scored. None: the route decides.
            min_score: Lowest score to return. None: the route decides.
            route: Which backends are asked. Empty: the default ones.
            search_method: How the documents were found, for example `vector`. Empty: not
                known.
            instruction: How to judge, for models that take an instruction.
            meta_fields_to_embed: Fields of `meta` that the model reads before the content.
            raise_on_failure: Whether to raise where no backend scored, instead of keeping
                the order.
            timeout_s: Deadline of a call in seconds. None: 10.

        """
        self.address = address
        self.token = token
        self.tls = tls
        self.top_k = top_k
        self.candidates = candidates
        self.min_score = min_score
        self.route = route
        self.search_method = search_method
        self.instruction = instruction
        self.meta_fields_to_embed = list(meta_fields_to_embed)
        self.raise_on_failure = raise_on_failure
        self.timeout_s = timeout_s
        self._client: RerankClient | None = None
        self._async_client: AsyncRerankClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def to_dict(self) -> dict[str, Any]:
        """Serialise it, without its token: a `Secret` names where that is found."""
        return default_to_dict(
            self,
            address=self.address,
            token=self.token,
            tls=self.tls,
            top_k=self.top_k,
            candidates=self.candidates,
            min_score=self.min_score,
            route=self.route,
            search_method=self.search_method,
            instruction=self.instruction,
            meta_fields_to_embed=self.meta_fields_to_embed,
            raise_on_failure=self.raise_on_failure,
            timeout_s=self.timeout_s,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make it of what `to_dict` gave."""
        return default_from_dict(cls, data)

    def warm_up(self) -> None:
        """Open the client of `run`."""
        self._opened()

    async def warm_up_async(self) -> None:
        """Open the client of `run_async`."""
        await self._opened_async()

    def close(self) -> None:
        """Close the client of `run`; a later run opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def close_async(self) -> None:
        """Close both clients; a later run opens others."""
        self.close()
        if self._async_client is not None:
            await self._async_client.close()
            self._async_client = None

    @component.output_types(
        documents=list[Document], fallback_triggered=bool, fallback_reason=str
    )
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, Any]:
        """Order documents.

        Args:
            query: What they are judged against.
            documents: Best first, as far as is known.
            top_k: Instead of that of the component.

        Returns:
            `documents`, best first; `fallback_triggered`, whether any stage did less than
            was asked of it; `fallback_reason`, why nobody scored, otherwise empty.

        Raises:
            RerankError: The call failed.

        """
        if not documents:
            return _nothing()
        answer = self._opened().rerank(
            query, self._documents(documents), **self._fields(top_k)
        )
        return _output(documents, answer)

    @component.output_types(
        documents=list[Document], fallback_triggered=bool, fallback_reason=str
    )
    async def run_async(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, Any]:
        """Order documents, like `run`."""
        if not documents:
            return _nothing()
        client = await self._opened_async()
        answer = await client.rerank(
            query, self._documents(documents), **self._fields(top_k)
        )
        return _output(documents, answer)

    def _opened(self) -> RerankClient:
        if self._client is None:
            self._client = RerankClient(self.address, **self._options())
        return self._client

    async def _opened_async(self) -> AsyncRerankClient:
        # A pipeline may run on one event loop after another, and a channel on one alone.
        loop = asyncio.get_running_loop()
        if self._async_client is None or self._loop is not loop:
            self._async_client = AsyncRerankClient(self.address, **self._options())
            self._loop = loop
        return self._async_client

    def _options(self) -> ConnectionOptions:
        return ConnectionOptions(
            credentials=grpc.ssl_channel_credentials() if self.tls else None,
            token=None if self.token is None else self.token.resolve_value(),
            timeout_s=self.timeout_s,
        )

    def _fields(self, top_k: int | None) -> RerankFields:
        most = self.top_k if top_k is None else top_k
        if most is not None and most <= 0:
            message = f"top_k must be above 0, not {most}"
            raise ValueError(message)
        return rerank_fields(
            route=self.route,
            top_k=self.candidates,
            top_n=most or 0,
            min_score=self.min_score,
            search_method=self.search_method,
            instruction=self.instruction,
            raise_on_failure=self.raise_on_failure,
        )

    def _documents(self, documents: Sequence[Document]) -> list[types.Document]:
        return [
            types.Document(
                text=self._text_of(document), score=retrieval_score_of(document.score)
            )
            for document in documents
        ]

    def _text_of(self, document: Document) -> str:
        parts = [
            str(document.meta[name])
            for name in self.meta_fields_to_embed
            if document.meta.get(name) is not None
        ]
        return "\n".join([*parts, document.content or ""])


def _nothing() -> dict[str, Any]:
    return {"documents": [], "fallback_triggered": False, "fallback_reason": ""}


def _output(
    documents: Sequence[Document], answer: types.RerankResponse
) -> dict[str, Any]:
    ordered = []
    for result in answer.results:
        document = documents[result.index]
        meta = without(document.meta)
        meta.update(provenance(result, answer))
        ordered.append(replace(document, score=score_of(result), meta=meta))
    return {
        "documents": ordered,
        "fallback_triggered": answer.fallback_triggered,
        "fallback_reason": fallback_reason(answer),
    }
