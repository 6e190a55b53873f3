"""Take the handler of an RPC apart and put it together again, whatever it streams."""

from collections.abc import Callable
from typing import Any, TypeAlias

import grpc

# Quoted: at run time, grpc's classes take no type arguments.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_MAKERS: dict[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def behaviour_of(handler: Handler) -> Callable[..., Any]:
    """Give what a handler does with a request, or with a stream of them."""
    asked = "stream" if handler.request_streaming else "unary"
    answered = "stream" if handler.response_streaming else "unary"
    behaviour: Callable[..., Any] = getattr(handler, f"{asked}_{answered}")
    return behaviour


def with_behaviour(
    handler: Handler,
    behaviour: Callable[..., Any],
    *,
    request_deserializer: Callable[[bytes], object] | None,
) -> Handler:
    """Give the same handler with another behaviour.

    Args:
        handler: Says what is streamed, and how answers are written.
        behaviour: What it does instead.
        request_deserializer: How a request is read.

    """
    made: Handler = _MAKERS[handler.request_streaming, handler.response_streaming](
        behaviour,
        request_deserializer=request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return made
