"""Whose share of what is scarce a call uses."""

from typing import Any

import pytest

from gateway.identity.caller import Caller, caller
from gateway.rpc.callers import caller_of


class Call:
    """What gRPC tells of a call."""

    def __init__(
        self, *metadata: tuple[str, str | bytes], peer: str = "ipv4:10.0.0.7:51234"
    ) -> None:
        self._metadata = metadata
        self._peer = peer

    def invocation_metadata(self) -> Any:
        return self._metadata or None

    def peer(self) -> str:
        return self._peer


def named(*metadata: tuple[str, str | bytes], **more: str) -> str:
    call: Any = Call(*metadata, **more)
    return caller_of(call)


@pytest.mark.parametrize("name", ["a", "team-a", "svc:search_v2.EU", "x" * 64])
def test_a_caller_is_who_it_says_it_is(name: str) -> None:
    assert named(("user-agent", "grpc"), ("x-rerank-caller", name)) == name


@pytest.mark.parametrize("name", ["", "x" * 65, "two words", "größe", "a\n", b"bytes"])
def test_a_name_that_is_none_is_ignored(name: str | bytes) -> None:
    assert named(("x-rerank-caller", name)) == "ipv4:10.0.0.7"


def test_of_several_names_the_first_counts() -> None:
    assert named(("x-rerank-caller", "a"), ("x-rerank-caller", "b")) == "a"
    assert named(("x-rerank-caller", "?"), ("x-rerank-caller", "b")) == "ipv4:10.0.0.7"


@pytest.mark.parametrize(
    ("peer", "caller"),
    [
        ("ipv4:127.0.0.1:50051", "ipv4:127.0.0.1"),
        ("ipv6:[::1]:50051", "ipv6:[::1]"),
        ("ipv6:%5B2001:db8::7%5D:50051", "ipv6:[2001:db8::7]"),
        ("unix:/run/rerank.sock", "unix:/run/rerank.sock"),
        ("unix:", "unix:"),
    ],
)
def test_else_it_is_its_address_whatever_its_port(peer: str, caller: str) -> None:
    assert named(peer=peer) == caller


def test_a_tenant_that_is_proven_is_more_than_what_a_caller_says() -> None:
    token = caller.set(Caller("acme"))
    try:
        assert named(("x-rerank-caller", "umbrella")) == "acme"
    finally:
        caller.reset(token)
