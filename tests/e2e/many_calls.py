"""A caller in a process of its own: many calls at once, each with the same deadline.

Run as `python -m tests.e2e.many_calls ADDRESS CALLS DOCUMENTS TIMEOUT_S`; prints one JSON
object per call.
"""

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass, replace

import grpc

from rerank.v1 import execution_pb2, rerank_service_pb2_grpc
from tests.e2e.running import rerank_request
from tests.e2e.subprocesses import ENVIRONMENT, ROOT


@dataclass(frozen=True, slots=True)
class Ended:
    """How one call ended."""

    code: str
    """Status code of gRPC."""
    left_s: float
    """How long before its deadline."""
    reason: str = ""
    indexes: tuple[int, ...] = ()


async def many_calls(
    address: str, *, calls: int, documents: int, timeout_s: float
) -> list[Ended]:
    """Make the calls, in another process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", __name__, address, str(calls), str(documents), str(timeout_s)),
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    ended = [Ended(**json.loads(line)) for line in said.splitlines()]
    return [replace(each, indexes=tuple(each.indexes)) for each in ended]


async def _main(address: str, calls: int, documents: int, timeout_s: float) -> None:
    loop = asyncio.get_running_loop()
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)

        async def one(place: int) -> Ended:
            # Each asks something else: what is the same would be asked once.
            request = rerank_request(documents, query=f"question {place}")
            until = loop.time() + timeout_s
            try:
                response = await stub.Rerank(request, timeout=timeout_s)
            except grpc.RpcError as error:
                return Ended(error.code().name, until - loop.time())
            reason = execution_pb2.FallbackReason.Name(
                response.execution.fallback_reason
            )
            return Ended(
                "OK",
                until - loop.time(),
                reason.removeprefix("FALLBACK_REASON_"),
                tuple(result.index for result in response.results),
            )

        for ended in await asyncio.gather(*(map(one, range(calls)))):
            print(json.dumps(asdict(ended)))  # noqa: T201 - it is a command


if __name__ == "__main__":
    _, _address, _calls, _documents, _timeout_s = sys.argv
    asyncio.run(_main(_address, int(_calls), int(_documents), float(_timeout_s)))
