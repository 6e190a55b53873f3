"""API keys: what is shown, compared, and told."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity import keys
from gateway.identity.bearer import bearer_in
from gateway.identity.caller import Caller
from gateway.identity.keys import HASH_OF_NOTHING, Key, KeyRing, hash_of, new_key, shows
from gateway.identity.shown import Shown

SHOP, HALL = Caller("shop", key="shop"), Caller("hall", key="hall")


def key_of(caller: Caller, key: str, *, expires_at: float | None = None) -> Key:
    return Key(bytes.fromhex(hash_of(key)), caller, expires_at)


def shown(key: str) -> Shown:
    return Shown([("authorization", f"Bearer {key}")])


def test_a_key_is_256_random_bits_and_says_what_it_is() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(each.startswith("rgw_") and len(each) == 4 + 43 for each in made)


async def test_each_key_is_its_callers() -> None:
    ring = KeyRing([key_of(SHOP, "one"), key_of(HALL, "two")])
    assert await ring.identify(shown("one")) is SHOP
    assert await ring.identify(shown("two")) is HALL
    assert await ring.identify(shown("three")) is None
    assert await ring.identify(Shown()) is None


async def test_a_key_is_none_from_its_end_on() -> None:
    now = 100.0
    ring = KeyRing([key_of(SHOP, "one", expires_at=101.0)], now=lambda: now)
    assert await ring.identify(shown("one")) is SHOP
    now = 101.0
    assert await ring.identify(shown("one")) is None


async def test_those_that_replace_others_are_known_alone() -> None:
    ring = KeyRing([key_of(SHOP, "one")])
    ring.replace([key_of(HALL, "two")])
    assert await ring.identify(shown("one")) is None
    assert await ring.identify(shown("two")) is HALL


async def test_without_keys_nobody_is_known() -> None:
    assert await KeyRing([]).identify(shown("one")) is None
    assert await KeyRing([]).identify(Shown()) is None


def test_nothing_has_the_hash_that_is_refused() -> None:
    assert hash_of("") == HASH_OF_NOTHING


def test_the_one_key_of_an_endpoint() -> None:
    digest = bytes.fromhex(hash_of("one"))
    assert shows(shown("one").metadata, digest)
    assert not shows(shown("two").metadata, digest)
    assert not shows([], digest)


# Constant time


@pytest.mark.parametrize("what", [KeyRing.identify, shows])
def test_hashes_are_compared_in_constant_time(what: Any) -> None:
    """`==` ends at the first byte that differs; nothing here may use it, nor look up."""
    source = inspect.getsource(what)
    tree = ast.parse(source.strip() if what is shows else "class C:\n" + source)
    compared = [
        type(operator)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for operator in node.ops
    ]
    assert not {ast.Eq, ast.NotEq, ast.In, ast.NotIn} & set(compared)
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "compare_digest" in called


async def test_every_key_is_compared_whatever_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[bytes] = []

    def compare(ours: bytes, theirs: bytes) -> bool:
        compared.append(ours)
        return ours == theirs

    monkeypatch.setattr(keys, "compare_digest", compare)
    names = [str(each) for each in range(20)]
    ring = KeyRing([key_of(Caller(each), each) for each in names])
    for said in (
        shown("0"),
        shown("19"),
        shown("wrong"),
        Shown(),
        Shown([("authorization", "x")]),
    ):
        compared.clear()
        await ring.identify(said)
        assert len(compared) == 20


def test_no_module_keeps_a_key() -> None:
    """Whatever is configured is a hash."""
    folder = Path(keys.__file__).parents[1] / "settings"
    assert "api_key: str" not in (folder / "identity.py").read_text("utf-8")


# What is shown


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER  abc ", "abc"),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("abc", ""),
        ("Basic abc", ""),
        ("Bearerabc", ""),
        ("Bearer\tabc", ""),
        ("Bearer a\x00c", ""),
        ("Bearer ä", ""),
        ("Bearer " + "a" * 16_385, ""),
        ("Bearer " + "a" * 16_384, "a" * 16_384),
    ],
)
def test_what_is_shown(value: str, token: str) -> None:
    assert bearer_in([("authorization", value)]) == token


def test_only_one_thing_is_shown() -> None:
    one = ("authorization", "Bearer abc")
    assert bearer_in([("x", "y"), one]) == "abc"
    assert not bearer_in([one, one])
    assert not bearer_in([("authorization-bin", b"Bearer abc")])
    assert not bearer_in([("authorization", b"Bearer abc")])


@given(st.lists(st.tuples(st.text(), st.text() | st.binary())))
def test_whatever_is_sent_is_read(metadata: list[tuple[str, str | bytes]]) -> None:
    bearer_in(metadata)
