"""The retriever that tests use in place of an engine keeps to the same contract."""

import pytest

from gateway.retrieval.retriever import Retriever
from tests.retrieval.contract import RetrieverContract
from tests.support.memory_retriever import MemoryRetriever


class TestMemory(RetrieverContract):
    @pytest.fixture
    def retriever(self) -> Retriever:
        return MemoryRetriever()
