"""What is fixed about a collection, as the definition of a class of Weaviate."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.retrieval.filter import Field, FieldType
from gateway.retrieval.layout import Layout
from gateway.retrieval.weaviate.values import NUMERIC

DENSE = "dense"
"""The vector of a document, by its name."""
ID = "key"
WORDS = "words"
"""The terms of a document, each as often as it occurs."""
ROLE = "role"
VERSION = "version"
"""What a mark has: it is none of the documents, and says how far its writer is."""
STORED = ("title", "text", "group_id", "metadata")

_KEY = "rerank_gateway"
_FORMAT = 1

# Lucene's defaults, which Weaviate has, too.
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75


@dataclass(frozen=True, slots=True)
class Place:
    """The properties in which a field lies."""

    type: FieldType
    exact: str
    """Its value as a text."""
    high: str
    low: str
    """The halves of a number, for ranges: as numbers they have an index for these."""


def places(fields: Sequence[Field]) -> dict[str, Place]:
    """Give the place of each field, by the field's name.

    Properties have numbers for names: Weaviate makes first letters small, and knows names
    that no property may have.
    """
    return {
        each.name: Place(each.type, f"f{place}", f"f{place}h", f"f{place}l")
        for place, each in enumerate(fields)
    }


def definition(
    layout: Layout, *, named: str, shards: int | None, copies: int | None
) -> dict[str, Any]:
    """Define the class of a collection.

    Args:
        layout: What is fixed about it.
        named: The class.
        shards: Its parts; None: as the cluster has it.
        copies: Of each part; None: likewise.

    """
    said = {
        "format": _FORMAT,
        "fields": [[each.name, each.type.value] for each in layout.fields],
        "dimension": layout.dimension,
        "embedder": layout.embedder,
        "created": layout.created.isoformat(),
    }
    found: dict[str, Any] = {
        "class": named,
        "description": json.dumps({_KEY: said}),
        "properties": [
            *(_text(name) for name in (ID, *STORED)),
            _text(WORDS, searched=True),
            _text(ROLE, filtered=True),
            _number(VERSION),
            *(each for one in layout.fields for each in _properties(layout, one)),
        ],
        "vectorConfig": {
            DENSE: {
                "vectorizer": {"none": {}},
                "vectorIndexType": "hnsw",
                "vectorIndexConfig": {
                    "distance": "cosine",
                    "skip": not layout.dimension,
                },
            }
        },
        "invertedIndexConfig": {
            "bm25": {"k1": _SATURATION, "b": _LENGTH_WEIGHT},
            # They are left out before they come here.
            "stopwords": {"preset": "none"},
        },
    }
    if shards is not None:
        found["shardingConfig"] = {"desiredCount": shards}
    # Who was away learns what it missed, deletions included.
    replication: dict[str, Any] = {
        "asyncEnabled": True,
        "deletionStrategy": "TimeBasedResolution",
    }
    if copies is not None:
        replication["factor"] = copies
    found["replicationConfig"] = replication
    return found


def layout_of(definition: Mapping[str, Any]) -> Layout | None:
    """Read it back; None: this is no collection of ours."""
    try:
        said = json.loads(definition["description"])[_KEY]
        if said["format"] != _FORMAT:
            return None
        return Layout(
            fields=tuple(Field(name, FieldType(kind)) for name, kind in said["fields"]),
            dimension=int(said["dimension"]),
            embedder=said["embedder"],
            created=datetime.fromisoformat(said["created"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _properties(layout: Layout, field: Field) -> Sequence[dict[str, Any]]:
    place = places(layout.fields)[field.name]
    exact = _text(place.exact, filtered=True)
    if field.type not in NUMERIC:
        return (exact,)
    return exact, _number(place.high, ranged=True), _number(place.low, ranged=True)


def _text(
    name: str, *, filtered: bool = False, searched: bool = False
) -> dict[str, Any]:
    return {
        "name": name,
        "dataType": ["text"],
        # Terms are cut at blanks alone, and nothing else at all.
        "tokenization": "whitespace" if searched else "field",
        "indexFilterable": filtered,
        "indexSearchable": searched,
    }


def _number(name: str, *, ranged: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "dataType": ["int"],
        "indexFilterable": False,
        "indexRangeFilters": ranged,
    }
