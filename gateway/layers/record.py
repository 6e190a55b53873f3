"""Write down every call to a backend: how long it took and how it ended."""

import asyncio

from gateway.backends.errors import Attempt, BackendError, BackendState
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.events import AttemptEnded, Emit
from gateway.observing import UNOBSERVED, Observer, Tell


class Record:
    """Adds one `Attempt` to what comes out, be it scores or an error.

    Args:
        scorer: Whose calls are written down.
        backend: Its name.
        facts: Names the model where the answer does not.
        emit: Told at the end of each call; not of calls that a caller gave up.
        remote: It runs in another process.
        observer: Watches each call, those that are given up too.

    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        backend: str,
        facts: Facts,
        emit: Emit,
        remote: bool = True,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._scorer = scorer
        self._backend = backend
        self._remote = remote
        self._facts = facts
        self._emit = emit
        self._observer = observer

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask and write down."""
        with self._observer.attempt(
            backend=self._backend,
            remote=self._remote,
            document_count=len(request.documents),
        ) as tell:
            return await self._recorded(request, tell)

    async def _recorded(self, request: ScoreRequest, tell: Tell[Attempt]) -> Scores:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            scores = await self._scorer.score(request)
        except BackendError as error:
            attempt = Attempt(
                backend=self._backend,
                model=self._facts.model,
                failure=error.reason,
                duration_s=loop.time() - began,
                document_count=len(request.documents),
            )
            error.add(attempt)
            self._emit(AttemptEnded(attempt, str(error), error.state))
            tell(attempt)
            raise
        attempt = Attempt(
            backend=self._backend,
            model=scores.model,
            failure=None,
            duration_s=loop.time() - began,
            document_count=len(request.documents),
        )
        self._emit(AttemptEnded(attempt, "", BackendState.READY))
        tell(attempt)
        return scores.with_attempts(attempt)
