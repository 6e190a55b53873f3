"""Channels to a gateway that runs: in the clear or over TLS, with what is shown there."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from gateway.cli.failing import MISTAKE, fail
from gateway.cli.handshake import context_of, names_of, what_is_wrong
from gateway.cli.reaching import Reach


def known(reach: Reach) -> Reach:
    """Look at the files of TLS, and find what this very gateway's certificate is for.

    It is asked for that, and so this is of no use on an event loop.

    Raises:
        Unreachable: It shows another one, or nobody is there.

    """
    if not reach.tls:
        return reach
    context_of(reach)
    if not reach.is_pinned:
        return reach
    name, *_ = (*names_of(reach), reach.host)
    return replace(reach, server_name=name)


def channel_to(reach: Reach) -> grpc.aio.Channel:
    """Open a channel."""
    credentials = _credentials(reach)
    if credentials is None:
        return grpc.aio.insecure_channel(reach.place, _options(reach))
    return grpc.aio.secure_channel(reach.place, credentials, _options(reach))


def blocking_channel_to(reach: Reach) -> grpc.Channel:
    """Open a channel for a command that asks one thing."""
    credentials = _credentials(reach)
    if credentials is None:
        return grpc.insecure_channel(reach.place, _options(reach))
    return grpc.secure_channel(reach.place, credentials, _options(reach))


def in_words(code: grpc.StatusCode, details: str | None, ways: Sequence[Reach]) -> str:
    """Say how a call failed, and why where nobody was reached.

    Args:
        code: Its status.
        details: What gRPC, or the gateway, says of it.
        ways: Those to the gateways that may have been asked.

    """
    if code is grpc.StatusCode.UNAVAILABLE:
        for each in ways:
            if problem := what_is_wrong(each):
                return f"{each.place}: {code.name}: {problem}"
    return f"{code.name}: {details}" if details else str(code.name)


def _options(reach: Reach) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", -1),
        # Left to itself, gRPC takes a proxy from the environment.
        ("grpc.enable_http_proxy", 0),
    ]
    if reach.server_name:
        options.append(("grpc.ssl_target_name_override", reach.server_name))
    return options


def _credentials(reach: Reach) -> grpc.ChannelCredentials | None:
    """Give what a channel is secured with; None: it is in the clear, and shows nothing."""
    if reach.tls:
        credentials = grpc.ssl_channel_credentials(
            reach.authorities,
            _read("--key-file", reach.key),
            _read("--cert-file", reach.certificate),
        )
    elif reach.token:
        credentials = grpc.local_channel_credentials()
    else:
        return None
    if not reach.token:
        return credentials
    return grpc.composite_channel_credentials(
        credentials, grpc.access_token_call_credentials(reach.token)
    )


def _read(flag: str, file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{flag}: cannot read {file}: {error.strerror}", MISTAKE)
