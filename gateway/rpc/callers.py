"""Whose share of what is scarce a call uses: of its tenant, where that is proven.

Otherwise of whom it says it is from, else of where it comes from: nobody checks either, and
nothing that needs proof goes by them.
"""

import re
from typing import Any
from urllib.parse import unquote

from grpc.aio import ServicerContext

from gateway.identity.caller import caller

_METADATA = "x-rerank-caller"
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_WITH_PORT = ("ipv4", "ipv6")


def caller_of(context: "ServicerContext[Any, Any]") -> str:
    """Name the caller of a call.

    The tenant whose credentials it showed. Where none are asked for, the metadata
    `x-rerank-caller`, 1 to 64 characters of `A-Za-z0-9_.:-`; where there is none, or
    another text, the peer without its port, such as `ipv4:127.0.0.1`. Of several the
    first one counts.
    """
    if tenant := caller.get().tenant:
        return tenant
    for key, value in context.invocation_metadata() or ():
        if key == _METADATA:
            if isinstance(value, str) and _NAME.fullmatch(value):
                return value
            break
    kind, _, address = context.peer().partition(":")
    if kind not in _WITH_PORT:
        return f"{kind}:{address}"
    # gRPC writes the brackets of an IPv6 address as in a URL.
    return f"{kind}:{unquote(address.rpartition(':')[0])}"
