"""Ask only for scores that nobody remembers.

One class for every tier: what remembers is a `Memory`, in this process or shared.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from gateway.backends.errors import BackendError
from gateway.backends.scorer import CacheMode, Scorer, ScoreRequest, Scores
from gateway.events import CacheRead, Emit
from gateway.layers.memory import (
    Entry,
    Judge,
    Memory,
    entries_of,
    soon_forgotten_s,
)
from gateway.layers.pair_keys import PairKeys
from gateway.layers.process_memory import ProcessMemory


@dataclass(frozen=True, slots=True)
class _Known:
    """What a memory says to a request."""

    judge: Judge
    keys: list[bytes]
    """One per document."""
    entries: list[Entry | None]
    """One per document; None: not known, or too old for this caller."""
    hits: int
    """How many are known."""


class Cache:
    """Remembers the scores of one backend, pair by pair.

    What an answer says, it says as if the backend had been asked for all: the same
    numbers in the same order. `cached` names the places that came from memory, whose
    `oldest_s` is told; usage and attempts are those of what was asked. Equal texts in one
    request are asked once. All from memory costs no task, and no turn of the loop if the
    memory does not wait.

    The scores of a listwise model depend on all documents, their order and their vectors,
    so they are remembered as a whole or not at all. Documents that were found in a
    collection are neither looked up nor remembered: what the collection says of them
    changes with it.

    Failures are not remembered, nor is a document without a score. If a backend answers as
    another model or revision than the remembered scores of the same request are of, it is
    asked again for all, once. Below `Depth`: every document of a request is to be scored.

    Args:
        scorer: Asked for what is not known.
        backend: Its name, for events.
        memory: Remembers; may be common to several backends and processes.
        keys: Names the scores of this backend.
        ttl_s: Scores older than this are not used for a caller who does not say how old
            they may be. They are remembered for so long, or longer if that caller uses
            older ones.
        listwise: A document's score depends on its companions.
        tier: `process` or `shared`, for events.
        chance: Decides how much earlier than its time an answer is forgotten.
        emit: Told of every look into the memory.

    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        backend: str,
        memory: Memory,
        keys: PairKeys,
        ttl_s: float,
        listwise: bool,
        tier: str,
        chance: Random,
        emit: Emit,
    ) -> None:
        self._scorer = scorer
        self._backend = backend
        self._memory = memory
        self._keys = keys
        self._ttl_s = ttl_s
        self._listwise = listwise
        self._tier = tier
        self._chance = chance
        self._emit = emit

    async def score(self, request: ScoreRequest) -> Scores:
        """Give what is remembered, and ask for the rest."""
        mode = request.cache.mode
        if mode is CacheMode.BYPASS or request.lookup is not None:
            return await self._scorer.score(request)
        if mode is CacheMode.REFRESH:
            return await self._ask(request, None)
        known = await self._recall(request)
        hits = known.hits if known else 0
        misses = len(request.documents) - hits
        self._emit(CacheRead(self._backend, self._tier, hits=hits, misses=misses))
        if known and not misses:
            return self._remembered(request, known)
        return await self._ask(request, known)

    async def _recall(self, request: ScoreRequest) -> _Known | None:
        judge = await self._memory.judge(self._keys.judge)
        if judge is None:
            return None
        keys = self._named(request, judge)
        entries = await self._memory.get(keys)
        if not any(entries):
            return _Known(judge, keys, entries, 0)
        oldest_at = _now() - (request.cache.ttl_s or self._ttl_s)
        scale = self._keys.scale
        entries = [
            entry
            if entry and entry.stored_at > oldest_at and entry.scale is scale
            else None
            for entry in entries
        ]
        # Numbers of two answers are not comparable where each depends on its companions.
        if self._listwise and len({each and each.stored_at for each in entries}) > 1:
            entries = [None] * len(entries)
        return _Known(judge, keys, entries, len(entries) - entries.count(None))

    async def _ask(self, request: ScoreRequest, known: _Known | None) -> Scores:
        """Ask for what is not known; None: for all."""
        asked = self._asked(request, known)
        fresh = await self._scorer.score(_narrowed(request, asked))
        await self._remember(request, asked, fresh, known)
        if known is None or not known.hits or _judge(fresh) == known.judge:
            return _joined(request, asked, fresh, known)
        # Who answers now is another one than those who are remembered: scores of two
        # cannot stand in one answer.
        asked = self._asked(request, None)
        try:
            again = await self._scorer.score(_narrowed(request, asked))
        except BackendError as error:
            error.attempts = (*fresh.attempts, *error.attempts)
            raise
        await self._remember(request, asked, again, None)
        both = replace(
            again,
            usage=fresh.usage + again.usage,
            attempts=(*fresh.attempts, *again.attempts),
        )
        return _joined(request, asked, both, None)

    def _asked(self, request: ScoreRequest, known: _Known | None) -> list[int]:
        """Give the places to ask for, in their order, of equal texts the first one."""
        if self._listwise:
            return list(range(len(request.documents)))
        # Keys are as equal as texts are, and sooner compared.
        names: Sequence[bytes | str] = (
            known.keys if known else [each.text for each in request.documents]
        )
        if not (known and known.hits) and len(set(names)) == len(names):
            return list(range(len(names)))
        first: dict[bytes | str, int] = {}
        for place, name in enumerate(names):
            if known is None or known.entries[place] is None:
                first.setdefault(name, place)
        return list(first.values())

    async def _remember(
        self,
        request: ScoreRequest,
        asked: list[int],
        fresh: Scores,
        known: _Known | None,
    ) -> None:
        judge = _judge(fresh)
        if known and judge == known.judge:
            keys = known.keys
            if len(asked) < len(keys):
                keys = [keys[place] for place in asked]
        else:
            keys = self._named(_narrowed(request, asked), judge)
        ttl_s = max(self._ttl_s, request.cache.ttl_s or 0.0)
        ttl_s = soon_forgotten_s(ttl_s, self._chance)
        entries = entries_of(keys, fresh, now=_now(), ttl_s=ttl_s)
        await self._memory.put(entries, name=self._keys.judge, judge=judge)

    def _named(self, request: ScoreRequest, judge: Judge) -> list[bytes]:
        if self._listwise:
            return self._keys.of_set(request, judge)
        return self._keys.of_pairs(request, judge)

    def _remembered(self, request: ScoreRequest, known: _Known) -> Scores:
        entries = [entry for entry in known.entries if entry]
        ttl_s = request.cache.ttl_s or self._ttl_s
        return Scores(
            raw=tuple(entry.raw for entry in entries),
            scale=self._keys.scale,
            backend=self._backend,
            model=known.judge.model,
            revision=known.judge.revision,
            truncated=_truncated(entries),
            cached=frozenset(range(len(entries))),
            oldest_s=_oldest_s(entries),
            again=self._again(known.keys, entries, known.judge, ttl_s),
        )

    def _again(
        self, keys: list[bytes], entries: list[Entry], judge: Judge, ttl_s: float
    ) -> Callable[[], bool] | None:
        memory = self._memory
        # Only what is remembered here can be looked at without waiting.
        if not isinstance(memory, ProcessMemory):
            return None
        oldest_at = min([entry.stored_at for entry in entries])
        still = memory.still(keys, entries, name=self._keys.judge, judge=judge)
        hits = len(entries)

        # What this keeps alive is counted in `gateway.rpc.recollection`.
        def again() -> bool:
            if oldest_at <= _now() - ttl_s or not still():
                return False
            self._emit(CacheRead(self._backend, self._tier, hits=hits, misses=0))
            return True

        return again


def _joined(
    request: ScoreRequest, asked: list[int], fresh: Scores, known: _Known | None
) -> Scores:
    """Put fresh and remembered scores where their documents stand."""
    if len(asked) == len(request.documents):
        # A tier below knows nothing of what is remembered here by now.
        return replace(fresh, again=None) if fresh.again else fresh
    answered = {request.documents[place].text: at for at, place in enumerate(asked)}
    entries = known.entries if known else [None] * len(request.documents)
    raw: list[float | None] = []
    cached: set[int] = set()
    truncated: set[int] = set(_truncated(entries))
    for place, (document, entry) in enumerate(
        zip(request.documents, entries, strict=True)
    ):
        if entry:
            raw.append(entry.raw)
            cached.add(place)
            continue
        at = answered[document.text]
        raw.append(fresh.raw[at])
        if at in fresh.cached:
            cached.add(place)
        if at in fresh.truncated:
            truncated.add(place)
    return replace(
        fresh,
        again=None,
        raw=tuple(raw),
        cached=frozenset(cached),
        truncated=frozenset(truncated),
        oldest_s=max(fresh.oldest_s, _oldest_s(entries)),
    )


def _narrowed(request: ScoreRequest, places: list[int]) -> ScoreRequest:
    if len(places) == len(request.documents):
        return request
    return replace(
        request, documents=tuple(request.documents[place] for place in places)
    )


def _judge(scores: Scores) -> Judge:
    return Judge(scores.model, scores.revision)


def _truncated(entries: Sequence[Entry | None]) -> frozenset[int]:
    return frozenset(
        place for place, entry in enumerate(entries) if entry and entry.truncated
    )


def _oldest_s(entries: Sequence[Entry | None]) -> float:
    stored = [entry.stored_at for entry in entries if entry]
    return _now() - min(stored) if stored else 0.0


def _now() -> float:
    return asyncio.get_running_loop().time()
