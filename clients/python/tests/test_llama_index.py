"""The node postprocessor, in the real LlamaIndex over a real gateway."""

import math
from typing import Any

import pytest
from llama_index.core.bridge.pydantic import Field
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.rerank import (
    ReRankEndEvent,
    ReRankStartEvent,
)
from llama_index.core.schema import (
    MetadataMode,
    NodeWithScore,
    QueryBundle,
    TextNode,
)

from rerank_client import (
    AsyncRerankClient,
    FailedPrecondition,
    RerankClient,
    llama_index,
)
from rerank_client.llama_index import GatewayRerank

QUERY = "what is vitamin b12"


def found() -> list[NodeWithScore]:
    return [
        NodeWithScore(node=TextNode(text="Bread is baked.", id_="bread"), score=0.9),
        NodeWithScore(node=TextNode(text=" ", id_="blank"), score=math.nan),
        NodeWithScore(
            node=TextNode(
                text="What vitamin B12 is.",
                id_="b12",
                metadata={"page": "3", "retrieval_score": 7.0},
            ),
            score=None,
        ),
    ]


def ids(nodes: list[NodeWithScore]) -> list[str]:
    return [each.node.node_id for each in nodes]


def test_nodes_come_in_the_new_order_with_their_scores(client: RerankClient) -> None:
    ranked = GatewayRerank(client=client).postprocess_nodes(found(), query_str=QUERY)
    assert ids(ranked) == ["b12", "bread", "blank"]
    assert ranked[0].get_score(raise_error=True) > ranked[1].get_score(raise_error=True)
    assert ranked[0].metadata["search_method"] == "rerank"
    assert ranked[0].metadata["fallback_triggered"] is False


def test_nobody_scored_means_no_score(client: RerankClient) -> None:
    ranked = GatewayRerank(client=client).postprocess_nodes(found(), query_str=QUERY)
    assert ranked[2].score is None
    assert ranked[2].metadata["search_method"] == "input_order"


def test_the_score_of_before_is_kept_beside(client: RerankClient) -> None:
    ranked = GatewayRerank(client=client).postprocess_nodes(found(), query_str=QUERY)
    before = [each.metadata.get("retrieval_score") for each in ranked]
    assert before == [None, 0.9, None]


async def test_coroutines_get_the_same(
    client: RerankClient, async_client: AsyncRerankClient
) -> None:
    processor = GatewayRerank(client=client, async_client=async_client)
    ranked = await processor.apostprocess_nodes(found(), query_str=QUERY)
    assert ranked == processor.postprocess_nodes(found(), query_str=QUERY)


async def test_without_an_async_client_a_thread_does_it(client: RerankClient) -> None:
    processor = GatewayRerank(client=client)
    ranked = await processor.apostprocess_nodes(found(), query_str=QUERY)
    assert ids(ranked) == ["b12", "bread", "blank"]


def test_what_was_found_stays_as_it_is(client: RerankClient) -> None:
    nodes = found()
    GatewayRerank(client=client).postprocess_nodes(nodes, query_str=QUERY)
    assert [each.node for each in nodes] == [each.node for each in found()]
    assert nodes[0].score == 0.9


def test_a_model_is_shown_what_it_was_shown_before(client: RerankClient) -> None:
    ranked = GatewayRerank(client=client).postprocess_nodes(found(), query_str=QUERY)
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        text = ranked[1].node.get_content(metadata_mode=mode)
        assert text == "Bread is baked."


def test_the_metadata_that_is_embedded_is_judged(client: RerankClient) -> None:
    node = TextNode(text="Nothing.", metadata={"title": "vitamin b12"})
    nodes = [*found()[:1], NodeWithScore(node=node, score=None)]
    ranked = GatewayRerank(client=client).postprocess_nodes(nodes, query_str=QUERY)
    assert ranked[0].node.node_id == node.node_id


def test_a_fallback_keeps_the_order_and_shows(client: RerankClient) -> None:
    processor = GatewayRerank(client=client, route="locked")
    ranked = processor.postprocess_nodes(found(), query_str=QUERY)
    assert ids(ranked) == ["bread", "blank", "b12"]
    for each in ranked:
        assert each.score is None
        assert each.metadata["search_method"] == "input_order"
        assert each.metadata["fallback_triggered"] is True
        assert each.metadata["fallback_reason"] == "UNAUTHENTICATED"


def test_a_failure_can_be_an_error(client: RerankClient) -> None:
    processor = GatewayRerank(client=client, route="locked", raise_on_failure=True)
    with pytest.raises(FailedPrecondition):
        processor.postprocess_nodes(found(), query_str=QUERY)


def test_results_are_bounded_by_number_and_score(client: RerankClient) -> None:
    processor = GatewayRerank(client=client, top_n=1)
    assert len(processor.postprocess_nodes(found(), query_str=QUERY)) == 1
    processor = GatewayRerank(client=client, min_score=0.5)
    assert ids(processor.postprocess_nodes(found(), query_str=QUERY)) == ["b12"]


def test_nothing_found_asks_nobody() -> None:
    with RerankClient("localhost:1") as client:
        processor = GatewayRerank(client=client)
        assert processor.postprocess_nodes([], query_str=QUERY) == []


def test_a_query_and_a_client_are_needed(client: RerankClient) -> None:
    with pytest.raises(ValueError, match="needs a query"):
        GatewayRerank(client=client).postprocess_nodes(found())
    with pytest.raises(ValueError, match="needs a client"):
        GatewayRerank().postprocess_nodes(found(), QueryBundle(QUERY))


def test_settings_are_serialised_and_clients_are_not(client: RerankClient) -> None:
    written = GatewayRerank(client=client, top_n=3).to_dict()
    assert written["class_name"] == "GatewayRerank"
    assert written["top_n"] == 3
    assert "client" not in written


class Handler(BaseCallbackHandler):
    """Notes which events begin and end."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.seen: list[tuple[str, CBEventType]] = []

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,  # noqa: ARG002 - the framework's signature
        event_id: str = "",
        parent_id: str = "",  # noqa: ARG002 - the framework's signature
        **_: Any,
    ) -> str:
        self.seen.append(("start", event_type))
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,  # noqa: ARG002 - the framework's signature
        event_id: str = "",  # noqa: ARG002 - the framework's signature
        **_: Any,
    ) -> None:
        self.seen.append(("end", event_type))

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing."""

    def end_trace(
        self,
        trace_id: str | None = None,
        trace_map: dict[str, list[str]] | None = None,
    ) -> None:
        """Nothing."""


class Events(BaseEventHandler):
    """Keeps what the instrumentation tells."""

    seen: list[BaseEvent] = Field(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Events"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        self.seen.append(event)


def test_the_framework_is_told_of_it(client: RerankClient) -> None:
    handler, events = Handler(), Events()
    llama_index._dispatcher.add_event_handler(events)
    try:
        ranked = GatewayRerank(
            client=client, callback_manager=CallbackManager([handler])
        ).postprocess_nodes(found(), query_str=QUERY)
    finally:
        llama_index._dispatcher.event_handlers.remove(events)
    kind = CBEventType.RERANKING
    assert handler.seen == [("start", kind), ("end", kind)]
    start, end = events.seen
    assert isinstance(start, ReRankStartEvent)
    assert start.query == QUERY
    assert isinstance(end, ReRankEndEvent)
    assert end.nodes == ranked
