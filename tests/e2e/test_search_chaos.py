"""Searches go on, each labelled with what it is, while what they need dies and returns."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.ranking.method import SEARCH_METHODS
from rerank.v1 import document_pb2, execution_pb2, search_service_pb2
from tests.e2e.running import running
from tests.e2e.vendor import hang
from tests.support.mortal import MODEL, Embedder, Mortal, Reranker
from tests.support.wire import Caller, calling, ids

pytestmark = pytest.mark.real_time

SEARCHES = 200
AT_ONCE = 4
WITHIN_S = 1.0

TEXTS = {
    "bread": "bread is baked from flour in an oven",
    "cake": "a cake is baked from flour and sugar",
    "oven": "an oven is hot",
    "soup": "soup is cooked in a pot",
    "rye": "bread from rye is dark bread",
    "fish": "fish is smoked or fried",
}


@dataclass(frozen=True, slots=True)
class Kitchen:
    """A gateway with a small collection, and the two that it depends on."""

    caller: Caller
    embedder: Embedder
    reranker: Reranker

    async def find(
        self, query: str, *, within_s: float = WITHIN_S, **more: object
    ) -> search_service_pb2.SearchResponse:
        asked = search_service_pb2.SearchRequest(query=query, **more)  # type: ignore[arg-type]  # as the test says
        return await self.caller.find(asked, within_s=within_s)

    @property
    def state(self) -> tuple[bool, bool]:
        return self.embedder.alive, self.reranker.alive

    async def change(self, *, embedder: bool, reranker: bool) -> None:
        """Kill and revive until things are so."""
        await _let(self.embedder, live=embedder)
        await _let(self.reranker, live=reranker)


async def _let(vendor: Mortal, *, live: bool) -> None:
    if vendor.alive and not live:
        vendor.kill()
    elif live and not vendor.alive:
        await vendor.revive()


@asynccontextmanager
async def cooking(folder: Path) -> AsyncIterator[Kitchen]:
    async with Embedder() as embedder, Reranker() as reranker:
        settings = {
            "retrieval": {"engine": "embedded", "path": str(folder)},
            "embedder": {"dialect": "openai", "url": embedder.url, "model": MODEL},
            "backends": {"tei": {"dialect": "tei", "url": reranker.url}},
            "routes": {"default": {"backends": ["tei"]}},
        }
        async with running(settings, emit=lambda _: None) as gateway:
            caller = calling(gateway.channel)
            await caller.create("default")
            stored = [document_pb2.Document(id=k, text=v) for k, v in TEXTS.items()]
            answer = await caller.load("default", stored)
            assert answer.accepted_count == len(TEXTS)
            # The first search opens the indexes, which is not what is timed here.
            await caller.find(
                search_service_pb2.SearchRequest(
                    query="warm bread", min_version=answer.version
                )
            )
            yield Kitchen(caller, embedder, reranker)


def label(*, embedder: bool, reranker: bool) -> str:
    return ("rrf_hybrid" if embedder else "fulltext") + "+rerank" * reranker


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the load."""

    query: str
    before: int
    after: int
    """How often the world had changed when it was asked for, and when it came."""
    took_s: float
    response: search_service_pb2.SearchResponse

    @property
    def was_late(self) -> bool:
        """Whether the answer says that a stage ran out of time."""
        late = {
            execution_pb2.FALLBACK_REASON_DEADLINE,
            execution_pb2.FALLBACK_REASON_TIMEOUT,
        }
        return any(each.reason in late for each in self.response.execution.stages)


Change = Callable[[], Awaitable[None]]


async def load(kitchen: Kitchen, changes: Mapping[int, Change]) -> list[Answer]:
    """Search all the time, and change the world while other searches are on their way.

    Args:
        kitchen: What is asked.
        changes: Before which search what happens.

    """
    numbers = iter(range(SEARCHES))
    answers: list[Answer] = []
    changed = 0
    now = asyncio.get_running_loop().time

    async def work() -> None:
        nonlocal changed
        for number in numbers:
            if number in changes:
                # Before and after it, or a search in between could not be judged.
                changed += 1
                await changes[number]()
                changed += 1
            # Each query is new: vectors of old ones are remembered.
            query, before, began = f"baked bread number{number}", changed, now()
            response = await kitchen.find(query)
            answers.append(Answer(query, before, changed, now() - began, response))

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return answers


def check_truth(answer: Answer, kitchen: Kitchen) -> None:
    """Compare a label with what the vendors did for this query, and with its stages."""
    response = answer.response
    method = response.search_method
    assert method in SEARCH_METHODS
    base, *stages = method.split("+")
    reranked = stages == ["rerank"]
    assert base in {"rrf_hybrid", "fulltext"}
    assert reranked or not stages
    assert answer.query in kitchen.embedder.served or base == "fulltext"
    assert answer.query in kitchen.reranker.served or not reranked
    outcomes = {each.name: each.outcome for each in response.execution.stages}
    ok = execution_pb2.STAGE_OUTCOME_OK
    assert (outcomes["retrieve"] == ok) is (base == "rrf_hybrid")
    assert (outcomes["rerank"] == ok) is reranked
    assert (response.execution.outcome == execution_pb2.OUTCOME_RERANKED) is reranked
    assert response.fallback_triggered is (method != "rrf_hybrid+rerank")
    assert {each.search_method for each in response.results} == {method}
    found = ids(response)
    assert len({*found}) == len(found)
    assert {*found} == {*TEXTS} if base == "rrf_hybrid" else {*found} < {*TEXTS}
    for each in response.results:
        assert each.HasField("rerank_score") is reranked


async def test_answers_keep_coming_while_everything_dies_and_returns(
    tmp_path: Path,
) -> None:
    async with cooking(tmp_path) as kitchen:
        worlds = [
            {"embedder": True, "reranker": True},
            {"embedder": False, "reranker": True},
            {"embedder": True, "reranker": False},
            {"embedder": False, "reranker": False},
            {"embedder": True, "reranker": True},
        ]
        each_for = SEARCHES // len(worlds)

        def to(world: dict[str, bool]) -> Change:
            return lambda: kitchen.change(**world)

        changes = {
            place * each_for: to(world) for place, world in enumerate(worlds) if place
        }
        answers = await load(kitchen, changes)

        assert len(answers) == SEARCHES
        assert max(each.took_s for each in answers) < WITHIN_S
        judged = dict.fromkeys(map(str, worlds), 0)
        for answer in answers:
            check_truth(answer, kitchen)
            world = worlds[answer.before // 2]
            steady = answer.before == answer.after and not answer.before % 2
            if steady and not answer.was_late:
                assert answer.response.search_method == label(**world)
                judged[str(world)] += 1
        # All but those on their way at a change, and what a loaded machine delays.
        assert all(count >= each_for // 2 for count in judged.values()), judged


@pytest.mark.parametrize(
    ("embedder", "reranker", "within_s"),
    # Who hangs is waited for until 5 % of the time are left: the time is chosen so that
    # these are 0.1 s, which a loaded machine needs.
    [(False, True, 2.0), (True, False, 2.0), (False, False, 4.0)],
)
async def test_whoever_hangs_is_left_out_in_time(
    tmp_path: Path, *, embedder: bool, reranker: bool, within_s: float
) -> None:
    async with cooking(tmp_path) as kitchen:
        if not embedder:
            kitchen.embedder.play = hang
        if not reranker:
            kitchen.reranker.play = hang
        now = asyncio.get_running_loop().time
        began = now()
        answers = await asyncio.gather(
            *(
                kitchen.find(f"baked bread number{number}", within_s=within_s)
                for number in range(4)
            )
        )
        assert now() - began < within_s
        expected = label(embedder=embedder, reranker=reranker)
        assert {each.search_method for each in answers} == {expected}
        # They would hold the vendors' connections for ever.
        await kitchen.embedder.until(lambda: not kitchen.embedder.in_progress)
        await kitchen.reranker.until(lambda: not kitchen.reranker.in_progress)


async def test_a_dead_embedder_turns_a_vector_search_into_one_by_words(
    tmp_path: Path,
) -> None:
    async with cooking(tmp_path) as kitchen:
        vector = search_service_pb2.RetrievalOptions(
            mode=search_service_pb2.RETRIEVAL_MODE_VECTOR
        )
        await kitchen.change(embedder=False, reranker=True)
        answer = await kitchen.find("baked bread now", retrieval=vector)
        assert answer.search_method == "fulltext+rerank"
        assert answer.fallback_triggered
        await kitchen.change(embedder=True, reranker=False)
        answer = await kitchen.find("baked bread then", retrieval=vector)
        assert answer.search_method == "vector"
        # What was asked before is remembered, and needs nobody.
        await kitchen.change(embedder=False, reranker=True)
        answer = await kitchen.find("baked bread then", retrieval=vector)
        assert answer.search_method == "vector+rerank"
