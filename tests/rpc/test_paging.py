"""A long list is given by pages, without gap or repetition."""

from dataclasses import dataclass

import pytest

from gateway.errors import InvalidRequest
from gateway.rpc.paging import read_page

NAMES = [f"name-{number:04}" for number in range(1234)]


@dataclass
class Asking:
    page_size: int = 0
    page_token: str = ""


def cut(asking: Asking) -> tuple[list[str], str]:
    part, token = read_page(asking, default_size=50).cut(NAMES, name=str)
    return list(part), token


@pytest.mark.parametrize("size", [0, 1, 617, 1000, 2**31 - 1])
def test_pages_follow_each_other_without_gap_or_repetition(size: int) -> None:
    asking, seen = Asking(size), list[str]()
    while True:
        part, asking.page_token = cut(asking)
        assert len(part) <= min(size or 50, 1000)
        seen += part
        if not asking.page_token:
            break
    assert seen == NAMES


def test_a_page_begins_after_a_name_that_is_gone() -> None:
    part, _ = cut(Asking(1, "after:name-0007-gone"))
    assert part == ["name-0008"]


def test_after_the_last_there_is_nothing() -> None:
    assert cut(Asking(1, "after:z")) == ([], "")


@pytest.mark.parametrize(
    ("size", "token", "fields"),
    [
        (-1, "", ["page_size"]),
        (0, "mine", ["page_token"]),
        (-1, "after:", ["page_size", "page_token"]),
    ],
)
def test_a_page_that_was_never_given_is_an_error(
    size: int, token: str, fields: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        cut(Asking(size, token))
    assert [each.field for each in raised.value.violations] == fields
