"""Cut what is stored into messages that a distributed engine takes."""

from collections.abc import Iterator, Sequence

from gateway.retrieval.retriever import Document

# Of one message: Qdrant takes 32 MiB, Weaviate 100, and no event loop should wait for so
# many.
_MOST_BYTES = 4 * 2**20
_MOST_DOCUMENTS = 256
_BYTES_PER_NUMBER = 4


def parts(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    """Cut a batch where a message would become too large."""
    start, size = 0, 0
    for place, each in enumerate(documents):
        more = len(each.title) + len(each.text) + len(each.metadata)
        if each.vector is not None:
            more += _BYTES_PER_NUMBER * len(each.vector)
        if place > start and (
            size + more > _MOST_BYTES or place - start == _MOST_DOCUMENTS
        ):
            yield documents[start:place]
            start, size = place, 0
        size += more
    yield documents[start:]
