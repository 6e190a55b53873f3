"""Answers that break their contract: each has been seen in public, and none may pass."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.backends.dialects import DIALECTS
from gateway.backends.errors import Malformed
from gateway.ranking.normalize import Scale
from tests.support.quillon import registered
from tests.support.vendors import asking_for, over, says

SECRET = "the secret text of a document"

Shape = tuple[str, Callable[[list[Any]], Any], str]

INDEXED: dict[str, Shape] = {
    "cohere-v1": ("cohere-v1", lambda items: {"results": items}, "relevance_score"),
    "cohere-v2": ("cohere-v2", lambda items: {"results": items}, "relevance_score"),
    "infinity": ("infinity", lambda items: {"results": items}, "relevance_score"),
    "jina": ("jina", lambda items: {"results": items}, "relevance_score"),
    "llamacpp": ("llamacpp", lambda items: {"results": items}, "relevance_score"),
    "nim": ("nim", lambda items: {"rankings": items}, "logit"),
    "pinecone": ("pinecone", lambda items: {"data": items}, "score"),
    "quillon": ("quillon", lambda items: {"verdicts": items}, "likelihood"),
    "simple-results": ("simple", lambda items: {"results": items}, "relevance_score"),
    "simple-rankings": ("simple", lambda items: {"rankings": items}, "score"),
    "tei": ("tei", lambda items: items, "score"),
    "vllm": ("vllm", lambda items: {"results": items}, "relevance_score"),
    "voyage": ("voyage", lambda items: {"data": items}, "relevance_score"),
}

EVERY_SHAPE = pytest.mark.parametrize("shape", INDEXED.values(), ids=INDEXED)
EVERY_DIALECT = pytest.mark.parametrize("dialect", [*DIALECTS, "quillon"])


@pytest.fixture(autouse=True)
def _with_the_invented_dialect() -> Iterator[None]:
    with registered():
        yield


def test_every_dialect_is_put_through_this() -> None:
    assert {dialect for dialect, _, _ in INDEXED.values()} == set(DIALECTS)


async def refused(body: bytes | str | object, dialect: str, count: int = 2) -> str:
    scorer = over(says(body), dialect, model="m", scale=Scale.PROBABILITY)
    with pytest.raises(Malformed) as raised:
        await scorer.score(asking_for(count))
    assert not raised.value.transient
    assert raised.value.blames_backend
    assert SECRET not in str(raised.value)
    return str(raised.value)


@EVERY_DIALECT
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "an empty body"),
        (b" \n", "an empty body"),
        (b"null", "is missing or null"),
        (b"true", "is a boolean"),
        (b"5", "is an integer"),
        (b"0.5", "is a number"),
        (b'"ok"', "is a string"),
        (b"<html><body>502 Bad Gateway</body></html>", "HTML"),
        (b" <!doctype html>", "HTML"),
        (b"Bad Gateway", "a body that is not JSON"),
        (b'{"results": [{"index": 0, "relevance_sc', "a body that is not JSON"),
        (b'{"scores": [NaN, 0.5]}', "a body that is not JSON"),
        (b'{"scores": [Infinity, 0.5]}', "a body that is not JSON"),
        (b'{"scores": [1e999, 0.5]}', "a body that is not JSON"),
        (b'{"scores": [0.1, 0.5]} {"more": 1}', "a body that is not JSON"),
        (b'{"scores": [0.1, 0.5], "model": "\xff"}', "a body that is not JSON"),
        (b'\xef\xbb\xbf{"scores": [0.1, 0.5]}', "a body that is not JSON"),
        (b"[" * 5000 + b"]" * 5000, "a body that is not JSON"),
    ],
)
async def test_a_body_that_is_no_answer_at_all(
    dialect: str, body: bytes, words: str
) -> None:
    assert words in await refused(body, dialect)


@EVERY_DIALECT
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"error": {"code": 501, "message": SECRET, "type": "not_supported_error"}},
        {"error": SECRET, "error_type": "Validation"},
        {"detail": SECRET},
        {"message": SECRET},
        {"results": None, "scores": None, "rankings": None},
        {"results": {}},
        {"results": []},
        {"rankings": []},
        {"scores": []},
        {"results": [[0, 0.5], [1, 0.4]]},
        {"results": [0.5, 0.4]},
        {"results": [None, None]},
        {"outputs": [{"index": 0, "score": 0.5}, {"index": 1, "score": 0.4}]},
        [],
        [None, None],
        [0.5, 0.4],
        [SECRET, SECRET],
    ],
)
async def test_an_answer_without_a_list_of_results(dialect: str, body: object) -> None:
    await refused(body, dialect)


def _items(key: str, *entries: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"index": index, key: score} for index, score in entries]


@EVERY_SHAPE
@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([(0, 0.5)], "1 results for 2 documents"),
        ([(0, 0.5), (1, 0.4), (2, 0.3)], "3 results for 2 documents"),
        ([(0, 0.5), (1, 0.4), (0, 0.3)], "3 results for 2 documents"),
        ([(0, 0.5), (0, 0.4)], "index 0 is there twice"),
        ([(0, 0.5), (2, 0.4)], "an index is outside 0 to 1"),
        ([(0, 0.5), (-1, 0.4)], "an index is outside 0 to 1"),
        ([(0, 0.5), (10**30, 0.4)], "an index is a number, not an integer"),
        ([(0, 0.5), (True, 0.4)], "an index is a boolean, not an integer"),
        ([(0, 0.5), (1.0, 0.4)], "an index is a number, not an integer"),
        ([(0, 0.5), ("1", 0.4)], "an index is a string, not an integer"),
        ([(0, 0.5), (None, 0.4)], "an index is missing or null, not an integer"),
        ([(0, 0.5), ([1], 0.4)], "an index is an array, not an integer"),
        ([(0, 0.5), (1, None)], "of 1 is missing or null, not a number"),
        ([(0, 0.5), (1, True)], "of 1 is a boolean, not a number"),
        ([(0, 0.5), (1, "0.4")], "of 1 is a string, not a number"),
        ([(0, 0.5), (1, [0.4])], "of 1 is an array, not a number"),
        ([(0, 0.5), (1, {"value": 0.4})], "of 1 is an object, not a number"),
    ],
)
async def test_an_entry_that_cannot_be_paired(
    shape: Shape, entries: list[tuple[Any, Any]], words: str
) -> None:
    dialect, body, key = shape
    assert words in await refused(body(_items(key, *entries)), dialect)


@EVERY_SHAPE
async def test_an_entry_without_an_index_or_without_a_score(shape: Shape) -> None:
    dialect, body, key = shape
    good = {"index": 0, key: 0.5}
    assert "an index is missing" in await refused(body([good, {key: 0.4}]), dialect)
    words = await refused(body([good, {"index": 1}]), dialect)
    assert f"{key} of 1 is missing" in words
    words = await refused(body([good, {"index": 1, "similarity": 0.4}]), dialect)
    assert f"{key} of 1 is missing" in words
    assert "a result is an array" in await refused(body([good, [1, 0.4]]), dialect)


@EVERY_SHAPE
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_a_score_that_is_no_finite_number(shape: Shape, literal: str) -> None:
    dialect, body, key = shape
    text = json.dumps(body(_items(key, (0, 0.5), (1, "@")))).replace('"@"', literal)
    assert "a body that is not JSON" in await refused(text, dialect)


@pytest.mark.parametrize(
    "name", ["cohere-v1", "cohere-v2", "llamacpp", "quillon", "simple-results"]
)
@pytest.mark.parametrize("score", [1.1, -0.1, 7.7418, -1e4])
async def test_a_score_that_its_scale_cannot_have(name: str, score: float) -> None:
    dialect, body, key = INDEXED[name]
    words = await refused(body(_items(key, (0, 0.5), (1, score))), dialect)
    assert "a score that is no probability: is its scale configured right?" in words


@EVERY_SHAPE
async def test_integers_are_numbers_and_a_rounding_error_is_none(shape: Shape) -> None:
    dialect, body, key = shape
    answer = body(_items(key, (1, 1), (0, 1.0000001)))
    scorer = over(says(answer), dialect, model="m", scale=Scale.PROBABILITY)
    assert (await scorer.score(asking_for(2))).raw == (1.0000001, 1.0)


@EVERY_SHAPE
async def test_whatever_else_an_answer_says_does_not_matter(shape: Shape) -> None:
    dialect, body, key = shape
    entries = [{"index": 0, key: 0.5, "document": None, "text": 5, "logits": [None]}]
    answer = body(entries)
    if isinstance(answer, dict):
        answer |= {
            "meta": None,
            "usage": "much",
            "model": None,
            "warnings": [1],
            "error": None,
        }
    scores = await over(says(answer), dialect, model="m").score(asking_for(1))
    assert scores.raw == (0.5,)
    assert scores.model == "m"
    assert scores.usage.tokens == 0


@pytest.mark.parametrize(
    "usage",
    [
        {"total_tokens": None},
        {"total_tokens": "181"},
        {"total_tokens": True},
        {"total_tokens": -1},
        {},
        [],
        None,
        5,
    ],
)
async def test_a_vendor_that_is_vague_about_its_cost_costs_nothing_known(
    usage: object,
) -> None:
    answer = {"results": _items("relevance_score", (0, 0.5)), "usage": usage}
    scores = await over(says(answer), "llamacpp").score(asking_for(1))
    assert scores.usage.tokens == 0
