"""Addresses that are taken, by one process or for several."""

import socket

import pytest

from gateway.listening import AddressError, bound, held


def _address(of: socket.socket) -> str:
    return f"127.0.0.1:{of.getsockname()[1]}"


def test_what_is_held_is_refused_to_all_but_those_who_share_it() -> None:
    with held("127.0.0.1:0") as holding:
        for take in (bound, held):
            with pytest.raises(AddressError, match="Address already in use"):
                take(_address(holding)).close()
        place = holding.getsockname()
        with (
            socket.create_server(place, reuse_port=True),
            socket.create_server(place, reuse_port=True),
        ):
            for take in (bound, held):
                with pytest.raises(AddressError, match="Address already in use"):
                    take(_address(holding)).close()
    bound(_address_of(place)).close()


def _address_of(place: tuple[str, int]) -> str:
    return f"127.0.0.1:{place[1]}"


def test_what_somebody_listens_on_cannot_be_held() -> None:
    with (
        bound("127.0.0.1:0") as listening,
        pytest.raises(AddressError, match="Address already in use"),
    ):
        held(_address(listening)).close()


def test_what_a_gateway_before_left_behind_does_not_matter() -> None:
    with bound("127.0.0.1:0") as listening:
        address = _address(listening)
        with socket.create_connection(listening.getsockname()) as caller:
            connection, _ = listening.accept()
            connection.close()  # first, so that it lingers here
            assert caller.recv(1) == b""
    held(address).close()
