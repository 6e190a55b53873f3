"""Long texts in passages that a model reads whole."""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.ranking.passages import OVERLAP, WORDS, split

ALL = 10**6

# Words, and what is between them in several scripts.
_words = st.sampled_from(
    ["one", "e.g.", "3.14", "naïve", "co-op", "パンを焼く", "漢字", "한국어"]
)
_between = st.sampled_from(
    [
        *("", " ", "  ", "\n", "\t", "\u3000", "\u00a0", ", "),
        *(". ", '." ', "?) ", "! ", "… ", "。", "\n\n", ".\n \n"),
    ]
)


def _written(pieces: list[tuple[str, str]], times: int) -> str:
    # Numbered, so that no part of the text occurs in it twice.
    return "".join(
        f"{word}{place}{between}"
        for place, (word, between) in enumerate(pieces * times)
    )


texts = st.builds(
    _written,
    st.lists(st.tuples(_words, _between), min_size=1, max_size=20),
    st.integers(min_value=1, max_value=40),
)


def words(text: str) -> list[str]:
    """Find words as readers do: between spaces, and single characters without any."""
    return re.findall(
        r"[\u2e80-\u2fff\u3001-\u9fff\uac00-\ud7af]|[^\s\u2e80-\ud7af]+", text
    )


def numbered(count: int, sentence: int = 10**9) -> str:
    """Write so many different words, with a full stop after every `sentence` of them."""
    return " ".join(
        f"w{place}." if (place + 1) % sentence == 0 else f"w{place}"
        for place in range(count)
    )


def overlap(before: str, after: str) -> int:
    """Tell how many words a passage repeats of the one before."""
    first, second = before.split(), after.split()
    return len(first) - first.index(second[0])


# A space of the ideographic kind is a space: passages of nothing else would be blank.
@example("word " + "\u3000" * 2 * WORDS + "word", ALL)
@given(texts, st.integers(min_value=1, max_value=9) | st.just(ALL))
def test_passages_are_parts_of_the_text_in_its_order(text: str, most: int) -> None:
    passages, cut = split(text, most=most)
    assert 1 <= len(passages) <= most
    end = 0
    for passage in passages:
        assert passage.strip()
        assert len(words(passage)) <= WORDS
        begin = text.index(passage)
        # It may repeat of the one before, but leaves nothing out.
        assert not text[end:begin].strip()
        assert begin + len(passage) > end
        end = begin + len(passage)
    assert cut is bool(text[end:].strip())


@given(texts)
def test_without_a_bound_every_word_is_in_a_passage(text: str) -> None:
    passages, cut = split(text, most=ALL)
    assert not cut
    assert {*words(text)} == {word for each in passages for word in words(each)}


@given(texts, st.integers(min_value=1, max_value=5))
def test_a_bound_leaves_out_the_end_and_changes_nothing_before(
    text: str, most: int
) -> None:
    every, _ = split(text, most=ALL)
    passages, cut = split(text, most=most)
    assert passages == every[:most]
    assert cut is (len(every) > most)


@pytest.mark.parametrize("count", [1, WORDS - 1, WORDS])
def test_a_text_of_one_passage_stays_as_it_is(count: int) -> None:
    text = f"  {numbered(count, 7)}\n"
    assert split(text, most=8) == ([text], False)
    assert split(text, most=1) == ([text], False)


def test_one_word_too_many_makes_two_passages() -> None:
    passages, cut = split(numbered(WORDS + 1), most=8)
    assert len(passages) == 2
    assert not cut
    first, cut = split(numbered(WORDS + 1), most=1)
    assert first == passages[:1]
    assert cut


def test_sentences_stay_whole_where_they_can() -> None:
    passages, _ = split(numbered(1000, 15), most=ALL)
    assert len(passages) > 5
    starts = [int(each.split()[0][1:]) for each in passages]
    assert all(start % 15 == 0 for start in starts)
    assert all(each.endswith(".") for each in passages[:-1])


@pytest.mark.parametrize("mark", [".", "!", "?", "…", '."', ".)", ".”", "!»"])
def test_every_mark_ends_a_sentence(mark: str) -> None:
    passages, _ = split(f"{numbered(150)}{mark} {numbered(150)}", most=2)
    assert passages[0].endswith(f"w149{mark}")


def test_a_blank_line_ends_a_sentence() -> None:
    passages, _ = split(f"{numbered(150)}\n \n{numbered(150)}", most=2)
    assert passages[0] == numbered(150)


def test_a_number_does_not_end_a_sentence() -> None:
    passages, _ = split(f"{numbered(150)} 3.14 {numbered(150)}", most=2)
    assert len(passages[0].split()) == WORDS


@pytest.mark.parametrize("sentence", [1, 3, 20, 35, 90, 170, 1000])
def test_a_passage_begins_a_little_before_the_end_of_the_one_before(
    sentence: int,
) -> None:
    passages, _ = split(numbered(3000, sentence), most=ALL)
    repeated = [overlap(before, after) for before, after in pairwise(passages)]
    assert all(OVERLAP // 4 <= each <= OVERLAP for each in repeated)
    # So the number of passages is bounded too.
    assert len(passages) <= 3000 // (WORDS // 2 - OVERLAP) + 1


def test_one_endless_sentence_is_cut_by_words() -> None:
    passages, cut = split(numbered(1000), most=ALL)
    assert not cut
    assert all(len(each.split()) == WORDS for each in passages[:-1])


def test_one_endless_word_is_one_passage() -> None:
    assert split("x" * 100_000, most=8) == (["x" * 100_000], False)


def test_scripts_without_spaces_are_split_at_their_marks() -> None:
    text = "人工知能は検索を速くする。" * 60
    passages, cut = split(text, most=ALL)
    assert not cut
    assert len(passages) > 3
    assert all(len(each) <= WORDS for each in passages)
    assert all(each.startswith("人工") for each in passages)
    assert all(each.endswith("する。") for each in passages)


def test_scripts_without_spaces_and_marks_are_split_anywhere() -> None:
    passages, _ = split("".join(chr(0x4E00 + each) for each in range(1000)), most=ALL)
    assert all(len(each) == WORDS for each in passages[:-1])


def test_no_more_of_a_text_is_looked_at_than_fits_into_its_passages() -> None:
    text = numbered(200_000, 15)
    began = time.perf_counter()
    passages, cut = split(text, most=8)
    # Some 1 ms, while the event loop stands still; all of it takes 0.2 s.
    assert time.perf_counter() - began < 0.05
    assert len(passages) == 8
    assert cut


@pytest.mark.parametrize(
    "piece",
    ["a ", "漢", "a. ", ".", '."', ". ", "\n", "\n \n", '"', "a.\n\n", "a"],
    ids=repr,
)
def test_a_text_of_one_mebibyte_takes_milliseconds(piece: str) -> None:
    text = "word " + piece * (2**20 // len(piece.encode())) + " word"
    began = time.perf_counter()
    passages, _ = split(text, most=8)
    # Some 10 ms; what grows with the square would take minutes.
    assert time.perf_counter() - began < 1.0
    assert len(passages) <= 8
