"""Store documents, and search them: an answer at once, and a better one after it.

    python examples/search.py [ADDRESS]

Makes a collection `example` and removes it at the end.
"""

import asyncio
import sys
from contextlib import aclosing

from rerank_client import AsyncRerankClient, RerankError, fallback_reason, fell_back
from rerank_client.filters import between
from rerank_client.types import FieldType, SearchResponse

COLLECTION = "example"
DOCUMENTS = [
    {
        "id": "soup",
        "text": "The cafeteria serves vegetable soup on Mondays.",
        "metadata": {"year": 2026},
    },
    {
        "id": "old",
        "text": "Restoring a backup: insert the tape.",
        "metadata": {"year": 1996},
    },
    {
        "id": "disk",
        "text": "Replace a failed disk, then restore its backup.",
        "metadata": {"year": 2024},
    },
    {
        "id": "backup",
        "text": "To restore a backup, stop the database, copy it, replay the log.",
        "metadata": {"year": 2025},
    },
]


async def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "localhost:50051"
    async with AsyncRerankClient(address) as client:
        try:
            await client.create_collection(
                COLLECTION, fields={"year": FieldType.FIELD_TYPE_INT64}
            )
            try:
                await search(client, version=await store(client))
            finally:
                await client.delete_collection(COLLECTION)
        except RerankError as error:
            sys.exit(str(error))


async def store(client: AsyncRerankClient) -> int:
    """Store the documents; gives the version of the collection that has them."""
    version = 0
    async with aclosing(
        client.import_documents(DOCUMENTS, collection=COLLECTION)
    ) as batches:
        async for batch in batches:
            print(f"{batch.accepted_count} stored")
            for each in batch.rejected:
                print(f"{each.id} rejected: {each.message}")
            version = batch.version
    return version


async def search(client: AsyncRerankClient, *, version: int) -> None:
    """Show both answers to a query."""
    answers = client.search_progressive(
        "how do I restore a backup?",
        collection=COLLECTION,
        filter=between("year", gte=2000),
        min_version=version,
        timeout_s=2.0,
    )
    # However this block is left, the search ends at the gateway too.
    async with aclosing(answers):
        async for answer in answers:
            print("in the end" if answer.final else "at once")
            show(answer.search_response)


def show(answer: SearchResponse) -> None:
    if fell_back(answer):
        print(f"  not reranked, {fallback_reason(answer)}: {answer.message}")
    for result in answer.results:
        print(f"  {result.rank}  {result.search_method:16}  {result.document.text}")


if __name__ == "__main__":
    asyncio.run(main())
