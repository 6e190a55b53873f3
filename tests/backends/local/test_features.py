"""What is known about a text, and how much of it is remembered."""

from gateway.backends.local.features import Features, Memory, features_of, words_of
from tests.backends.local.fake_encoder import FakeEncoder


def features(text: str) -> Features:
    return features_of(text, None, FakeEncoder())


def test_the_text_used_least_recently_is_forgotten_first() -> None:
    known = {text: features(text) for text in ("one", "two", "three")}
    memory = Memory(max_bytes=2 * known["three"].size_bytes)
    names = {text: memory.name(text) for text in known}

    memory.put(names["one"], known["one"])
    memory.put(names["two"], known["two"])
    memory.get(names["one"])
    memory.put(names["three"], known["three"])

    assert memory.get(names["one"]) is known["one"]
    assert memory.get(names["two"]) is None
    assert memory.get(names["three"]) is known["three"]


def test_what_is_larger_than_the_bound_is_not_remembered() -> None:
    memory = Memory(max_bytes=0)

    memory.put(memory.name("one"), features("one"))

    assert memory.get(memory.name("one")) is None


def test_vectors_are_not_forgotten_for_words() -> None:
    memory = Memory(max_bytes=1_000_000)
    name = memory.name("one")

    memory.put(name, features("one"))
    memory.put(name, words_of("one"))

    known = memory.get(name)
    assert known
    assert known.encoding


def test_names_are_128_bits_under_a_key_of_each_memory() -> None:
    one, other = Memory(max_bytes=0), Memory(max_bytes=0)

    assert len(one.name("cat")) == 16
    assert one.name("cat") == one.name("cat") != one.name("dog")
    assert one.name("cat") != other.name("cat")


def test_words_known_are_not_counted_again() -> None:
    known = words_of("disk failure")

    assert features_of("something else", known, FakeEncoder()).terms is known.terms
