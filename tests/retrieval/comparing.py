"""Hold an engine's filters to what they mean."""

from gateway.retrieval.filter import Filter, Value, matches
from gateway.retrieval.retriever import Document, Retriever
from tests.retrieval.contract import ask, ids, pointing
from tests.retrieval.filters import FIELDS


async def compare(
    engine: Retriever, stored: list[dict[str, Value]], asked: list[Filter]
) -> None:
    await engine.create_collection(
        "books", fields=FIELDS, dimension=4, embedder="model-a"
    )
    named = {f"d{place}": values for place, values in enumerate(stored)}
    await engine.upsert(
        "books",
        [
            Document(name, "", "x", pointing("a"), values=values)
            for name, values in named.items()
        ],
        embedder="",
    )
    back = await engine.get("books", list(named), with_vectors=False)
    assert {each.id: each.values for each in back} == named
    for each in asked:
        found = await ask(engine, "x", to="a", where=each, candidates=99)
        wanted = sorted(name for name in named if matches(each, named[name]))
        assert sorted(ids(found.bm25)) == wanted, each
        assert sorted(ids(found.vector)) == wanted, each
    await engine.delete_collection("books")
