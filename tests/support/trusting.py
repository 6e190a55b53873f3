"""A gateway that believes every caller which tenant it is: `python -m tests.support.trusting`.

The metadata `x-test-tenant` says so. Who proves it is tested elsewhere.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

import gateway.server
from gateway.identity.caller import Caller, caller
from gateway.rpc.guard import Guard

TENANT = "x-test-tenant"


class Trusting(Guard):
    """Takes the tenant from the call itself."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        for key, value in handler_call_details.invocation_metadata or ():
            if key == TENANT:
                caller.set(Caller(str(value)))
        return await super().intercept_service(continuation, handler_call_details)


@contextmanager
def trusting() -> Iterator[None]:
    """Let gateways of this process believe, while they are built."""
    names = vars(gateway.server)
    guard, names["Guard"] = names["Guard"], Trusting
    try:
        yield
    finally:
        names["Guard"] = guard


if __name__ == "__main__":
    from gateway.cli import main

    with trusting():
        main()
