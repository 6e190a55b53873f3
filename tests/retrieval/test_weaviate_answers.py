"""What is at the place of a Weaviate and is none, such as a proxy with a page of its own."""

import pytest

from gateway.backends.transport import Pool
from gateway.retrieval.errors import EngineFailed
from gateway.retrieval.weaviate.connecting import Node
from gateway.retrieval.weaviate.engine import WeaviateRetriever
from gateway.retrieval.weaviate.nodes import Nodes
from gateway.retrieval.weaviate.place import locate
from tests.e2e.vendor import Vendor, reply
from tests.retrieval.weaviates import CLUSTER

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize(
    "body",
    [
        b"<html>SECRET</html>",
        b'["SECRET"]',
        b"\xff",
        b"",
        # More than is read of an answer: it is not there.
        b'{"classes": []}'.ljust(17 * 2**20),
    ],
    ids=["page", "list", "no text", "nothing", "too long"],
)
async def test_what_is_no_answer_of_it_is_a_failure_of_the_engine(body: bytes) -> None:
    async with Vendor(reply(200, body)) as proxy:
        nodes = [Node(each) for each in locate([proxy.url], ())]
        engine = WeaviateRetriever(Nodes(nodes, Pool(), key=""), CLUSTER)
        try:
            for asked in (engine.collections, lambda: engine.shape("books")):
                with pytest.raises(EngineFailed) as raised:
                    await asked()
                assert "SECRET" not in str(raised.value)
        finally:
            await engine.close()
