"""Answers that break their contract: none may become a vector."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.backends.errors import Malformed
from gateway.retrieval.embedders import DIALECTS
from tests.retrieval.embedders.played import ask, over, texts_for
from tests.support.vendors import says

SECRET = "the secret text of a document"

Shape = Callable[[list[Any]], Any]


def _indexed(vectors: list[Any]) -> Any:
    return {
        "data": [
            {"index": place, "embedding": vector}
            for place, vector in enumerate(vectors)
        ]
    }


SHAPES: dict[str, Shape] = {
    "cohere": lambda vectors: {"embeddings": {"float": vectors}},
    "openai": _indexed,
    "tei": lambda vectors: vectors,
}

EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)


def test_every_dialect_is_put_through_this() -> None:
    assert set(SHAPES) == set(DIALECTS)


async def refused(body: bytes | str | object, dialect: str, count: int = 2) -> str:
    with pytest.raises(Malformed) as raised:
        await ask(over(says(body), dialect, model="m"), texts_for(count))
    assert not raised.value.transient
    assert raised.value.blames_backend
    assert SECRET not in str(raised.value)
    return str(raised.value)


@EVERY_DIALECT
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "an empty body"),
        (b"<html><body>502 Bad Gateway</body></html>", "HTML"),
        (b"Bad Gateway", "a body that is not JSON"),
        (b"[[0.1, 0.2], [0.3", "a body that is not JSON"),
        (b"[[0.1, 0.2], [0.3, 0.4]] [1]", "a body that is not JSON"),
        (b'{"model": "\xff"}', "a body that is not JSON"),
        (b"[" * 5000 + b"]" * 5000, "a body that is not JSON"),
    ],
)
async def test_a_body_that_is_not_json(dialect: str, body: bytes, said: str) -> None:
    assert said in await refused(body, dialect)


@EVERY_DIALECT
@pytest.mark.parametrize(
    "body",
    [
        None,
        True,
        5,
        0.5,
        "ok",
        {},
        [],
        [None, None],
        [0.5, 0.4],
        [SECRET, SECRET],
        {"error": SECRET},
        {"error": {"code": 501, "message": SECRET}},
        {"detail": SECRET},
        {"data": None, "embeddings": None},
        {"data": {}, "embeddings": {}},
        {"data": [], "embeddings": []},
        {"data": [[0.1], [0.2]], "embeddings": [[0.1], [0.2]]},
        {"data": [None, None], "embeddings": {"float": None}},
        {"data": [{"index": 0}, {"index": 1}], "embeddings": {"int8": [[1], [2]]}},
        {"data": [{"embedding": [1]}] * 2, "embeddings": {"float": {"0": [1]}}},
    ],
    ids=str,
)
async def test_an_answer_without_a_list_of_vectors(dialect: str, body: object) -> None:
    await refused(json.dumps(body), dialect)


@EVERY_DIALECT
@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        ([[0.1, 0.2]], "1 vectors for 2 texts"),
        ([[0.1, 0.2]] * 3, "3 vectors for 2 texts"),
        ([[0.1, 0.2], []], "vector 1 is empty"),
        ([[0.1, 0.2], None], "vector 1 is missing or null, not an array"),
        ([[0.1, 0.2], 0.5], "vector 1 is a number, not an array"),
        ([[0.1, 0.2], "AAAA"], "vector 1 is a string, not an array"),
        ([[0.1, 0.2], {"0": 1}], "vector 1 is an object, not an array"),
        ([[0.1, 0.2], [0.1, None]], "a number of vector 1 is missing or null"),
        ([[0.1, 0.2], [0.1, True]], "a number of vector 1 is a boolean"),
        ([[0.1, 0.2], [0.1, "0.4"]], "a number of vector 1 is a string"),
        ([[[0.1, 0.2]], [[0.1, 0.2]]], "a number of vector 0 is an array"),
        ([[0.1, 0.2], [0.1]], "vector 1 has 1 numbers, vector 0 has 2"),
        ([[0.1, 0.2], [0, 0.0]], "vector 1 is all zeros"),
        ([[0.0, -0.0], [0.1, 0.2]], "vector 0 is all zeros"),
    ],
)
async def test_a_vector_that_is_none(
    dialect: str, vectors: list[Any], words: str
) -> None:
    assert words in await refused(SHAPES[dialect](vectors), dialect)


@EVERY_DIALECT
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_a_number_that_is_not_finite(dialect: str, literal: str) -> None:
    text = json.dumps(SHAPES[dialect]([[0.1, 0.2], [0.1, "@"]]))
    body = text.replace('"@"', literal)
    assert "a body that is not JSON" in await refused(body, dialect)


@pytest.mark.parametrize(
    ("indices", "words"),
    [
        ([0, 0], "index 0 is there twice"),
        ([0, 2], "an index is outside 0 to 1"),
        ([0, -1], "an index is outside 0 to 1"),
        ([0, True], "an index is not an integer"),
        ([0, 1.0], "an index is not an integer"),
        ([0, "1"], "an index is not an integer"),
        ([0, None], "an index is not an integer"),
        ([0, 10**30], "an index is not an integer"),
    ],
)
async def test_an_index_that_pairs_nothing(indices: list[Any], words: str) -> None:
    data = [{"index": index, "embedding": [0.1, 0.2]} for index in indices]
    assert words in await refused({"data": data}, "openai")


@EVERY_DIALECT
async def test_whatever_else_an_answer_says_does_not_matter(dialect: str) -> None:
    body = SHAPES[dialect]([[3, 4.0]])
    if isinstance(body, dict):
        body |= {"meta": None, "usage": "much", "model": None, "error": None}
    found = await ask(over(says(body), dialect, model="m"), ["a"])
    assert found.vectors.tolist() == [pytest.approx([0.6, 0.8])]
    assert found.model == "m"
    assert found.usage.tokens == 0
