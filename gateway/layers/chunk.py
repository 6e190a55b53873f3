"""Split a request that is larger than its backend takes, and join the answers.

Only for models that judge each document alone: there, splitting changes no score.
"""

import asyncio
from dataclasses import replace
from itertools import chain

from gateway.backends.errors import (
    Attempt,
    BackendError,
    Excess,
    FailureReason,
    Malformed,
    TooLarge,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores, Usage
from gateway.concurrency import all_of, ended


class Chunk:
    """Asks in chunks, all at once.

    One chunk that fails fails the whole, since scores for only some documents would
    bias the order. A chunk that is still too large is halved, down to one document.

    A request that takes a part is given what there is where the time is over, if the
    first chunk is there: all others would stand behind a gap. Gaps are left in, since
    what stands behind them is worth remembering; whoever ranks must not look there. Only
    for lack of time: any other failure fails the whole as ever.

    Args:
        scorer: Asked once per chunk.
        facts: How many documents go into one; learns where the backend names a bound.
        reserve_s: So long before the deadline the chunks that have answered are taken
            for the answer, so that it is there in time.

    """

    def __init__(self, scorer: Scorer, *, facts: Facts, reserve_s: float) -> None:
        self._scorer = scorer
        self._facts = facts
        self._reserve_s = reserve_s

    async def score(self, request: ScoreRequest) -> Scores:
        """Judge all documents, in as many calls as it takes."""
        chunks = split(request, self._facts.max_documents)
        attempts: list[Attempt] = []
        try:
            if len(chunks) == 1:  # as mostly; a task more would bring nothing
                parts = [await self._part(request, attempts)]
            elif request.takes_partial:
                strike = request.deadline - self._reserve_s
                parts = await self._in_time(chunks, attempts, strike)
            else:
                parts = await all_of(*(self._part(each, attempts) for each in chunks))
            scores = _joined(parts)
        except BackendError as error:
            # Of all chunks, also of those that had answered.
            error.attempts = tuple(attempts)
            raise
        if len(scores.attempts) == len(attempts):  # of one part they are its own
            return scores
        return replace(scores, attempts=tuple(attempts))

    async def _in_time(
        self, chunks: list[ScoreRequest], attempts: list[Attempt], strike: float
    ) -> list[Scores]:
        """Judge as many chunks as the time allows, the first one at least."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        tasks = [
            asyncio.create_task(self._part(chunk, attempts), name="chunk")
            for chunk in chunks
        ]
        try:
            end = len(tasks)
            while running := [task for task in tasks[:end] if not task.done()]:
                left_s: float | None = max(strike - loop.time(), 0.0)
                if not left_s:
                    if tasks[0].done():
                        break
                    # As long as there is nothing to give, the answer may take all of
                    # the time; what bounds a call ends it.
                    running, end, left_s = tasks[:1], 1, None
                await asyncio.wait(
                    running, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
                end = _end_of_those_in_time(tasks[:end])
                for task in tasks[end:]:  # what stands behind a gap is of no use
                    task.cancel()
        finally:
            await ended(*tasks)
        first = tasks[0].result()
        parts = []
        for task, chunk in zip(tasks, chunks, strict=True):
            if _has_answered(task):
                parts.append(task.result())
                continue
            parts.append(_unscored(chunk, first))
            if not _is_accounted_for(task):
                attempts.append(_given_up(chunk, first, loop.time() - began))
        return parts

    async def _part(self, request: ScoreRequest, attempts: list[Attempt]) -> Scores:
        try:
            scores = await self._scorer.score(request)
        except TooLarge as error:
            attempts.extend(error.attempts)
            count = len(request.documents)
            if error.excess is Excess.TOKENS or count == 1:
                raise
            if error.excess is Excess.DOCUMENTS and error.limit:
                self._facts.learn_max_documents(error.limit)
            smaller = min(self._facts.max_documents, (count + 1) // 2)
            # One after the other: a backend that refuses every size is asked a few
            # times more, not twice as often with every halving.
            return _joined(
                [await self._part(each, attempts) for each in split(request, smaller)]
            )
        except BackendError as error:
            attempts.extend(error.attempts)
            raise
        attempts.extend(scores.attempts)
        return scores


def split(request: ScoreRequest, size: int) -> list[ScoreRequest]:
    """Give requests with so many documents each, which together are this one."""
    documents = request.documents
    if len(documents) <= size:
        return [request]
    return [
        replace(request, documents=documents[start : start + size])
        for start in range(0, len(documents), size)
    ]


def _end_of_those_in_time(tasks: list[asyncio.Task[Scores]]) -> int:
    """Count the tasks before the first one that failed for lack of time.

    Raises:
        BackendError: One failed for something else, or the first of all for that, too.

    """
    for place, task in enumerate(tasks):
        error = task.exception() if task.done() else None
        if error is None:
            continue
        if place == 0 or not isinstance(error, BackendError) or not error.lacks_time:
            raise error
        return place
    return len(tasks)


def _has_answered(task: asyncio.Task[Scores]) -> bool:
    return not task.cancelled() and task.exception() is None


def _is_accounted_for(task: asyncio.Task[Scores]) -> bool:
    """Tell whether the lack of time shows in calls that somebody wrote down."""
    if task.cancelled():
        return False
    error = task.exception()
    return not isinstance(error, BackendError) or error.reason in {
        attempt.failure for attempt in error.attempts
    }


def _unscored(chunk: ScoreRequest, others: Scores) -> Scores:
    """Stand in for a chunk that the time was too short for."""
    return Scores(
        raw=(None,) * len(chunk.documents),
        scale=others.scale,
        backend=others.backend,
        model=others.model,
        revision=others.revision,
    )


def _given_up(chunk: ScoreRequest, others: Scores, after_s: float) -> Attempt:
    """Account for a chunk that had not answered when the time was over."""
    return Attempt(
        backend=others.backend,
        model=others.model,
        failure=FailureReason.DEADLINE,
        duration_s=after_s,
        document_count=len(chunk.documents),
    )


def _joined(parts: list[Scores]) -> Scores:
    first = parts[0]
    if len(parts) == 1:
        return first
    if any(
        (part.model, part.revision) != (first.model, first.revision) for part in parts
    ):
        detail = "its answers to the parts of one request name different models"
        raise Malformed(first.backend, detail)
    truncated: set[int] = set()
    start = 0
    for part in parts:
        truncated.update(start + place for place in part.truncated)
        start += len(part.raw)
    return Scores(
        raw=tuple(chain.from_iterable(part.raw for part in parts)),
        scale=first.scale,
        backend=first.backend,
        model=first.model,
        revision=first.revision,
        truncated=frozenset(truncated),
        usage=sum((part.usage for part in parts), Usage()),
    )
