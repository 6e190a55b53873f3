"""The built-in scorer, with a fake encoder where its work is counted or stopped."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from gateway.backends.errors import Internal
from gateway.backends.local.encoder import (
    ENCODER_DIRECTORY,
    Encoder,
)
from gateway.backends.local.features import TextEncoder
from gateway.backends.local.inference import InferenceFailed
from gateway.backends.local.scorer import LocalScorer
from gateway.backends.scorer import Candidate, ScoreRequest
from gateway.ranking.normalize import Scale
from tests.backends.local.fake_encoder import FakeEncoder

Build = Callable[..., LocalScorer]


@pytest.fixture
def build() -> Iterator[Build]:
    """Build scorers, and close them when the test ends."""
    with ExitStack() as stack:

        def build(
            encoder: TextEncoder, *, threads: int = 2, max_cache_bytes: int = 10**7
        ) -> LocalScorer:
            scorer = LocalScorer(
                name="local",
                threads=threads,
                max_cache_bytes=max_cache_bytes,
                encoder=encoder,
            )
            stack.callback(scorer.close)
            return scorer

        yield build


class Gate:
    """Stops an encoder at one text until it is opened."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._loop = asyncio.get_running_loop()
        self._open = threading.Event()
        self.reached = asyncio.Event()

    def __call__(self, text: str) -> None:
        if text == self._text:
            self._loop.call_soon_threadsafe(self.reached.set)
            assert self._open.wait(timeout=10)

    def open(self) -> None:
        self._open.set()


def ask(query: str, documents: Sequence[str]) -> ScoreRequest:
    return ScoreRequest(
        query=query,
        documents=tuple(
            Candidate(text=text, rank=place + 1) for place, text in enumerate(documents)
        ),
        deadline=1e9,
    )


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load(ENCODER_DIRECTORY)


@pytest.mark.parametrize(
    ("query", "documents"),
    [
        (
            "How do I restore a database backup?",
            [
                "Cats sleep for most of the day.",
                "The office is closed on public holidays.",
                "Run the restore command to recover the database from its last backup.",
            ],
        ),
        (
            "capital of France",
            [
                "Berlin has been the capital of Germany since 1990.",
                "The Eiffel Tower was built for a world fair.",
                "Paris is the capital and largest city of France.",
            ],
        ),
        (
            "Why does my dog scratch itself?",
            [
                "The stock market fell for a third day.",
                "A new phone comes with a scratch resistant screen.",
                "Fleas make dogs itch, so they scratch.",
            ],
        ),
    ],
)
async def test_the_obvious_document_comes_first_although_it_was_last(
    build: Build, encoder: Encoder, query: str, documents: list[str]
) -> None:
    scores = await build(encoder).score(ask(query, documents))

    assert max(range(3), key=lambda place: scores.raw[place] or 0.0) == 2


async def test_what_the_scores_say_about_themselves(build: Build) -> None:
    scores = await build(FakeEncoder()).score(ask("disk", ["disk", "word " * 21]))

    assert scores.scale is Scale.RELATIVE
    assert scores.backend == "local"
    assert scores.model == "all-minilm-l6-v2+bm25"
    assert scores.truncated == {1}


async def test_equal_documents_at_equal_ranks_get_equal_numbers(build: Build) -> None:
    texts = ["a red cat", "disk failure", "a red cat", "the new disk", "a red cat"]
    request = ScoreRequest(
        query="red disk",
        documents=tuple(Candidate(text=text, rank=1) for text in texts),
        deadline=1e9,
    )

    raw = (await build(FakeEncoder(), max_cache_bytes=0).score(request)).raw

    assert raw[0] == raw[2] == raw[4]
    assert len(set(raw)) == 3


async def test_a_single_document_gets_zero(build: Build) -> None:
    assert (await build(FakeEncoder()).score(ask("disk", ["disk"]))).raw == (0.0,)


async def test_the_second_time_nothing_is_encoded(build: Build) -> None:
    encoder = FakeEncoder()
    scorer = build(encoder)

    first = await scorer.score(ask("disk", ["disk failure", "cat", "cat"]))
    second = await scorer.score(ask("disk", ["disk failure", "cat", "cat"]))

    assert sorted(encoder.calls) == ["cat", "disk", "disk failure"]
    assert first == second


async def test_only_what_is_new_is_encoded(build: Build) -> None:
    encoder = FakeEncoder()
    scorer = build(encoder)

    await scorer.score(ask("disk", ["disk failure", "cat"]))
    await scorer.score(ask("disk", ["dog", "cat"]))

    assert encoder.calls[3:] == ["dog"]


async def test_without_memory_everything_is_encoded_again(build: Build) -> None:
    encoder = FakeEncoder()
    scorer = build(encoder, max_cache_bytes=0)

    await scorer.score(ask("disk", ["cat"]))
    await scorer.score(ask("disk", ["cat"]))

    assert sorted(encoder.calls) == ["cat", "cat", "disk", "disk"]


async def test_a_huge_document_is_cut(build: Build) -> None:
    encoder = FakeEncoder()

    scores = await build(encoder).score(ask("disk", ["x" * 1_000_000, "disk"]))

    assert max(len(text) for text in encoder.calls) == 32_768
    assert 0 in scores.truncated


def bring(
    query: tuple[float, ...] | None, *documents: tuple[float, ...] | None
) -> ScoreRequest:
    return ScoreRequest(
        query="disk",
        query_embedding=query,
        documents=tuple(
            Candidate(text=f"cat {place}", rank=1, embedding=embedding)
            for place, embedding in enumerate(documents)
        ),
        deadline=1e9,
    )


async def test_brought_vectors_are_compared_and_nothing_is_encoded(
    build: Build,
) -> None:
    encoder = FakeEncoder()

    scores = await build(encoder).score(bring((1, 0), (0, 1), (1, 0)))

    assert scores.raw == (-1.0, 1.0)
    assert scores.model == "brought-vectors+bm25"
    assert encoder.calls == []


@pytest.mark.parametrize(
    "request_",
    [
        bring(None, (0.0, 1.0), (1.0, 0.0)),
        bring((1.0, 0.0), (0.0, 1.0), None),
        bring((1.0, 0.0), (0.0, 1.0), (1.0, 0.0, 0.0)),
        bring((1.0, 0.0), (0.0, 1.0), (1.0, float("nan"))),
        bring((), (), ()),
    ],
    ids=["no query's", "one missing", "two dimensions", "not finite", "empty"],
)
async def test_vectors_that_cannot_all_be_compared_are_ignored(
    build: Build, request_: ScoreRequest
) -> None:
    encoder = FakeEncoder()

    scores = await build(encoder).score(request_)

    assert scores.model == "all-minilm-l6-v2+bm25"
    assert len(encoder.calls) == 3


async def test_words_counted_for_brought_vectors_do_not_stand_for_an_encoding(
    build: Build,
) -> None:
    encoder = FakeEncoder()
    scorer = build(encoder)

    await scorer.score(bring((1, 0), (0, 1), (1, 0)))
    await scorer.score(ask("disk", ["cat 0", "cat 1"]))

    assert len(encoder.calls) == 3


async def test_cancellation_drops_the_documents_that_have_not_begun(
    build: Build,
) -> None:
    gate = Gate("one")
    encoder = FakeEncoder(before=gate)
    scorer = build(encoder, threads=1)
    asking = asyncio.create_task(scorer.score(ask("query", ["one", "two", "three"])))
    await gate.reached.wait()

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    gate.open()
    scorer.close()

    assert encoder.calls == ["query", "one"]


async def test_cancellation_drops_a_job_that_waits_for_a_thread(build: Build) -> None:
    gate = Gate("one")
    encoder = FakeEncoder(before=gate)
    scorer = build(encoder, threads=1)
    first = asyncio.create_task(scorer.score(ask("query", ["one"])))
    await gate.reached.wait()
    second = asyncio.create_task(scorer.score(ask("other", ["two"])))
    await asyncio.sleep(0)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.open()
    await first

    assert encoder.calls == ["query", "one"]


async def test_a_text_that_two_need_at_once_is_encoded_once(build: Build) -> None:
    gate = Gate("one")
    encoder = FakeEncoder(before=gate)
    scorer = build(encoder, threads=1)
    first = asyncio.create_task(scorer.score(ask("query", ["one", "two"])))
    await gate.reached.wait()
    second = asyncio.create_task(scorer.score(ask("query", ["one", "two"])))
    await asyncio.sleep(0)

    gate.open()

    assert await first == await second
    assert encoder.calls == ["query", "one", "two"]


async def test_who_leaves_a_shared_job_does_not_take_it_from_the_other(
    build: Build,
) -> None:
    gate = Gate("query")
    encoder = FakeEncoder(before=gate)
    scorer = build(encoder, threads=1)
    first = asyncio.create_task(scorer.score(ask("query", ["one"])))
    await gate.reached.wait()
    second = asyncio.create_task(scorer.score(ask("query", ["one"])))
    await asyncio.sleep(0)

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.open()

    assert (await second).raw == (0.0,)
    assert encoder.calls == ["query", "one"]


def fail_at(bad: str) -> Callable[[str], None]:
    def before(text: str) -> None:
        if text == bad:
            message = "onnxruntime failed on 3 tokens"
            raise InferenceFailed(message)

    return before


async def test_a_failure_is_ours_and_leaves_nothing_behind(build: Build) -> None:
    encoder = FakeEncoder(before=fail_at("two"))
    scorer = build(encoder, threads=2)
    tasks = asyncio.all_tasks()

    with pytest.raises(
        Internal, match=r"^local: the encoder failed: onnxruntime failed on 3 tokens$"
    ):
        await scorer.score(ask("query", ["one", "two", "three", "four", "five"]))

    assert asyncio.all_tasks() == tasks
    assert not scorer._workshop._jobs
    # And the next request is served.
    assert len((await scorer.score(ask("query", ["one", "four"]))).raw) == 2


async def test_both_who_share_a_failing_job_hear_of_it(build: Build) -> None:
    scorer = build(FakeEncoder(before=fail_at("one")))

    failures = await asyncio.gather(
        scorer.score(ask("query", ["one"])),
        scorer.score(ask("query", ["one"])),
        return_exceptions=True,
    )

    assert [type(failure) for failure in failures] == [Internal, Internal]


async def test_closing_drops_what_waits(build: Build) -> None:
    gate = Gate("one")
    scorer = build(FakeEncoder(before=gate), threads=1)
    first = asyncio.create_task(scorer.score(ask("query", ["one"])))
    await gate.reached.wait()
    second = asyncio.create_task(scorer.score(ask("other", ["two"])))
    await asyncio.sleep(0)

    gate.open()
    scorer.close()

    for asking in (first, second):
        with pytest.raises(Internal, match=r"^local: closed"):
            await asking


async def test_a_closed_scorer_refuses(build: Build) -> None:
    scorer = build(FakeEncoder())
    scorer.close()

    with pytest.raises(Internal, match=r"^local: closed"):
        await scorer.score(ask("query", ["one"]))


def test_the_backends_can_be_imported_without_the_extra() -> None:
    program = (
        "import sys, gateway.backends.scorer, gateway.backends\n"
        "assert not {'numpy', 'onnxruntime', 'Stemmer'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  # ours
