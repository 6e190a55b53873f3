"""A real Redis or Valkey of a test's own, to be killed, stopped and restarted."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PATIENCE_S = 20.0


class RedisServer:
    """Runs a server on a free port, which it keeps when it is started again.

    It remembers nothing over a restart.

    Args:
        folder: For whatever it writes.
        arguments: Further ones of its command line.
        tls: Speak only TLS with whoever comes by `url`, with a certificate that only
            those trust who are told to. The tests themselves speak to it without.
        host: The address on which it listens.
        inside: What is put before the command, to run it elsewhere.

    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        tls: bool = False,
        host: str = "127.0.0.1",
        inside: tuple[str, ...] = (),
    ) -> None:
        self._host = host
        self._inside = inside
        self.port = _free_port()
        self.certificate = folder / "certificate.pem"
        self._tls_port = _free_port() if tls else None
        self._folder = folder
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        if self._tls_port:
            return f"rediss://127.0.0.1:{self._tls_port}/0"
        return f"redis://{self._host}:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - a package of Debian's
            [
                *self._inside,
                binary("redis-server", "valkey-server"),
                *("--protected-mode", "no"),
                *("--bind", self._host, "--port", str(self.port)),
                *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
                *self._arguments,
                *self._tls_arguments(),
            ],
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                message = f"no Redis at {self.url}"
                raise RuntimeError(message)
            time.sleep(0.01)

    def kill(self) -> None:
        """End it without a word to its clients but a closed connection."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hear everything and say nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def tell(self, *words: bytes) -> bytes:
        """Send one command, and give what comes back, as it comes."""
        address = (self._host, self.port)
        with socket.create_connection(address, timeout=_PATIENCE_S) as sent:
            parts = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
            sent.sendall(b"*%d\r\n" % len(words) + parts)
            return sent.recv(1 << 20)

    def keys(self) -> list[bytes]:
        """List all keys, which are binary."""
        rest = self.tell(b"KEYS", b"*").split(b"\r\n", 1)[1]
        found = []
        while rest:
            length, rest = rest.split(b"\r\n", 1)
            size = int(length[1:])
            found.append(rest[:size])
            rest = rest[size + 2 :]
        return found

    def _tls_arguments(self) -> tuple[str, ...]:
        if not self._tls_port:
            return ()
        key = self._folder / "key.pem"
        subprocess.run(  # noqa: S603 - a package of Debian's
            [
                *(binary("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
                *("-keyout", str(key), "-out", str(self.certificate), "-days", "1"),
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            ],
            check=True,
            capture_output=True,
        )
        return (
            *("--tls-port", str(self._tls_port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", str(self.certificate), "--tls-key-file", str(key)),
            *("--tls-ca-cert-file", str(self.certificate)),
        )

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return self.tell(b"PING") == b"+PONG\r\n"
        except OSError:
            return False


@contextmanager
def a_redis(folder: Path, *arguments: str, tls: bool = False) -> Iterator[RedisServer]:
    """Run a server for the block, and end it however it is."""
    server = RedisServer(folder, *arguments, tls=tls)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def binary(*names: str) -> str:
    """Find a program; where there is none, its test is skipped, but never in CI."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    message = f"no {names[0]}: apt-get install {names[0]}"
    if not os.environ.get("CI"):
        pytest.skip(message)
    # Never skipped there: what nobody runs, nobody knows to work.
    raise FileNotFoundError(message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
