"""Stop asking a backend that keeps failing; ask again, gently, after a while."""

import asyncio

from gateway.backends.errors import (
    BackendError,
    BackendState,
    CircuitOpen,
    FailureReason,
    RateLimited,
    Unavailable,
)
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.events import CircuitChanged, CircuitState, Emit
from gateway.layers.circuit import Circuit, Refused


class Breaker:
    """Consults a circuit before each call, and tells it how the call ended.

    An error that blames the backend is a failure. One that does not, and that would come
    again, is an answer: the backend lives and refuses this request. One that asks to be
    left alone, or says that the model is loading, is obeyed without blame.

    A call that its caller gave up is a failure if it had `fair_s`: otherwise hedging and
    impatient callers, who never wait for the end, would hide a backend that hangs. With
    less it shows nothing.

    Args:
        scorer: The backend with its own time limit: a late answer is a failure.
        backend: Its name, for errors.
        circuit: What is known about it.
        fair_s: A call that was given up sooner than this blames nobody.
        emit: Told when calls begin or cease to be let through.

    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        backend: str,
        circuit: Circuit,
        fair_s: float,
        emit: Emit,
    ) -> None:
        self._scorer = scorer
        self._backend = backend
        self._circuit = circuit
        self._fair_s = fair_s
        self._emit = emit
        self._told = CircuitState.CLOSED

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask if the circuit lets the call through.

        Raises:
            CircuitOpen: It failed too often lately.
            RateLimited: It asked to be left alone, and the time is not over.
            Unavailable: It said that it loads its model, likewise.

        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        permit = self._circuit.admit(began)
        self._tell(began)
        if isinstance(permit, Refused):
            raise self._refusal(permit)
        try:
            scores = await self._scorer.score(request)
        except BackendError as error:
            if error.blames_backend:
                self._circuit.failed(permit, loop.time())
            elif not error.transient:
                self._circuit.succeeded(permit, loop.time())
            else:
                self._obey(error, loop.time())
            raise
        except asyncio.CancelledError:
            if loop.time() - began >= self._fair_s:
                self._circuit.failed(permit, loop.time())
            raise
        else:
            self._circuit.succeeded(permit, loop.time())
            return scores
        finally:
            # Changes something only where nothing was learned, a bug of ours included: a
            # probe that kept its turn for ever would keep the circuit open for ever.
            self._circuit.dropped(permit)
            self._tell(loop.time())

    def _obey(self, error: BackendError, now: float) -> None:
        wait_s = error.retry_after_s
        if wait_s is None and error.state is BackendState.LOADING:
            wait_s = self._circuit.cooldown_s
        if wait_s is not None:
            self._circuit.rest_until(now + wait_s, error.reason)

    def _refusal(self, refused: Refused) -> BackendError:
        left_s = refused.left_s or None
        until = f"not asked for {refused.left_s:.2f} s more"
        match refused.reason:
            case FailureReason.RATE_LIMITED:
                detail = f"it counts calls, and is {until}"
                return RateLimited(self._backend, detail, retry_after_s=left_s)
            case FailureReason.UNAVAILABLE:
                detail = f"it was loading, and is {until}"
                return Unavailable(
                    self._backend, detail, retry_after_s=left_s, loading=True
                )
            case FailureReason.CIRCUIT_OPEN if left_s is None:
                detail = "it failed too often, and one call looks whether it still does"
            case FailureReason.CIRCUIT_OPEN:
                detail = f"it failed too often, and is {until}"
            case _:
                detail = f"it asked to be left alone, and is {until}"
        return CircuitOpen(self._backend, detail, retry_after_s=left_s)

    def _tell(self, now: float) -> None:
        state = self._circuit.state(now)
        if state is not self._told:
            self._told = state
            self._emit(CircuitChanged(self._backend, state))
