"""Ask a backend about itself: at the start, until it answers, and then now and again.

A server that is replaced may take other batches or serve another model, so what it told
is not kept for ever. Nothing waits for this: until it succeeds, what is configured and
the vendor's defaults stand.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from gateway.backends.dialect import Info
from gateway.backends.errors import BackendError
from gateway.backends.facts import Facts
from gateway.backends.grpc import Caller
from gateway.backends.grpc_dialect import GrpcInfo
from gateway.backends.posting import parsed_or_none
from gateway.backends.reading import ContractBrokenError
from gateway.backends.transport import TRANSPORT_ERRORS, Transport
from gateway.events import BackendSilent, Emit, FactsLearned

_ANSWER_WITHIN_S = 2.0
_AGAIN_AFTER_S = 60.0
_FIRST_RETRY_S = 1.0
_MAX_ANSWER_BYTES = 1024 * 1024
_OK = 200

Ask = Callable[[Facts], Awaitable[str]]
"""Asks once and writes into the facts; gives what went wrong, or an empty string. Raises
`ContractBrokenError` where the answer is none."""


class Discovery:
    """Keeps the facts about one backend up to date.

    Args:
        backend: Its configured name.
        ask: Asks its server.
        facts: What is written to.
        emit: Told what was learned, and once per silence that a backend keeps it.

    """

    def __init__(self, *, backend: str, ask: Ask, facts: Facts, emit: Emit) -> None:
        self._backend = backend
        self._ask_once = ask
        self._facts = facts
        self._emit = emit

    async def run(self) -> None:
        """Ask until cancelled."""
        told: FactsLearned | None = None
        silent = False
        retry_s = _FIRST_RETRY_S
        while True:
            problem = await self._ask()
            if problem:
                if not silent:
                    self._emit(BackendSilent(self._backend, problem))
                silent = True
                wait_s, retry_s = retry_s, min(2 * retry_s, _AGAIN_AFTER_S)
            else:
                now = FactsLearned(
                    self._backend, self._facts.model, self._facts.max_documents
                )
                if now != told or silent:
                    self._emit(now)
                told, silent = now, False
                wait_s, retry_s = _AGAIN_AFTER_S, _FIRST_RETRY_S
            await asyncio.sleep(wait_s)

    async def _ask(self) -> str:
        """Ask once; give what went wrong, or an empty string."""
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return await self._ask_once(self._facts)
        except TimeoutError:
            return f"no answer in {_ANSWER_WITHIN_S:.0f} s"
        except ContractBrokenError as error:
            return str(error)


def over_http(
    info: Info,
    *,
    base_url: str,
    headers: Mapping[str, str],
    transport: Transport,
) -> Ask:
    """Ask a server that speaks HTTP.

    Args:
        info: Where its vendor tells about a server, and how to read it.
        base_url: Below which `info.path` is.
        headers: Sent along; may hold the key.
        transport: The sockets; the caller closes it.

    """
    url = base_url + info.path

    async def ask(facts: Facts) -> str:
        try:
            reply = await transport.send(
                "GET", url, headers=headers, max_answer_bytes=_MAX_ANSWER_BYTES
            )
        except TRANSPORT_ERRORS as error:
            return type(error.__cause__ or error).__name__
        if reply.status != _OK:
            return f"HTTP {reply.status}"
        if reply.body is None:
            return f"an answer of over {_MAX_ANSWER_BYTES} bytes"
        info.read(parsed_or_none(reply.body), facts)
        return ""

    return ask


def over_grpc(info: GrpcInfo, *, caller: Caller) -> Ask:
    """Ask a server that speaks gRPC.

    Args:
        info: How to read what it tells.
        caller: Of the method where it does.

    """

    async def ask(facts: Facts) -> str:
        deadline = asyncio.get_running_loop().time() + _ANSWER_WITHIN_S
        try:
            answer = await caller.call(b"", deadline=deadline)
        except BackendError as error:
            return str(error).removeprefix(f"{error.backend}: ")
        info.read(answer, facts)
        return ""

    return ask
