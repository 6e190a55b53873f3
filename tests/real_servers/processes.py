"""Start real servers, and treat them badly."""

import asyncio
import os
import shlex
import signal
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.real_servers.kinds import INFINITY, LLAMACPP, Kind, Server

# Python, torch and a model from a cold disk, on a machine that has other things to do.
_WITHIN_S = 180.0
_LOOK_EVERY_S = 0.01
_END_WITHIN_S = 30.0

SOCKETS = Path("/proc/net/tcp")
_ESTABLISHED = "01"


async def until(
    condition: Callable[[], Awaitable[bool]],
    what: str,
    *,
    within_s: float = _WITHIN_S,
) -> None:
    """Look again and again until something is true."""
    try:
        async with asyncio.timeout(within_s):
            # What happens in another process tells nobody: one has to look.
            while not await condition():  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError:
        pytest.fail(f"after {within_s:.0f} s still not: {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How servers of one kind are started."""

    kind: Kind
    program_variable: str
    model_variable: str
    arguments: Callable[[str, int], list[str]]
    """Model and port to what follows the program."""
    environ: Mapping[str, str]
    answers_while_loading: bool
    """With 503; otherwise it does not listen before it can serve."""


RECIPES = (
    Recipe(
        kind=LLAMACPP,
        program_variable="LLAMA_SERVER_BINARY",
        model_variable="LLAMA_SERVER_MODEL",
        arguments=lambda model, port: [
            *("--model", model, "--reranking", "--no-webui"),
            *("--host", "127.0.0.1", "--port", str(port)),
            # Scores that do not depend on company.
            *("--parallel", "1", "--threads", "1"),
        ],
        # By default it spins, which starves everything else on a small machine.
        environ={"OMP_WAIT_POLICY": "PASSIVE"},
        answers_while_loading=True,
    ),
    Recipe(
        kind=INFINITY,
        program_variable="INFINITY_COMMAND",
        model_variable="INFINITY_MODEL",
        arguments=lambda model, port: [
            *("v2", "--model-id", model, "--engine", "torch", "--device", "cpu"),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--no-model-warmup", "--no-bettertransformer", "--no-compile"),
        ],
        environ={"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
        answers_while_loading=False,
    ),
)


@dataclass(eq=False, slots=True)
class Process:
    """One server that runs, or that was ended."""

    recipe: Recipe
    server: Server
    popen: subprocess.Popen[bytes]
    log: IO[bytes]

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2])

    async def until_ready(self) -> None:
        """Wait until it can serve."""
        await until(self.is_ready, "ready")

    async def until_asked(self) -> None:
        """Wait until a request lies in a socket of it, unread: it hangs."""

        async def waiting() -> bool:
            return any(
                local.endswith(f":{self.port:04X}") and unread > 0
                for local, unread in _unread()
            )

        await until(waiting, "asked")

    async def answers(self) -> bool:
        """Tell whether it says anything, if only that it is loading."""
        return await self._get("/health") is not None

    async def is_ready(self) -> bool:
        assert self.popen.poll() is None, f"it ended by itself: {self._said()}"
        response = await self._get("/health")
        return response is not None and response.status_code == httpx.codes.OK

    def hang(self) -> None:
        """Stop it, and wait until all its threads stand still."""
        self.popen.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(self.popen.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

    def go_on(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, also if it hangs."""
        self.popen.kill()
        self.popen.wait(_END_WITHIN_S)

    def end(self) -> None:
        """Ask it to end, and make it if it does not."""
        self.go_on()
        self.popen.terminate()
        try:
            self.popen.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()

    async def _get(self, path: str) -> httpx.Response | None:
        async with httpx.AsyncClient(trust_env=False, timeout=_WITHIN_S) as client:
            try:
                return await client.get(
                    self.server.url + path, headers=self.server.headers
                )
            except httpx.TransportError:
                return None

    def _said(self) -> str:
        self.log.seek(0)
        return self.log.read()[-2000:].decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts servers of one kind, and ends them all."""

    recipe: Recipe
    started: list[Process] = field(default_factory=list)

    def start(self, *, port: int = 0, key: str = "") -> Process:
        """Run one, on a free port unless told which; it does not serve yet.

        Args:
            port: That of one that was ended; 0: a free one.
            key: What it shall ask for; empty: nothing.

        """
        recipe = self.recipe
        port = port or _free_port()
        # Each reads variables of its own, some of which are set for these tests.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LLAMA_", "INFINITY_"))
        }
        log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        popen = subprocess.Popen(  # noqa: S603 - whoever runs these tests names it
            [
                *("nice", "-n", "10"),
                *shlex.split(os.environ[recipe.program_variable]),
                *recipe.arguments(os.environ[recipe.model_variable], port),
                *(["--api-key", key] if key else []),
            ],
            env={**inherited, **recipe.environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        server = Server(recipe.kind, f"http://127.0.0.1:{port}", key)
        process = Process(recipe, server, popen, log)
        self.started.append(process)
        return process

    async def serving(self) -> Process:
        """Give one that serves and asks for no key: a running one if there is one."""
        for process in self.started:
            if process.popen.poll() is None and not process.server.key:
                await process.until_ready()
                return process
        return await self.ready()

    async def ready(self, *, port: int = 0, key: str = "") -> Process:
        """Run one, and wait until it serves."""
        process = self.start(port=port, key=key)
        await process.until_ready()
        return process

    def end_all(self) -> None:
        for process in self.started:
            process.kill()
            process.log.close()


def _unread() -> Iterator[tuple[str, int]]:
    """Read how many bytes wait in each socket of this machine: only Linux tells."""
    _, *rows = SOCKETS.read_text().splitlines()
    for row in rows:
        _, local, _, state, queues, *_ = row.split()
        if state == _ESTABLISHED:
            yield local, int(queues.partition(":")[2], 16)


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
