"""The scorer over a cross-encoder, with a fake judge where its work is stopped."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from gateway.backends.errors import Internal, WrongScale
from gateway.backends.local.cross_encoder import CrossEncoder, Judgement
from gateway.backends.local.inference import InferenceFailed
from gateway.backends.local.pointwise import CrossEncoderScorer, PairJudge
from gateway.ranking.normalize import Scale
from tests.backends import contract
from tests.support.cross_encoders import TEST_MODEL
from tests.support.scorers import asking

Build = Callable[..., CrossEncoderScorer]


@pytest.fixture
def build() -> Iterator[Build]:
    """Build scorers, and close them when the test ends."""
    with ExitStack() as stack:

        def build(
            judge: PairJudge, *, threads: int = 2, scale: Scale = Scale.LOGIT
        ) -> CrossEncoderScorer:
            scorer = CrossEncoderScorer(
                name="ce",
                model="mini@12345678",
                judge=judge,
                scale=scale,
                threads=threads,
            )
            stack.callback(scorer.close)
            return scorer

        yield build


class FakeJudge:
    """Gives the length of a document, and knows what it was asked.

    Args:
        before: Called with each document first, in its thread: may block or raise.

    """

    def __init__(self, before: Callable[[str], None] = lambda _: None) -> None:
        self.asked: list[str] = []
        self._before = before

    def judge(self, _: str, document: str) -> Judgement:
        self.asked.append(document)
        self._before(document)
        return Judgement(float(len(document)), truncated=len(document) > 5)


class Gate:
    """Stops a judge at one document until it is opened."""

    def __init__(self, document: str) -> None:
        self._document = document
        self._loop = asyncio.get_running_loop()
        self._open = threading.Event()
        self.reached = asyncio.Event()

    def __call__(self, document: str) -> None:
        if document == self._document:
            self._loop.call_soon_threadsafe(self.reached.set)
            assert self._open.wait(timeout=10)

    def open(self) -> None:
        self._open.set()


def fail_at(bad: str) -> Callable[[str], None]:
    def before(document: str) -> None:
        if document == bad:
            message = "onnxruntime failed on 5 tokens"
            raise InferenceFailed(message)

    return before


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder.load(TEST_MODEL, max_tokens=None)


@pytest.mark.parametrize(
    "clause",
    [*contract.EVERY_SCORER, *contract.EVERY_POINTWISE_SCORER],
    ids=lambda clause: clause.__name__,
)
async def test_the_contract_of_a_pointwise_scorer(
    build: Build, model: CrossEncoder, clause: contract.Clause
) -> None:
    await clause(build(model))


async def test_what_the_scores_say_about_themselves(build: Build) -> None:
    scores = await build(FakeJudge()).score(asking("two words", "word", "three words"))

    assert scores.raw == (9.0, 4.0, 11.0)
    assert scores.scale is Scale.LOGIT
    assert (scores.backend, scores.model) == ("ce", "mini@12345678")
    assert scores.truncated == {0, 2}


async def test_cancellation_drops_the_documents_that_have_not_begun(
    build: Build,
) -> None:
    gate = Gate("2")
    judge = FakeJudge(gate)
    scorer = build(judge, threads=1)
    running = asyncio.create_task(scorer.score(asking("1", "2", "3", "4")))
    await gate.reached.wait()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    gate.open()
    scorer.close()

    assert judge.asked == ["1", "2"]


async def test_cancellation_drops_a_document_that_waits_for_a_thread(
    build: Build,
) -> None:
    gate = Gate("1")
    judge = FakeJudge(gate)
    scorer = build(judge, threads=1)
    first = asyncio.create_task(scorer.score(asking("1")))
    await gate.reached.wait()
    second = asyncio.create_task(scorer.score(asking("2")))
    await asyncio.sleep(0)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.open()
    await first

    assert judge.asked == ["1"]


async def test_a_small_request_does_not_wait_for_all_of_a_large_one(
    build: Build,
) -> None:
    gate = Gate("1")
    judge = FakeJudge(gate)
    scorer = build(judge, threads=1)
    large = asyncio.create_task(scorer.score(asking(*"123456789")))
    await gate.reached.wait()
    small = asyncio.create_task(scorer.score(asking("a")))
    await asyncio.sleep(0)

    gate.open()
    await asyncio.gather(large, small)

    assert judge.asked.index("a") == 1


async def test_a_failure_is_ours_and_leaves_nothing_behind(build: Build) -> None:
    scorer = build(FakeJudge(fail_at("2")))
    tasks = asyncio.all_tasks()

    with pytest.raises(
        Internal, match=r"^ce: the model failed: onnxruntime failed on 5 tokens$"
    ):
        await scorer.score(asking("1", "2", "2", "2", "3"))

    assert asyncio.all_tasks() == tasks
    assert (await scorer.score(asking("1"))).raw == (1.0,)


async def test_a_number_that_is_no_probability_tells_of_a_wrong_scale(
    build: Build,
) -> None:
    scorer = build(FakeJudge(), scale=Scale.PROBABILITY)

    assert (await scorer.score(asking("1"))).scale is Scale.PROBABILITY
    with pytest.raises(
        WrongScale, match=r"^ce: a score that is no probability: is its"
    ):
        await scorer.score(asking("1", "22"))


async def test_closing_drops_what_waits(build: Build) -> None:
    gate = Gate("1")
    judge = FakeJudge(gate)
    scorer = build(judge, threads=1)
    running = asyncio.create_task(scorer.score(asking("1", "2")))
    await gate.reached.wait()

    gate.open()
    scorer.close()

    with pytest.raises(Internal, match=r"^ce: closed while it was needed$"):
        await running
    assert judge.asked == ["1"]
