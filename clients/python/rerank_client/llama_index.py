"""Reranking in LlamaIndex: a node postprocessor.

Needs the extra `llama-index`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation import (  # type: ignore[attr-defined]  # see below
    get_dispatcher,
)
from llama_index.core.instrumentation.events.rerank import (
    ReRankEndEvent,
    ReRankStartEvent,
)
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle

from rerank_client.async_client import AsyncRerankClient
from rerank_client.client import RerankClient
from rerank_client.provenance import (
    KEYS,
    provenance,
    rerank_fields,
    retrieval_score_of,
    score_of,
    without,
)
from rerank_client.requests import RerankFields
from rerank_client.types import Document, RankedDocument, RerankResponse

# As LlamaIndex documents it, although the module does not export the name.
_dispatcher = get_dispatcher(__name__)


class GatewayRerank(BaseNodePostprocessor):
    """Orders nodes by relevance, through the gateway.

    A node's `score` is what the model said, 0 to 1, and None where nobody scored it: no
    other number takes its place. The nodes returned are copies. Their metadata has
    `retrieval_score`, where there was one, `search_method`, `fallback_triggered`, and
    `fallback_reason` where nobody scored: the order is then the one received. None of
    these is shown to a model.

    Calls raise a `RerankError` when the gateway itself does not answer.
    """

    client: RerankClient | None = Field(default=None, exclude=True)
    """For `postprocess_nodes`. Who opened it closes it."""

    async_client: AsyncRerankClient | None = Field(default=None, exclude=True)
    """For `apostprocess_nodes`. None: a thread runs `postprocess_nodes`, and goes on until
    its deadline when the caller has left."""

    top_n: int = 0
    """Most nodes to return. 0: all."""

    top_k: int | None = None
    """How many nodes are scored. None: the route decides."""

    min_score: float | None = None
    """Lowest score to return. None: the route decides."""

    route: str = ""
    """Which backends are asked. Empty: the default ones."""

    search_method: str = ""
    """How the nodes were found, for example `vector`. Empty: not known."""

    instruction: str = ""
    """How to judge, for models that take an instruction."""

    raise_on_failure: bool = False
    """Whether to raise where no backend scored, instead of keeping the order."""

    timeout_s: float | None = None
    """Deadline of a call in seconds. None: the client's."""

    @classmethod
    def class_name(cls) -> str:
        """Name the class in serialised form."""
        return "GatewayRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _query_of(query_bundle)
        if self.client is None:
            message = "postprocess_nodes needs a client"
            raise ValueError(message)
        if not nodes:
            return []
        with self._reported(nodes, query) as done:
            answer = self.client.rerank(
                query, _documents(nodes), timeout_s=self.timeout_s, **self._fields()
            )
            return done(_ordered(nodes, answer))

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if self.async_client is None:
            return await super()._apostprocess_nodes(nodes, query_bundle)
        query = _query_of(query_bundle)
        if not nodes:
            return []
        with self._reported(nodes, query) as done:
            answer = await self.async_client.rerank(
                query, _documents(nodes), timeout_s=self.timeout_s, **self._fields()
            )
            return done(_ordered(nodes, answer))

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

    @contextmanager
    def _reported(
        self, nodes: list[NodeWithScore], query: str
    ) -> Iterator[Callable[[list[NodeWithScore]], list[NodeWithScore]]]:
        """Tell LlamaIndex's callbacks and instrumentation what begins and what came of it."""
        # Which model answers is the gateway's to choose.
        name = self.route or "default"
        _dispatcher.event(
            ReRankStartEvent(
                query=query, nodes=nodes, top_n=self.top_n, model_name=name
            )
        )
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: name,
            EventPayload.QUERY_STR: query,
            EventPayload.TOP_K: self.top_n,
        }
        with self.callback_manager.event(
            CBEventType.RERANKING, payload=payload
        ) as event:

            def done(ordered: list[NodeWithScore]) -> list[NodeWithScore]:
                event.on_end(payload={EventPayload.NODES: ordered})
                _dispatcher.event(ReRankEndEvent(nodes=ordered))
                return ordered

            yield done


def _query_of(query_bundle: QueryBundle | None) -> str:
    if query_bundle is None:
        message = "reranking needs a query"
        raise ValueError(message)
    return query_bundle.query_str


def _documents(nodes: Sequence[NodeWithScore]) -> list[Document]:
    # What was embedded is what was found, metadata included.
    return [
        Document(
            text=node.node.get_content(metadata_mode=MetadataMode.EMBED),
            score=retrieval_score_of(node.score),
        )
        for node in nodes
    ]


def _ordered(
    nodes: Sequence[NodeWithScore], answer: RerankResponse
) -> list[NodeWithScore]:
    return [
        NodeWithScore(
            node=_annotated(nodes[result.index].node, result, answer),
            score=score_of(result),
        )
        for result in answer.results
    ]


def _annotated(
    node: BaseNode, result: RankedDocument, answer: RerankResponse
) -> BaseNode:
    metadata = without(node.metadata)
    metadata.update(provenance(result, answer))
    return node.model_copy(
        update={
            "metadata": metadata,
            "excluded_embed_metadata_keys": _with(
                node.excluded_embed_metadata_keys, KEYS
            ),
            "excluded_llm_metadata_keys": _with(node.excluded_llm_metadata_keys, KEYS),
        }
    )


def _with(keys: Sequence[str], more: Sequence[str]) -> list[str]:
    return [*keys, *(each for each in more if each not in keys)]
