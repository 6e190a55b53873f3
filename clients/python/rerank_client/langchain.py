"""Reranking in LangChain: a document compressor.

Needs the extra `langchain`.
"""

from collections.abc import Sequence

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, Field

from rerank_client.async_client import AsyncRerankClient
from rerank_client.client import RerankClient
from rerank_client.provenance import provenance, rerank_fields, score_of, without
from rerank_client.requests import RerankFields
from rerank_client.types import RerankResponse

RELEVANCE_SCORE = "relevance_score"
"""Key in a document's metadata, as LangChain's rerankers have it: what the model said, 0
to 1. Absent where nobody scored the document."""


class GatewayRerank(BaseDocumentCompressor):
    """Orders documents by relevance, through the gateway.

    The documents returned are copies. Their metadata has `relevance_score`, where the
    document was scored, `search_method`, `fallback_triggered`, and `fallback_reason`
    where nobody scored: the order is then the one received.

    Calls raise a `RerankError` when the gateway itself does not answer.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    client: RerankClient | None = Field(default=None, exclude=True)
    """For `compress_documents`. Who opened it closes it."""

    async_client: AsyncRerankClient | None = Field(default=None, exclude=True)
    """For `acompress_documents`. None: a thread runs `compress_documents`, and goes on
    until its deadline when the caller has left."""

    top_n: int = 0
    """Most documents to return. 0: all."""

    top_k: int | None = None
    """How many documents are scored. None: the route decides."""

    min_score: float | None = None
    """Lowest `relevance_score` to return. None: the route decides."""

    route: str = ""
    """Which backends are asked. Empty: the default ones."""

    search_method: str = ""
    """How the documents were found, for example `vector`. Empty: not known."""

    instruction: str = ""
    """How to judge, for models that take an instruction."""

    raise_on_failure: bool = False
    """Whether to raise where no backend scored, instead of keeping the order."""

    timeout_s: float | None = None
    """Deadline of a call in seconds. None: the client's."""

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002 - nothing to report in between
    ) -> Sequence[Document]:
        """Order documents.

        Raises:
            RerankError: The call failed.
            ValueError: There is no `client`.

        """
        if self.client is None:
            message = "compress_documents needs a client"
            raise ValueError(message)
        if not documents:
            return []
        answer = self.client.rerank(
            query, _texts(documents), timeout_s=self.timeout_s, **self._fields()
        )
        return _ordered(documents, answer)

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
    ) -> Sequence[Document]:
        """Order documents, like `compress_documents`."""
        if self.async_client is None:
            return await super().acompress_documents(documents, query, callbacks)
        if not documents:
            return []
        answer = await self.async_client.rerank(
            query, _texts(documents), timeout_s=self.timeout_s, **self._fields()
        )
        return _ordered(documents, answer)

    def _fields(self) -> RerankFields:
        return rerank_fields(
            route=self.route,
            top_k=self.top_k,
            top_n=self.top_n,
            min_score=self.min_score,
            search_method=self.search_method,
            instruction=self.instruction,
            raise_on_failure=self.raise_on_failure,
        )


def _texts(documents: Sequence[Document]) -> list[str]:
    return [document.page_content for document in documents]


def _ordered(
    documents: Sequence[Document], answer: RerankResponse
) -> Sequence[Document]:
    ordered = []
    for result in answer.results:
        document = documents[result.index]
        metadata = without(document.metadata, RELEVANCE_SCORE)
        metadata.update(provenance(result, answer))
        if (score := score_of(result)) is not None:
            metadata[RELEVANCE_SCORE] = score
        ordered.append(document.model_copy(update={"metadata": metadata}))
    return ordered
