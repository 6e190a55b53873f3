"""A `Scorer` over a cross-encoder in this process: every document judged alone."""

from functools import partial
from typing import Protocol

from gateway.backends.errors import Internal, WrongScale
from gateway.backends.local.cross_encoder import Judgement
from gateway.backends.local.inference import InferenceFailed
from gateway.backends.local.threads import Closed, Threads
from gateway.backends.scorer import ScoreRequest, Scores
from gateway.ranking.normalize import Scale, out_of_range


class PairJudge(Protocol):
    """What judges one pair: a `CrossEncoder`, or a fake."""

    def judge(self, query: str, document: str) -> Judgement:
        """Judge one document; called from several threads at once.

        Raises:
            InferenceFailed: No number, and why.

        """


class CrossEncoderScorer:
    """Judges documents in threads of its own, one job each; a pointwise `Scorer`.

    A document's number depends on the query and on nothing else. Vectors and
    instructions are ignored. Neither the deadline nor the number of requests is watched:
    a `Timeout` cancels, a `Limit` queues.

    Args:
        name: The configured name of the backend.
        model: What the model is called in answers.
        judge: Where numbers come from.
        scale: What they are.
        threads: How many documents are judged at the same time.

    """

    def __init__(
        self, *, name: str, model: str, judge: PairJudge, scale: Scale, threads: int
    ) -> None:
        self._name = name
        self._model = model
        self._judge = judge
        self._scale = scale
        self._threads = Threads(threads)

    async def score(self, request: ScoreRequest) -> Scores:
        """Judge every document; all of them get a number.

        `truncated` are the documents that did not fit beside the query. Cancellation
        drops every document that has not begun.

        Raises:
            Internal: The model failed, or the scorer is closed.
            WrongScale: A number cannot be of the configured scale.

        """
        try:
            judgements = await self._threads.run_all(
                partial(self._judge.judge, request.query, each.text)
                for each in request.documents
            )
        except InferenceFailed as error:
            raise Internal(self._name, f"the model failed: {error}") from error
        except Closed as error:
            raise Internal(self._name, "closed while it was needed") from error
        if any(out_of_range(each.number, self._scale) for each in judgements):
            detail = f"a score that is no {self._scale}: is its scale configured right?"
            raise WrongScale(self._name, detail)
        return Scores(
            raw=tuple(each.number for each in judgements),
            scale=self._scale,
            backend=self._name,
            model=self._model,
            truncated=frozenset(
                place for place, each in enumerate(judgements) if each.truncated
            ),
        )

    def close(self) -> None:
        """End the threads; what is asked for from now on fails as `Internal`.

        It waits for inferences that have begun, and drops the others.
        """
        self._threads.close()
