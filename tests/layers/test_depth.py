"""Put only the first documents to a model: the rest keeps its place below them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.backends.errors import Unavailable
from gateway.backends.facts import Facts
from gateway.backends.scorer import Evidence, Scorer
from gateway.layers.depth import Depth
from tests.support.scorers import FakeScorer, asking, fails


def cut(
    scorer: Scorer,
    *,
    default: int = 100,
    default_found: int = 100,
    most: Facts | None = None,
) -> Depth:
    return Depth(scorer, default=default, default_found=default_found, most=most)


async def test_what_a_collection_tells_about_may_go_deeper() -> None:
    async def lookup(ranks: Sequence[int]) -> Sequence[Evidence | None]:
        return [None for _ in ranks]

    backend = FakeScorer()
    cutting = cut(backend, default=1, default_found=3)
    await cutting.score(asking("1", "2", "3", "4"))
    found = replace(asking("1", "2", "3", "4"), lookup=lookup)
    await cutting.score(found)
    await cutting.score(replace(found, depth=2))
    assert backend.sizes == [1, 3, 2]


async def test_only_the_first_documents_are_asked_about() -> None:
    backend = FakeScorer()
    scores = await cut(backend).score(asking("1", "2", "3", "4", depth=2))
    assert backend.sizes == [2]
    assert scores.raw == (1.0, 2.0, None, None)


async def test_what_was_not_asked_is_not_missing() -> None:
    scores = await cut(FakeScorer()).score(asking("1", "2", "3", depth=2))
    assert scores.beyond == 1
    assert scores.complete


async def test_a_request_that_does_not_say_goes_to_the_default_depth() -> None:
    backend = FakeScorer()
    scores = await cut(backend, default=3).score(asking("1", "2", "3", "4"))
    assert scores.raw == (1.0, 2.0, 3.0, None)


async def test_a_request_may_go_deeper_than_the_default() -> None:
    backend = FakeScorer()
    await cut(backend, default=1).score(asking("1", "2", "3", depth=3))
    assert backend.sizes == [3]


async def test_a_depth_beyond_the_last_document_asks_about_all() -> None:
    scores = await cut(FakeScorer()).score(asking("1", "2", depth=99))
    assert scores.raw == (1.0, 2.0)
    assert scores.beyond == 0


@pytest.mark.parametrize("depth", [None, 4])
async def test_a_listwise_model_is_asked_about_no_more_than_it_takes_together(
    depth: int | None,
) -> None:
    backend = FakeScorer()
    most = Facts(max_documents=2, model="", fixed=True)
    scores = await cut(backend, most=most).score(asking("1", "2", "3", depth=depth))
    assert backend.sizes == [2]
    assert scores.raw == (1.0, 2.0, None)


async def test_what_a_listwise_backend_tells_later_counts_from_then_on() -> None:
    backend = FakeScorer()
    most = Facts(max_documents=1, model="", fixed=False)
    scorer = cut(backend, most=most)
    await scorer.score(asking("1", "2", "3"))
    most.learn_max_documents(3)
    await scorer.score(asking("1", "2", "3"))
    assert backend.sizes == [1, 3]


async def test_failures_pass_as_they_are() -> None:
    with pytest.raises(Unavailable):
        await cut(FakeScorer(fails(lambda: Unavailable("tei", "refused")))).score(
            asking("1", "2", depth=1)
        )
