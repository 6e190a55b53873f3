"""The order to be improved: what a plain BM25 search finds in the whole collection."""

import bm25s
import Stemmer  # type: ignore[import-not-found]  # no stubs

from benchmarks.relevance.collection import Collection


def bm25_first(collection: Collection, *, count: int) -> dict[str, list[str]]:
    """Find the best documents of every query, best first, at most `count` of them.

    Lucene's variant, k1 = 1.2, b = 0.75, English stop words and Snowball's stemmer.
    Documents that share no term with the query are not found.
    """
    stemmer = Stemmer.Stemmer("english")
    names = list(collection.documents)
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    index.index(
        bm25s.tokenize(
            list(collection.documents.values()),
            stopwords="en",
            stemmer=stemmer,
            show_progress=False,
        ),
        show_progress=False,
    )
    places, scores = index.retrieve(
        bm25s.tokenize(
            list(collection.queries.values()),
            stopwords="en",
            stemmer=stemmer,
            show_progress=False,
        ),
        k=min(count, len(names)),
        show_progress=False,
    )
    return {
        query: [
            names[place]
            for place, score in zip(found, scored, strict=True)
            if score > 0
        ]
        for query, found, scored in zip(collection.queries, places, scores, strict=True)
    }
