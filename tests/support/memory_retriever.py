"""A retriever without an engine: everything in a dict, and failures on demand."""

import asyncio
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import Stemmer  # type: ignore[import-not-found]  # no stubs
from numpy.typing import NDArray

from gateway.ranking.bm25 import bm25
from gateway.retrieval.errors import (
    CollectionExists,
    RetrieverError,
    UnknownCollection,
    VersionNotReached,
)
from gateway.retrieval.filter import Field, matches
from gateway.retrieval.layout import Layout
from gateway.retrieval.retriever import (
    Collection,
    Deleted,
    Document,
    Found,
    Hit,
    Leg,
    Page,
    Query,
    Scored,
    Shape,
)

Vector = NDArray[np.float32]

_STOP_WORDS = frozenset({"a", "an", "and", "for", "in", "is", "of", "on", "the", "to"})


@dataclass(slots=True)
class _Kept:
    layout: Layout
    documents: dict[str, Document] = field(default_factory=dict)
    version: int = 1


class MemoryRetriever:
    """Keeps collections as long as it lives.

    `failures` and `takes_s` say by the name of a method, or of a leg (`bm25`, `vector`),
    what it raises and how long it takes; `began` and `done` name the calls.
    """

    def __init__(self) -> None:
        self.failures: dict[str, RetrieverError] = {}
        self.takes_s: dict[str, float] = {}
        self.began: list[str] = []
        self.done: list[str] = []
        self._kept: dict[str, _Kept] = {}

    async def open(self) -> None:
        await self._play("open")

    async def close(self) -> None:
        await self._play("close")

    async def create_collection(
        self, name: str, *, fields: Sequence[Field], dimension: int, embedder: str
    ) -> Collection:
        await self._play("create_collection")
        if name in self._kept:
            message = f"there is a collection {name!r} already"
            raise CollectionExists(message)
        layout = Layout(tuple(fields), dimension, embedder, datetime.now(UTC))
        self._kept[name] = _Kept(layout)
        return self._described(name)

    async def shape(self, name: str) -> Shape:
        await self._play("shape")
        return self._found(name).layout.shape

    async def collection(self, name: str) -> Collection:
        await self._play("collection")
        return self._described(name)

    async def collections(self) -> tuple[Collection, ...]:
        await self._play("collections")
        return tuple(self._described(name) for name in sorted(self._kept))

    async def delete_collection(self, name: str) -> None:
        await self._play("delete_collection")
        self._found(name)
        del self._kept[name]

    async def upsert(
        self, collection: str, documents: Sequence[Document], *, embedder: str
    ) -> int:
        await self._play("upsert")
        kept = self._found(collection)
        if documents:
            kept.layout.check_documents(documents, embedder)
            kept.documents |= {each.id: each for each in documents}
            kept.version += 1
        return kept.version

    async def delete(self, collection: str, ids: Sequence[str]) -> Deleted:
        await self._play("delete")
        kept = self._found(collection)
        there = kept.documents.keys() & set(ids)
        for each in there:
            del kept.documents[each]
        kept.version += bool(there)
        return Deleted(len(there), kept.version)

    async def get(
        self, collection: str, ids: Sequence[str], *, with_vectors: bool
    ) -> tuple[Document, ...]:
        await self._play("get")
        documents = self._found(collection).documents
        found = [documents[each] for each in ids if each in documents]
        if with_vectors:
            return tuple(found)
        return tuple(replace(each, vector=None) for each in found)

    async def page(
        self, collection: str, *, after: str, count: int, with_vectors: bool
    ) -> Page:
        await self._play("page")
        behind = sorted(
            each for each in self._found(collection).documents if each > after
        )
        found = await self.get(collection, behind[:count], with_vectors=with_vectors)
        return Page(found, behind[count - 1] if len(behind) > count else "")

    async def vectors(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, Vector]:
        await self._play("vectors")
        documents = self._found(collection).documents
        found = {each: documents[each].vector for each in ids if each in documents}
        return {name: each for name, each in found.items() if each is not None}

    async def search(self, collection: str, query: Query) -> Found:
        await self._play("search")
        kept = self._found(collection)
        kept.layout.check_filter(query.filter)
        if query.vector is not None:
            kept.layout.check_vector(query.vector, query.embedder)
        await self._reach(kept, query)
        by_words = by_vector = None
        if query.text.strip():
            by_words = self._leg("bm25", _word_scores(kept, query.text), kept, query)
        if query.vector is not None and kept.layout.dimension:
            cosines = _cosines(kept.documents.values(), query.vector)
            by_vector = self._leg("vector", cosines, kept, query)
        legs = [each for each in (by_words, by_vector) if each is not None]
        found = list(await asyncio.gather(*legs))
        return Found(
            bm25=found.pop(0) if by_words is not None else None,
            vector=found.pop() if by_vector is not None else None,
            version=kept.version,
        )

    async def scores(
        self, collection: str, ids: Sequence[str], *, text: str, vector: Vector | None
    ) -> Mapping[str, Scored]:
        await self._play("scores")
        kept = self._found(collection)
        words = _word_scores(kept, text)
        asked = vector if kept.layout.dimension else None
        cosines = {} if asked is None else _cosines(kept.documents.values(), asked)
        return {
            each: Scored(words.get(each, 0.0), cosines.get(each))
            for each in ids
            if each in kept.documents
        }

    async def _play(self, name: str) -> None:
        self.began.append(name)
        if seconds := self.takes_s.get(name):
            await asyncio.sleep(seconds)
        if failure := self.failures.get(name):
            raise failure
        self.done.append(name)

    async def _leg(
        self, name: str, scores: Mapping[str, float], kept: _Kept, query: Query
    ) -> Leg:
        try:
            await self._play(name)
        except RetrieverError as error:
            return Leg(failure=error)
        hits = [
            Hit(each, score)
            for each, score in scores.items()
            if query.filter is None
            or matches(query.filter, kept.documents[each].values)
        ]
        hits.sort(key=lambda hit: (-hit.score, hit.id))
        return Leg(tuple(hits[: query.candidates]))

    async def _reach(self, kept: _Kept, query: Query) -> None:
        now = asyncio.get_running_loop().time
        while kept.version < query.min_version:
            if now() >= query.deadline:
                message = f"version {query.min_version} is not there yet"
                raise VersionNotReached(message, version=kept.version)
            await asyncio.sleep(0.02)

    def _found(self, name: str) -> _Kept:
        if name not in self._kept:
            message = f"there is no collection {name[:64]!r}"
            raise UnknownCollection(message)
        return self._kept[name]

    def _described(self, name: str) -> Collection:
        kept = self._found(name)
        return Collection(
            name=name,
            fields=kept.layout.fields,
            dimension=kept.layout.dimension,
            embedder=kept.layout.embedder,
            document_count=len(kept.documents),
            version=kept.version,
            created=kept.layout.created,
        )


def _word_scores(kept: _Kept, text: str) -> dict[str, float]:
    """Score what has a word of the text."""
    counted = [_terms(f"{each.title} {each.text}") for each in kept.documents.values()]
    scored = zip(kept.documents, bm25(_terms(text), counted), strict=True)
    return {name: score for name, score in scored if score > 0.0}


def _cosines(documents: Iterable[Document], asked: Vector) -> dict[str, float]:
    return {
        each.id: float(
            each.vector
            @ asked
            / (np.linalg.norm(each.vector) * np.linalg.norm(asked) or 1.0)
        )
        for each in documents
        if each.vector is not None
    }


def _terms(text: str) -> Counter[str]:
    """Count words without accents, in their forms, as the embedded engine does."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(each for each in folded if not unicodedata.combining(each))
    words = [each for each in re.findall(r"\w+", plain) if each not in _STOP_WORDS]
    return Counter(Stemmer.Stemmer("english").stemWords(words))
