"""One HTTP request and its answer: read in time, served as a call, written as asked for."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc
from aiohttp import web
from grpc.aio import AbortError

from gateway.errors import InvalidRequest, Violation
from gateway.faces.headers import CHALLENGE, Wishes, truth_of_failure, wishes
from gateway.faces.incoming import (
    JSON,
    Unserved,
    body_of,
    certificate_of,
    metadata_of,
    sender_of,
)
from gateway.faces.refusal import Refusal, read_refusal
from gateway.rpc.handlers import Handler
from gateway.rpc.in_process import Context, Details, Incoming, InProcess
from gateway.rpc.violations import Violations

_TRAILERS = ("x-trace-id", "x-rerank-debug")


@dataclass(frozen=True, slots=True)
class Written:
    """What goes back."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] | None = None


class Api(Protocol):
    """One request to one API: how it is read, served and answered."""

    method: str
    """The RPC that it becomes, `/package.Service/Method`."""
    face: str
    """Whose API it is."""

    def read(self, body: bytes, headers: Mapping[str, str], wanted: Wishes) -> object:
        """Read the request, and give its message.

        Raises:
            Unserved: It is none.
            InvalidRequest: With every violation.

        """

    async def serve(self, context: Context) -> tuple[object, Written]:
        """Serve what was read; gives the message of the answer, and the answer itself."""

    def refuse(self, refusal: Refusal) -> Written:
        """Write an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a body may be."""

    max_body_bytes: int
    body_timeout_s: float


class Exchanges:
    """Answers requests.

    Args:
        in_process: Serves the calls that they become.
        bounds: Of bodies.

    """

    def __init__(self, in_process: InProcess, bounds: Bounds) -> None:
        self._in_process = in_process
        self._bounds = bounds

    async def answer(self, request: web.BaseRequest, api: Api) -> web.Response:
        """Answer one request."""
        wrong = Violations()
        wanted = wishes(request.headers, wrong)
        deadline = None
        if wanted.timeout_s is not None:
            deadline = asyncio.get_running_loop().time() + wanted.timeout_s
        details = Details(api.method, metadata_of(request.headers), api.face)
        context = Context(
            details, sender_of(request), deadline, certificate_of(request)
        )
        one = _Exchange(request, api, context, wanted, wrong.found)
        try:
            async with asyncio.timeout_at(deadline):
                await one.run(self._in_process, self._bounds)
        except AbortError:
            refusal = one.refusal()
        except TimeoutError:
            refusal = Refusal(
                code=grpc.StatusCode.DEADLINE_EXCEEDED,
                message="the deadline left no time for an answer",
                reason="DEADLINE_EXCEEDED",
            )
        else:
            return _response(one.written, context.trailing_metadata())
        return _response(api.refuse(refusal), context.trailing_metadata(), refusal)


class _Exchange:
    """One request that becomes a call."""

    def __init__(
        self,
        request: web.BaseRequest,
        api: Api,
        context: Context,
        wanted: Wishes,
        wrong: tuple[Violation, ...],
    ) -> None:
        self._request = request
        self._api = api
        self._context = context
        self._wanted = wanted
        self._wrong = wrong
        self._body = b""
        self._unserved: Refusal | None = None
        self._misshapen = False
        self.written: Written

    async def run(self, in_process: InProcess, bounds: Bounds) -> None:
        """Read and serve it, as far as those allow who stand before every call.

        Raises:
            AbortError: It was refused.

        """
        handler: Handler = grpc.unary_unary_rpc_method_handler(self._serve)
        entered = await in_process.enter(self._context.details_of_call, handler)
        if entered.wants_request:
            try:
                self._body = await body_of(
                    self._request,
                    max_bytes=bounds.max_body_bytes,
                    timeout_s=bounds.body_timeout_s,
                )
            except Unserved as error:
                self._unserved = error.refusal
        await entered.serve(Incoming(), self._context)

    async def _serve(self, incoming: Incoming, _: object) -> object:
        """Serve it, where all that is raised is seen, written down and counted."""
        context = self._context
        if self._unserved is None:
            try:
                incoming.message = self._read()
            except Unserved as error:
                self._unserved = error.refusal
        if self._unserved:
            await context.abort(self._unserved.code, self._unserved.message)
        message, self.written = await self._api.serve(context)
        return message

    def _read(self) -> object:
        try:
            message = self._api.read(self._body, self._request.headers, self._wanted)
        except InvalidRequest as error:
            self._misshapen = True
            raise InvalidRequest((*self._wrong, *error.violations)) from error
        if self._wrong:
            raise InvalidRequest(self._wrong)
        return message

    def refusal(self) -> Refusal:
        """Say why it was refused."""
        return self._unserved or read_refusal(
            self._context.code(),
            self._context.details(),
            self._context.trailing_metadata(),
            misshapen=self._misshapen,
        )


def _response(
    written: Written,
    trailers: Sequence[tuple[str, str | bytes]],
    refusal: Refusal | None = None,
) -> web.Response:
    response = web.Response(
        body=written.body,
        status=written.status,
        headers=written.headers,
        content_type=written.content_type,
    )
    for name, value in trailers:
        if name in _TRAILERS and isinstance(value, str):
            response.headers.add(name, value)
    if refusal and refusal.execution:
        response.headers.update(truth_of_failure(refusal.execution))
    if refusal and refusal.code is grpc.StatusCode.UNAUTHENTICATED:
        response.headers.update(CHALLENGE)
    if refusal and refusal.retry_after:
        response.headers["Retry-After"] = refusal.retry_after
    return response
