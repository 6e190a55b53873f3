"""What the memories of a whole stack save, and that nobody can tell from the answers."""

from random import Random

from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer
from gateway.compose import NO_MEMORIES, Leaf, Surroundings, stack
from gateway.compose.memories import Memories, Tier
from gateway.ranking.normalize import Scale
from gateway.settings import BackendSettings
from tests.support.caches import SECRET, process_memory
from tests.support.scorers import FakeScorer, asking

_DOCUMENTS = 100
_NEW = 20
_REQUESTS = 50


def _stacked(leaf: Scorer, memories: Memories) -> Scorer:
    return stack(
        Leaf(
            scorers=(leaf,),
            facts=Facts(max_documents=32, model="m", fixed=True),
            scale=Scale.LOGIT,
            listwise=False,
            in_flight=8,
            top_k=_DOCUMENTS,
            top_k_found=_DOCUMENTS,
            max_tokens=512,
            cuts_pairs=False,
        ),
        name="fake",
        settings=BackendSettings(dialect="simple"),
        around=Surroundings(memories, Random(7), lambda _: None),
    )


def _order(raw: tuple[float | None, ...]) -> list[int]:
    return sorted(range(len(raw)), key=lambda place: -(raw[place] or 0.0))


async def test_a_replay_of_overlapping_requests_asks_for_a_quarter_at_most() -> None:
    chance = Random(11)
    memories = Memories(
        tiers=(Tier(process_memory(), "shared"), Tier(process_memory(), "process")),
        ttl_s=300.0,
        secret=SECRET,
    )
    uncached, cached = FakeScorer(), FakeScorer()
    without = _stacked(uncached, NO_MEMORIES)
    remembering = _stacked(cached, memories)
    texts = [repr(chance.gauss()) for _ in range(_DOCUMENTS)]
    for _ in range(_REQUESTS):
        expected = await without.score(asking(*texts))
        scores = await remembering.score(asking(*texts))
        assert scores.raw == expected.raw
        assert _order(scores.raw) == _order(expected.raw)
        kept = chance.sample(texts, _DOCUMENTS - _NEW)
        texts = kept + [repr(chance.gauss()) for _ in range(_NEW)]
        chance.shuffle(texts)
    assert sum(uncached.sizes) == _REQUESTS * _DOCUMENTS
    assert sum(cached.sizes) <= sum(uncached.sizes) / 4
