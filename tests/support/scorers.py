"""A scorer that does as it is told, and remembers what it was asked."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.backends.errors import BackendError
from gateway.backends.scorer import Candidate, ScoreRequest, Scores
from gateway.ranking.normalize import Scale

Step = Callable[["FakeScorer", ScoreRequest], Awaitable[Scores]]
"""What happens in one call."""


class FakeScorer:
    """Plays one step per call; the last one is played for ever.

    Without any step it reads each document's score from its text, such as `-2.5`, or
    takes the length of a text that is no number.
    """

    def __init__(
        self,
        *steps: Step,
        backend: str = "fake",
        model: str = "fake-model",
        scale: Scale = Scale.LOGIT,
    ) -> None:
        self.backend = backend
        self.model = model
        self.scale = scale
        self.requests: list[ScoreRequest] = []
        self.began: list[float] = []  # when each of them came
        self.running = 0
        self.most_running = 0
        self.cancelled: list[ScoreRequest] = []
        self._steps = steps or (reads(),)

    @property
    def sizes(self) -> list[int]:
        """How many documents each call brought."""
        return [len(request.documents) for request in self.requests]

    @property
    def queries(self) -> list[str]:
        """What each call asked."""
        return [request.query for request in self.requests]

    async def score(self, request: ScoreRequest) -> Scores:
        step = self._steps[min(len(self.requests), len(self._steps) - 1)]
        self.requests.append(request)
        self.began.append(now())
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await step(self, request)
        except asyncio.CancelledError:
            self.cancelled.append(request)
            raise
        finally:
            self.running -= 1

    def scores(self, *raw: float | None) -> Scores:
        """Make scores that carry this scorer's name."""
        return Scores(raw=raw, scale=self.scale, backend=self.backend, model=self.model)


def reads() -> Step:
    """Answer with the number that each text is."""

    async def step(scorer: FakeScorer, request: ScoreRequest) -> Scores:
        return scorer.scores(*(_number(each.text) for each in request.documents))

    return step


def answers(*raw: float | None) -> Step:
    """Answer with these scores."""

    async def step(scorer: FakeScorer, _: ScoreRequest) -> Scores:
        return scorer.scores(*raw)

    return step


def gives(scores: Scores) -> Step:
    """Answer with exactly this."""

    async def step(_: FakeScorer, __: ScoreRequest) -> Scores:
        return scores

    return step


def fails(make: Callable[[], BackendError]) -> Step:
    """Raise a new error in every call."""

    async def step(_: FakeScorer, __: ScoreRequest) -> Scores:
        raise make()

    return step


def after(seconds: float, then: Step) -> Step:
    """Take so long first."""

    async def step(scorer: FakeScorer, request: ScoreRequest) -> Scores:
        await asyncio.sleep(seconds)
        return await then(scorer, request)

    return step


def hangs() -> Step:
    """Never answer."""

    async def step(_: FakeScorer, __: ScoreRequest) -> Scores:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    return step


def chooses(choose: Callable[[ScoreRequest], Step]) -> Step:
    """Let the request decide what happens."""

    async def step(scorer: FakeScorer, request: ScoreRequest) -> Scores:
        return await choose(request)(scorer, request)

    return step


def asking(
    *texts: str,
    query: str = "q",
    within_s: float = 10.0,
    depth: int | None = None,
    instruction: str = "",
) -> ScoreRequest:
    """Ask about some documents, with so much time from now."""
    return ScoreRequest(
        query=query,
        documents=tuple(
            Candidate(text=text, rank=rank) for rank, text in enumerate(texts, start=1)
        ),
        deadline=now() + within_s,
        depth=depth,
        instruction=instruction,
    )


def now() -> float:
    """Tell the time of the loop."""
    return asyncio.get_running_loop().time()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float(len(text))
