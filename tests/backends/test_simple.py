"""Home-made rerankers: the three shapes that people write."""

import pytest

from gateway.backends.errors import Malformed
from gateway.ranking.normalize import Scale
from tests.support.scorers import asking
from tests.support.vendors import asking_for, over, says


async def test_it_is_asked_as_most_of_them_expect_it() -> None:
    vendor = says({"scores": [0.1, 0.2]})
    await over(vendor, "simple", model="m").score(asking("a", "b", query="why"))
    assert str(vendor.requests[0].url) == "http://vendor.test/rerank"
    assert vendor.sent == {
        "model": "m",
        "query": "why",
        "documents": ["a", "b"],
        "top_n": 2,
    }


async def test_without_a_model_none_is_named() -> None:
    vendor = says({"scores": [0.1]})
    await over(vendor, "simple").score(asking("a"))
    assert set(vendor.sent) == {"query", "documents", "top_n"}


@pytest.mark.parametrize(
    ("answer", "raw"),
    [
        # orneryd/NornicDB:pkg/search/rerank_test.go and its documentation
        (
            (
                '{"results":[{"index":2,"relevance_score":0.95},'
                '{"index":0,"relevance_score":0.80},{"index":1,"relevance_score":0.60}]}'
            ),
            (0.80, 0.60, 0.95),
        ),
        ('{"scores":[0.95,0.71,0.82]}', (0.95, 0.71, 0.82)),
        (
            (
                '{"rankings":[{"index":1,"score":0.82},{"index":0,"score":0.95},'
                '{"index":2,"score":1}]}'
            ),
            (0.95, 0.82, 1.0),
        ),
    ],
)
async def test_each_of_the_three_shapes_is_read(
    answer: str, raw: tuple[float, ...]
) -> None:
    vendor = says(answer)
    scores = await over(vendor, "simple", scale=Scale.PROBABILITY).score(asking_for(3))
    assert scores.raw == raw


async def test_a_model_is_reported_where_it_is_named() -> None:
    vendor = says({"scores": [1.0], "model": "mine"})
    assert (await over(vendor, "simple").score(asking_for(1))).model == "mine"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({}, "0 of the members results, rankings, scores"),
        (
            {"scores": [1.0, 2.0, 3.0], "results": []},
            "2 of the members results, rankings, scores",
        ),
        ({"scores": [1.0, 2.0]}, "2 scores for 3 documents"),
        ({"scores": [1.0, 2.0, 3.0, 4.0]}, "4 scores for 3 documents"),
        ({"scores": [[1.0, 2.0, 3.0]]}, "1 scores for 3 documents"),
        ({"scores": [[1.0], [2.0], [3.0]]}, "a score is an array"),
        ({"scores": [1.0, None, 3.0]}, "a score is missing or null"),
        ({"scores": [1.0, "2.0", 3.0]}, "a score is a string"),
        ({"scores": {"0": 1.0}}, "the list of scores is an object"),
        # The sample in NornicDB's documentation leaves one out
        (
            {"rankings": [{"index": 0, "score": 0.95}, {"index": 2, "score": 0.82}]},
            "2 results for 3 documents",
        ),
        # NVIDIA's NIM has the same outer name
        (
            {"rankings": [{"index": index, "logit": 1.0} for index in range(3)]},
            "score of 0 is missing",
        ),
    ],
)
async def test_any_other_shape_is_refused(answer: object, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        await over(says(answer), "simple").score(asking_for(3))
