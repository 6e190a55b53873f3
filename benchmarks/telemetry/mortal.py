"""A collector that can be killed, frozen and brought back while others send to it."""

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.cost.processes import Running, running


class Collector:
    """A collector in a process of its own, always at the same address."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self._port = free_port()
        self._started = ExitStack()
        self._process: Running | None = None

    @property
    def environ(self) -> dict[str, str]:
        """Tell a gateway where it is."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": self._protocol,
        }

    def start(self) -> None:
        """Let it be there."""
        module = ("benchmarks.telemetry.collector", str(self._port), self._protocol)
        self._process = self._started.enter_context(running(*module))

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Let it be gone at once."""
        self._signal(signal.SIGKILL)
        self._started.close()
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            self._process.process.send_signal(number)


@contextmanager
def collecting(protocol: str) -> Iterator[Collector]:
    """Have a collector until the block ends, whatever became of it."""
    collector = Collector(protocol)
    collector.start()
    try:
        yield collector
    finally:
        collector.kill()


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
