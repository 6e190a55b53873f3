"""One call from a thread: its deadline, its metadata, its error, and its end."""

import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

import grpc

from rerank_client.connection import Connection
from rerank_client.errors import from_rpc
from rerank_client.service_config import CALL_TIMEOUT_S

Q = TypeVar("Q")
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)


class _Answers(Protocol[A_co]):
    """A call whose answers are read one by one."""

    def __iter__(self) -> Iterator[A_co]: ...

    def cancel(self) -> bool: ...


class Calls:
    """The calls over one channel."""

    def __init__(self, connection: Connection) -> None:
        self.channel = connection.open()
        self._connection = connection

    def close(self) -> None:
        """Cancel the calls that are open, and close the channel."""
        self.channel.close()

    def ask(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Q, A]",
        request: Q,
        timeout_s: float | None,
        *,
        default_s: float = CALL_TIMEOUT_S,
    ) -> A:
        """Ask once, and wait for the answer."""
        timeout_s = self._connection.timeout_of_call(timeout_s, default_s=default_s)
        metadata = self._connection.call_metadata()
        try:
            return method(request, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise from_rpc(error) from error

    def follow(
        self,
        method: "grpc.UnaryStreamMultiCallable[Q, A]",
        request: Q,
        timeout_s: float | None,
    ) -> Generator[A]:
        """Ask once, and yield the answers as they come."""
        timeout_s = self._connection.timeout_of_call(
            timeout_s, default_s=CALL_TIMEOUT_S
        )
        metadata = self._connection.call_metadata()
        return _answers(method(request, timeout=timeout_s, metadata=metadata))

    def exchange(
        self,
        method: "grpc.StreamStreamMultiCallable[Q, A]",
        requests: Iterable[Q],
        timeout_s: float | None,
    ) -> Generator[A]:
        """Ask many times over one stream, and yield the answers as they come."""
        timeout_s = self._connection.timeout_of_stream(timeout_s)
        metadata = self._connection.call_metadata()
        source = _Source(requests)
        try:
            call = method(source, timeout=timeout_s, metadata=metadata)
            source.call = call
        finally:
            source.started.set()
        return _answers(call, source)


class _Source(Iterator[Q], Generic[Q]):
    """Requests for gRPC, which reads them in a thread of its own.

    When reading them fails, the call is cancelled, and the failure is kept for whoever
    reads the answers: left to gRPC, it would be logged with all that it says.
    """

    def __init__(self, requests: Iterable[Q]) -> None:
        self.error: BaseException | None = None
        self.call: grpc.RpcContext | None = None
        self.started = threading.Event()
        self._requests = iter(requests)

    def __next__(self) -> Q:
        """Give the next request, and end the call if there is none for a bad reason."""
        try:
            return next(self._requests)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            # gRPC reads the first request before it gives the call.
            self.started.wait()
            if self.call is not None:
                self.call.cancel()
            raise StopIteration from error


def _answers(call: _Answers[A], source: _Source[Q] | None = None) -> Generator[A]:
    try:
        yield from call
    except grpc.RpcError as error:
        if source is not None and source.error is not None:
            raise source.error from None
        raise from_rpc(error) from error
    else:
        if source is not None and source.error is not None:
            raise source.error
    finally:
        # Whoever stops reading has left: nothing more is to be done for them.
        call.cancel()
