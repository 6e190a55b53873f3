"""Bind an address, or say in one line why it cannot be bound."""

import os
import socket
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class AddressError(Exception):
    """The configured address cannot be listened on."""


def bound(address: str) -> socket.socket:
    """Listen on an address.

    Args:
        address: HOST:PORT; an IPv6 host is written in brackets, and port 0 takes a free
            one.

    Raises:
        AddressError: In use, not ours, or not resolvable.

    """
    return _at(
        address, lambda place, family: socket.create_server(place[:2], family=family)
    )


def shared(address: str) -> socket.socket:
    """Listen on an address that is held, beside other processes of ours.

    Args:
        address: As above.

    Raises:
        AddressError: Not ours, or not resolvable.

    """
    return _at(
        address,
        lambda place, family: socket.create_server(
            place[:2], family=family, reuse_port=True
        ),
    )


def held(address: str) -> socket.socket:
    """Keep an address for several processes of ours, and from everybody else.

    It is refused where anybody has it. From then on sockets with SO_REUSEPORT may listen
    on it, and none without: so nobody joins who looks first whether it is free.

    Args:
        address: As above.

    Raises:
        AddressError: In use, not ours, or not resolvable.

    """
    return _at(address, _held)


def _held(place: tuple[str, int], family: socket.AddressFamily) -> socket.socket:
    holding = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            holding.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Connections that a gateway before this one had may still linger there.
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holding.bind(place)
        # Only when it is ours alone is it shared.
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        holding.close()
        raise
    return holding


def _at(address: str, take: Callable[[tuple[str, int], socket.AddressFamily], T]) -> T:
    host, _, port = address.rpartition(":")
    try:
        family, _, _, _, place = socket.getaddrinfo(
            host.removeprefix("[").removesuffix("]"),
            int(port),
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
        return take((str(place[0]), int(place[1])), family)
    except OSError as error:
        # Python adds the address to the reason; a failed look-up has one of its own.
        failed_lookup = isinstance(error, socket.gaierror)
        reason = error.strerror if failed_lookup else os.strerror(error.errno or 0)
        message = f"cannot listen on {address}: {reason}"
        raise AddressError(message) from error
