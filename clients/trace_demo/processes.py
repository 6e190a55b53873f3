"""Other programs, which run as long as they are needed."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

STOP_S = 15.0
LOOK_EVERY_S = 0.2
LINES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Running:
    """A program that was started."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    """What it writes, to both of its outputs."""

    def until(
        self,
        ready: Callable[[], bool],
        *,
        patience_s: float,
        late: str = "was not ready",
    ) -> None:
        """Wait for something of it to be there."""
        give_up_at = time.monotonic() + patience_s
        while not ready():
            if self.process.poll() is not None:
                self.fail("ended")
            if time.monotonic() > give_up_at:
                self.fail(f"{late} after {patience_s:.0f} s")
            time.sleep(LOOK_EVERY_S)

    def said(self) -> str:
        """Give all that it has written."""
        return self.log.read_text("utf-8", errors="replace")

    def fail(self, what: str) -> NoReturn:
        """End the demo with what it said last."""
        last = self.said().splitlines()[-LINES_SHOWN:]
        sys.exit("\n  ".join([f"{self.name} {what}. The last it said:", *last]))


@contextmanager
def running(
    name: str, command: Sequence[str], *, environ: Mapping[str, str], log: Path
) -> Iterator[Running]:
    """Start a program, and stop it at the end."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environ,
            # Ctrl-C in the terminal is for the demo, which stops the others in order.
            start_new_session=True,
        )
    try:
        yield Running(name, process, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port(wanted: int = 0) -> int:
    """Give the port that is wanted where it is free, else another one."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        port: int = tried.getsockname()[1]
        return port
