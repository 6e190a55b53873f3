"""A gateway that believes every caller which tenant it is, for `benchmarks.tenants` alone.

The metadata `x-bench-tenant` says so: what it costs to prove it is not measured here.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

import gateway.server
from gateway.cli import main
from gateway.identity.caller import Caller, caller
from gateway.rpc.guard import Guard

TENANT = "x-bench-tenant"


class Trusting(Guard):
    """Takes the tenant from the call itself."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401 - whatever handles the call
        """Note who calls, and go on."""
        for key, value in handler_call_details.invocation_metadata or ():
            if key == TENANT:
                caller.set(Caller(str(value)))
        return await super().intercept_service(continuation, handler_call_details)


if __name__ == "__main__":
    vars(gateway.server)["Guard"] = Trusting
    main()
