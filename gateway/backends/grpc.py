"""One scorer for every vendor that speaks gRPC.

It calls what the dialect encodes and turns everything that can go wrong on the way into a
`BackendError`, as `gateway.backends.http` does for the others.
"""

import asyncio
import math
from collections.abc import Callable, Mapping

import grpc

from gateway.backends.authorities import authorities
from gateway.backends.dialect import Call, Decoded
from gateway.backends.endpoint import GrpcServer
from gateway.backends.errors import BackendError, OutOfTime, TimedOut, Unavailable
from gateway.backends.facts import Facts
from gateway.backends.grpc_dialect import GrpcDialect, GrpcRefusal
from gateway.backends.grpc_status import by_status
from gateway.backends.plausible import plausible
from gateway.backends.posting import UNWATCHED, Wire, in_a_thread_if, translated
from gateway.backends.scorer import ScoreRequest, Scores
from gateway.ranking.normalize import Scale

# Protobuf copies text so fast that only megabytes hold up the event loop.
_IN_A_THREAD_CHARACTERS = 4 * 1024 * 1024

# A result takes a dozen bytes, and no text is asked back.
_MAX_ANSWER_BYTES = 4 * 1024 * 1024

# How much later than the caller the server gives up: whoever bounds the attempt here ends
# it first, cancels it there, and knows whom to blame.
_LATER_S = 0.25

_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.primary_user_agent", "rerank-gateway"),
    ("grpc.max_send_message_length", -1),  # the server says what is too much for it
    ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
    # A compressed answer could be small on the wire and huge in memory: 1 is identity.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    # A server that vanished without a word is noticed by calls under way; an idle
    # connection is left alone.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # When to leave a server alone is for the circuit to say: by default gRPC would for
    # two minutes, and the call that is let through to see would fail unsent.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # of one attempt, whatever its name
    # No connection is shared with another backend at the same address, no proxy is read
    # from the environment, and no configuration of this process from DNS.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
)


def open_channel(server: GrpcServer) -> grpc.aio.Channel:
    """Make a channel to one server; `close` ends it.

    It connects with the first call, and again whenever that is needed.
    """
    # With a scheme of its own no host can be taken for one, such as `unix`.
    target = f"dns:///{server.address}"
    if not server.secure:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(authorities())
    return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)


class Caller:
    """Calls one method of one server.

    Args:
        backend: What the backend is called in errors.
        channel: Leads to the server; who opened it closes it.
        method: `/package.Service/Method`.
        metadata: Sent with every call; may hold the key, and is never shown.
        refusal: What an end other than success means to the vendor; None leaves it to
            its status.
        wire: Watches each call.

    """

    def __init__(
        self,
        *,
        backend: str,
        channel: grpc.aio.Channel,
        method: str,
        metadata: Mapping[str, str],
        refusal: Callable[[GrpcRefusal], BackendError | None],
        wire: Wire = UNWATCHED,
    ) -> None:
        self._backend = backend
        self._channel = channel
        # Bytes in and out: what is wrong with an answer is for the dialect to say.
        self._method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = (
            channel.unary_unary(method)
        )
        self._metadata = {key.lower(): value for key, value in metadata.items()}
        self._refusal = refusal
        self._wire = wire

    async def call(self, message: bytes, *, deadline: float) -> bytes:
        """Send a message and give the answer. Who is cancelled cancels it there, too.

        Args:
            message: As its method wants it.
            deadline: When the answer must be there, in event-loop seconds.

        Raises:
            BackendError: No answer, or a refusal.

        """
        clock = asyncio.get_running_loop().time
        began = clock()
        left_s = deadline - began
        failure: BackendError
        try:
            calling = self._method(
                message,
                timeout=left_s + _LATER_S if math.isfinite(left_s) else None,
                metadata=tuple({**self._metadata, **self._wire.sending()}.items()),
            )
            answer = await calling
            if self._wire.listens:
                self._wire.received("OK", _headers(await calling.initial_metadata()))
        except grpc.aio.AioRpcError as error:
            status = error.code().name
            self._wire.received(status, _headers(error.initial_metadata()))
            refusal = GrpcRefusal(self._backend, status, error.details() or "")
            failure = self._failure(refusal, after_s=clock() - began, left_s=left_s)
        except grpc.aio.BaseError as error:  # such as: the channel is closed
            detail = f"no answer ({type(error).__name__})"
            failure = Unavailable(self._backend, detail, lost=True)
        else:
            return answer
        # Not from there: what the server said would go along with the error.
        raise failure

    def _failure(
        self, refusal: GrpcRefusal, *, after_s: float, left_s: float
    ) -> BackendError:
        if refusal.status == "DEADLINE_EXCEEDED":
            if after_s >= left_s:
                return OutOfTime(self._backend, after_s, had_fair_chance=False)
            # By a limit of its own: so it was slow by its own measure.
            return TimedOut(self._backend, after_s, had_fair_chance=True)
        if refusal.status == "UNAVAILABLE" and not self._is_connected():
            return Unavailable(self._backend, "no connection")
        return self._refusal(refusal) or by_status(refusal)

    def _is_connected(self) -> bool:
        return (
            self._channel.get_state() is not grpc.ChannelConnectivity.TRANSIENT_FAILURE
        )


class GrpcScorer:
    """A backend behind gRPC.

    Args:
        name: The backend's configured name.
        dialect: How its vendor spells a call.
        channel: Leads to its server; who opened it closes it.
        metadata: Sent with every call; may hold the key, and is never shown.
        scale: What the model's numbers are.
        facts: What is known about the backend; its model is reported.
        model: The model to ask for; empty leaves the choice to the backend.
        wire: Watches each call.

    """

    def __init__(
        self,
        *,
        name: str,
        dialect: GrpcDialect,
        channel: grpc.aio.Channel,
        metadata: Mapping[str, str],
        scale: Scale,
        facts: Facts,
        model: str,
        wire: Wire = UNWATCHED,
    ) -> None:
        self._name = name
        self._dialect = dialect
        self._caller = Caller(
            backend=name,
            channel=channel,
            method=dialect.method,
            metadata=metadata,
            refusal=dialect.refusal,
            wire=wire,
        )
        self._scale = scale
        self._facts = facts
        self._model = model

    async def score(self, request: ScoreRequest) -> Scores:
        """Judge every document of the request in one call."""
        texts = [document.text for document in request.documents]
        size = len(request.query) + sum(map(len, texts))
        message = await in_a_thread_if(
            size > _IN_A_THREAD_CHARACTERS, self._encode, request, texts
        )
        answer = await self._caller.call(message, deadline=request.deadline)
        decoded = self._decode(answer, len(request.documents))
        return Scores(
            raw=decoded.raw,
            scale=self._scale,
            backend=self._name,
            model=decoded.model or self._facts.model,
            revision=self._facts.revision,
            usage=decoded.usage,
        )

    def _encode(self, request: ScoreRequest, texts: list[str]) -> bytes:
        call = Call(
            query=request.query,
            texts=texts,
            model=self._model,
            scale=self._scale,
            instruction=request.instruction,
        )
        with translated(self._name):
            return self._dialect.encode(call)

    def _decode(self, answer: bytes, count: int) -> Decoded:
        with translated(self._name):
            decoded = self._dialect.decode(answer, count)
        return plausible(decoded, backend=self._name, scale=self._scale)


def _headers(metadata: grpc.aio.Metadata) -> dict[str, str]:
    return {key: value for key, value in metadata if isinstance(value, str)}
