"""What every `Scorer` keeps, whoever it is.

Each function is one clause. It takes a scorer that works and answers within a second, and
fails where the clause is broken.
"""

import asyncio
import copy
import math
from collections.abc import Awaitable, Callable

import pytest

from gateway.backends.errors import BackendError
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from tests.support.scorers import asking

Clause = Callable[[Scorer], Awaitable[None]]

TEXTS = (
    "Restoring a backup: stop the service and replay the log.",
    "soup",
    "数据库备份在第二台服务器上。",
    "soup",
    "A failed disk should be replaced before the array is rebuilt.",
    "x",
    "fish on Fridays, vegetable soup on Mondays",
)


async def one_entry_per_document(scorer: Scorer) -> None:
    for count in (1, 2, len(TEXTS)):
        scores = await scorer.score(asking(*TEXTS[:count]))
        assert len(scores.raw) == count
        assert scores.complete


async def entries_are_in_the_order_of_the_request(scorer: Scorer) -> None:
    """A pointwise judge says the same of a document wherever it stands."""
    forwards = await scorer.score(asking(*TEXTS))
    backwards = await scorer.score(asking(*reversed(TEXTS)))
    assert forwards.raw == backwards.raw[::-1]


async def equal_documents_get_equal_numbers(scorer: Scorer) -> None:
    scores = await scorer.score(asking(*TEXTS))
    assert scores.raw[1] == scores.raw[3]


async def every_number_is_finite(scorer: Scorer) -> None:
    scores = await scorer.score(asking(*TEXTS))
    assert all(number is None or math.isfinite(number) for number in scores.raw)


async def the_same_question_gets_the_same_answer(scorer: Scorer) -> None:
    def said(scores: Scores) -> object:
        return (
            scores.raw,
            scores.scale,
            scores.backend,
            scores.model,
            scores.truncated,
        )

    first = await scorer.score(asking(*TEXTS))
    assert said(await scorer.score(asking(*TEXTS))) == said(first)


async def the_request_is_not_changed(scorer: Scorer) -> None:
    request = asking(*TEXTS)
    twin = copy.deepcopy(request)
    await scorer.score(request)
    assert request == twin


async def the_answer_says_who_gave_it(scorer: Scorer) -> None:
    assert (await scorer.score(asking(*TEXTS))).backend


async def calls_at_once_do_not_disturb_each_other(scorer: Scorer) -> None:
    alone = [await scorer.score(asking(text, "soup")) for text in TEXTS]
    together = await asyncio.gather(
        *(scorer.score(asking(text, "soup")) for text in TEXTS)
    )
    assert [scores.raw for scores in together] == [scores.raw for scores in alone]


async def a_caller_may_leave_at_any_moment(scorer: Scorer) -> None:
    """Whenever it leaves, nothing goes on, and the next caller is served."""
    before = asyncio.all_tasks()
    for moments in range(12):
        asked = asyncio.ensure_future(scorer.score(asking(*TEXTS)))
        for _ in range(moments):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        assert asked.cancelled() or asked.exception() is None
    assert asyncio.all_tasks() == before
    assert (await scorer.score(asking(*TEXTS))).complete


EVERY_SCORER: tuple[Clause, ...] = (
    one_entry_per_document,
    every_number_is_finite,
    the_same_question_gets_the_same_answer,
    the_request_is_not_changed,
    the_answer_says_who_gave_it,
    calls_at_once_do_not_disturb_each_other,
    a_caller_may_leave_at_any_moment,
)

EVERY_POINTWISE_SCORER: tuple[Clause, ...] = (
    entries_are_in_the_order_of_the_request,
    equal_documents_get_equal_numbers,
)


async def failures_are_backend_errors(
    scorer: Scorer, request: ScoreRequest
) -> BackendError:
    """Take a scorer that cannot answer, and give what it raised."""
    with pytest.raises(BackendError) as raised:
        await scorer.score(request)
    error = raised.value
    assert str(error).startswith(f"{error.backend}: ")
    assert isinstance(error.transient, bool)
    assert isinstance(error.blames_backend, bool)
    return error
