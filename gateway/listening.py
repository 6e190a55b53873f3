"""Bind an address, or say in one line why it cannot be bound."""

import os
import socket


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
    host, _, port = address.rpartition(":")
    try:
        family, _, _, _, place = socket.getaddrinfo(
            host.removeprefix("[").removesuffix("]"),
            int(port),
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
        return socket.create_server(place[:2], family=family)
    except OSError as error:
        # Python adds the address to the reason; a failed look-up has one of its own.
        failed_lookup = isinstance(error, socket.gaierror)
        reason = error.strerror if failed_lookup else os.strerror(error.errno or 0)
        message = f"cannot listen on {address}: {reason}"
        raise AddressError(message) from error
