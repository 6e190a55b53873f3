"""The other distributed engine keeps to the contract, too: a real server of Weaviate."""

from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.retrieval.retriever import Retriever
from tests.retrieval.contract import RetrieverContract
from tests.retrieval.weaviates import reached
from tests.support.weaviate_server import Node, one_weaviate, some_prefix

pytestmark = pytest.mark.real_time


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with one_weaviate(tmp_path_factory.mktemp("weaviate")) as found:
        yield found


class TestWeaviate(RetrieverContract):
    """One node, whose collections no two tests share."""

    @pytest.fixture
    async def retriever(self, node: Node) -> AsyncIterator[Retriever]:
        async with reached([node], prefix=some_prefix()) as engine:
            yield engine
