"""Ten thousand calls among servers that are slow, hang and fail, all at random."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from random import Random
from zlib import crc32

from gateway.backends.errors import Malformed, RateLimited, Unavailable
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest
from gateway.compose import Leaf, Surroundings, stack
from gateway.compose.memories import Memories, Tier
from gateway.contract import Document, Outcome, Rerank, Reranked
from gateway.layers.fallback import Fallback
from gateway.layers.process_memory import ProcessMemory
from gateway.ranking.normalize import Scale
from gateway.reranking import Reranking, Reserve, Route
from gateway.settings import BackendSettings
from tests.support.scorers import (
    FakeScorer,
    Step,
    after,
    answers,
    chooses,
    fails,
    hangs,
    now,
)

CALLS = 10_000
RATE = 200.0
EPOCH_S = 4.0
CHUNK = 16

FIRST_TOKENS = 3


def score_of(backend: str, query: str, text: str) -> float:
    """Say what a model makes of a pair: another number for each model, always the same."""
    return crc32(f"{backend} {query} {text}".encode()) / 2**28 - 8


class Weather:
    """What becomes of the calls to one server, for a while mostly one thing."""

    def __init__(self, backend: str, seed: str) -> None:
        self._backend = backend
        self._chance = Random(seed)
        self._epoch = -1
        self._badness = 0.0
        self._kind = 0

    def step(self, request: ScoreRequest) -> Step:
        chance = self._chance
        if (epoch := int(now() / EPOCH_S)) != self._epoch:
            self._epoch = epoch
            self._badness = chance.choice((0.0, 0.02, 0.02, 0.05, 0.1, 0.3, 0.3, 1.0))
            self._kind = chance.randrange(6)
        takes_s = chance.expovariate(1 / 0.02)
        good = answers(
            *(
                score_of(self._backend, request.query, each.text)
                for each in request.documents
            )
        )
        if chance.random() >= self._badness:
            return after(takes_s, good)
        name = self._backend
        bad = (
            after(chance.uniform(0.1, 3.0), good),
            hangs(),
            fails(lambda: Unavailable(name, "HTTP 500")),
            fails(lambda: RateLimited(name, "HTTP 429", retry_after_s=1.0)),
            fails(lambda: Malformed(name, "no JSON")),
        )
        kind = self._kind if self._kind < len(bad) else chance.randrange(len(bad))
        return after(takes_s, bad[kind])


def leaves(backend: str, servers: int) -> tuple[FakeScorer, ...]:
    return tuple(
        FakeScorer(
            chooses(Weather(backend, f"{backend} {place}").step), backend=backend
        )
        for place in range(servers)
    )


def stacked(scorers: tuple[FakeScorer, ...], memory: ProcessMemory) -> Scorer:
    name = scorers[0].backend
    return stack(
        Leaf(
            scorers=scorers,
            facts=Facts(max_documents=CHUNK, model=scorers[0].model, fixed=True),
            scale=Scale.LOGIT,
            listwise=False,
            in_flight=16,
            top_k=100,
            top_k_found=100,
            max_tokens=None,
            cuts_pairs=False,
        ),
        name=name,
        settings=BackendSettings(dialect="simple", timeout_s=1.0, fair_s=0.2),
        around=Surroundings(
            Memories(tiers=(Tier(memory, "process"),), ttl_s=300.0, secret=b"s" * 16),
            Random(f"chance of {name}"),
            lambda _: None,
        ),
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """One call, and when its answer came."""

    ask: Rerank
    answer: Reranked
    at: float

    @property
    def in_time(self) -> bool:
        assert self.ask.deadline is not None
        return self.at <= self.ask.deadline

    @property
    def scored(self) -> list[int]:
        return [
            each.index for each in self.answer.results if each.raw_score is not None
        ]


@dataclass(slots=True)
class Storm:
    """All calls, and who was asked."""

    answered: list[Answered] = field(default_factory=list)
    servers: dict[str, tuple[FakeScorer, ...]] = field(default_factory=dict)

    def outcomes(self) -> dict[Outcome, int]:
        told = [each.answer.execution.outcome for each in self.answered]
        return {outcome: told.count(outcome) for outcome in set(told)}


def asks(chance: Random) -> Iterator[Rerank]:
    """Ask about what overlaps, and now and then about exactly the same."""
    ask: Rerank | None = None
    while True:
        if ask is None or chance.random() > 0.05:
            places = chance.sample(range(200), chance.randint(1, 40))
            ask = Rerank(
                query=f"question {chance.randrange(100)}",
                documents=tuple(Document(text=f"document {n}") for n in places),
                route=chance.choice(("default", "part")),
                found_by="rrf_hybrid",
                caller=chance.choice("abc"),
            )
        yield ask


async def storm() -> Storm:
    memory = ProcessMemory(max_bytes=1_000_000)
    seen = Storm()
    for name, count in (("first", 2), ("second", 1), ("third", 1)):
        seen.servers[name] = leaves(name, count)
    chain_of_all = Fallback(
        tuple(stacked(each, memory) for each in seen.servers.values())
    )
    reranking = Reranking(
        routes={
            name: Route(
                scorer=chain_of_all,
                backends=(),
                timeout_s=30.0,
                top_k=None,
                min_score=None,
                backend_min_scores={},
                passages=0,
                takes_partial=name == "part",
                cache_ttl_s=None,
            )
            for name in ("default", "part")
        },
        reserve=Reserve(share=0.05, least_s=0.02),
    )
    chance = Random(4)
    questions = asks(chance)

    async def call(ask: Rerank) -> None:
        answer = await reranking.rerank(ask)
        seen.answered.append(Answered(ask, answer, now()))

    async with asyncio.TaskGroup() as calls:
        for _ in range(CALLS):
            await asyncio.sleep(chance.expovariate(RATE))
            deadline = now() + chance.choice((0.05, 0.2, 0.5, 1.0, 3.0))
            ask = replace(next(questions), deadline=deadline)
            calls.create_task(call(ask))
    return seen


async def test_among_failing_servers_answers_come_in_time_whole_and_true() -> None:
    seen = await storm()
    answered = seen.answered
    assert len(answered) == CALLS
    assert sum(each.in_time for each in answered) >= 0.999 * CALLS
    for each in answered:
        is_whole(each)
        says_what_happened(each)
        scores_are_those_of_the_model(each)
    outcomes = seen.outcomes()
    # All of it happened, or nothing was shown.
    assert outcomes[Outcome.RERANKED] > CALLS / 2
    assert outcomes[Outcome.FELL_BACK] > CALLS / 100
    assert outcomes[Outcome.PARTIALLY_RERANKED] > CALLS / 1000
    told = [each.answer.execution for each in answered]
    assert {each.backend for each in told} == {"", *seen.servers}
    assert any(each.cached_count for each in told)
    for servers in seen.servers.values():
        is_asked_little_more_than_once(servers)


def is_whole(call: Answered) -> None:
    indexes = sorted(each.index for each in call.answer.results)
    assert indexes == list(range(len(call.ask.documents)))


def says_what_happened(call: Answered) -> None:
    answer, told, count = call.answer, call.answer.execution, len(call.scored)
    whole = len(call.ask.documents)
    expected = Outcome.PARTIALLY_RERANKED if count else Outcome.FELL_BACK
    assert told.outcome is (Outcome.RERANKED if count == whole else expected)
    assert answer.search_method == ("rrf_hybrid+rerank" if count else "rrf_hybrid")
    assert answer.tail_method == "rrf_hybrid"
    assert told.scored_count == count
    assert bool(told.backend) == bool(count)
    assert (told.fallback_reason is None) == bool(count)
    if count < whole:
        assert answer.fallback_triggered
        # A part is a beginning, and only for those who take one.
        assert sorted(call.scored) == list(range(count))
        assert not count or call.ask.route == "part"


def scores_are_those_of_the_model(call: Answered) -> None:
    backend = call.answer.execution.backend
    for each in call.answer.results:
        assert (each.raw_score is None) == (each.rerank_score is None)
        if each.raw_score is not None:
            text = call.ask.documents[each.index].text
            assert each.raw_score == score_of(backend, call.ask.query, text)
    raw = [each.raw_score for each in call.answer.results if each.raw_score is not None]
    assert raw == sorted(raw, reverse=True)


def is_asked_little_more_than_once(servers: tuple[FakeScorer, ...]) -> None:
    """Hold what a backend is asked again, by retries and hedges, to its budget."""
    asked = [
        (each.query, tuple(document.text for document in each.documents))
        for each in chain.from_iterable(server.requests for server in servers)
    ]
    assert len(asked) > CALLS / 100
    assert len(asked) <= 1.1 * len(set(asked)) + FIRST_TOKENS
