"""Where things that last are kept."""

import sys
from pathlib import Path

import pytest

from gateway.settings.places import data_folder, state_folder


def test_the_users_own_places_come_first() -> None:
    environ = {"XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s", "HOME": "/home/u"}

    assert data_folder(environ) == Path("/d/rerank-gateway")
    assert state_folder(environ) == Path("/s/rerank-gateway")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has its own usual places")
def test_otherwise_they_are_the_usual_ones_below_home() -> None:
    environ = {"HOME": "/home/u", "XDG_DATA_HOME": "relative", "XDG_STATE_HOME": ""}

    assert data_folder(environ) == Path("/home/u/.local/share/rerank-gateway")
    assert state_folder(environ) == Path("/home/u/.local/state/rerank-gateway")


def test_without_a_home_it_is_that_of_the_account() -> None:
    assert data_folder({}).is_relative_to(Path.home())
