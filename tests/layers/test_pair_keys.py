"""Naming what a score depends on."""

from dataclasses import replace
from itertools import combinations

import pytest

from gateway.backends.scorer import Candidate, ScoreRequest
from gateway.layers.memory import Judge
from gateway.layers.pair_keys import PairKeys
from gateway.ranking.normalize import Scale
from tests.support.caches import pair_keys

JUDGE = Judge("model", "revision")


def asking(*texts: str, query: str = "q", instruction: str = "") -> ScoreRequest:
    documents = tuple(Candidate(text, rank) for rank, text in enumerate(texts, start=1))
    return ScoreRequest(
        query=query, documents=documents, deadline=0.0, instruction=instruction
    )


def named(
    request: ScoreRequest, *, judge: Judge = JUDGE, keys: PairKeys | None = None
) -> bytes:
    (key,) = (keys or pair_keys()).of_pairs(request, judge)
    return key


def test_a_key_has_128_bits() -> None:
    assert len(named(asking("text"))) == 16
    assert len(pair_keys().of_set(asking("text"), JUDGE)[0]) == 16
    assert len(pair_keys().judge) == 16


def test_the_keys_of_one_question_begin_alike_and_those_of_many_do_not() -> None:
    keys = pair_keys()
    texts = [f"text {number}" for number in range(50)]
    for of_kind in (keys.of_pairs, keys.of_set):
        of_one = of_kind(asking(*texts), JUDGE)
        assert len({key[0] for key in of_one}) == 1
        assert len(set(of_one)) == 50
        of_many = [of_kind(asking("text", query=text), JUDGE)[0] for text in texts]
        assert len({key[0] for key in of_many}) > 30


def test_the_same_pair_has_the_same_key_in_every_process() -> None:
    assert named(asking("text")) == named(asking("text"), keys=pair_keys())


def test_whatever_a_score_depends_on_is_part_of_its_key() -> None:
    base = asking("text")
    keys = [
        named(base),
        named(asking("other")),
        named(asking("text", query="other")),
        named(asking("text", instruction="other")),
        named(replace(base, passages=4)),
        named(base, judge=Judge("other", "revision")),
        named(base, judge=Judge("model", "other")),
        named(base, keys=pair_keys(backend="other")),
        named(base, keys=pair_keys(configured=("other",))),
        named(base, keys=pair_keys(configured=())),
        named(base, keys=pair_keys(scale=Scale.PROBABILITY)),
        named(base, keys=pair_keys(secret=b"another secret 1")),
        pair_keys().judge,
        pair_keys(backend="other").judge,
        *pair_keys().of_set(base, JUDGE),
    ]
    assert len(set(keys)) == len(keys)


def test_what_a_score_does_not_depend_on_is_no_part_of_its_key() -> None:
    base = asking("text")
    (document,) = base.documents
    moved = document._replace(rank=7, embedding=(1.0,))
    others = [
        replace(base, deadline=9.0),
        replace(base, caller="somebody"),
        replace(base, depth=3),
        replace(base, takes_partial=True),
        replace(base, documents=(moved,)),
    ]
    assert {named(each) for each in others} == {named(base)}


def test_the_companions_are_no_part_of_a_pair() -> None:
    keys = pair_keys().of_pairs(asking("a", "b", "a"), JUDGE)
    assert keys[0] == keys[2] == named(asking("a"))
    assert keys[1] == named(asking("b"))


def test_no_text_can_be_moved_from_one_part_to_the_next() -> None:
    parts = ["ab", "a", "b", ""]
    requests = [
        asking(text, query=query, instruction=instruction)
        for text in ("ab", "a", "b")
        for query in parts
        for instruction in parts
    ]
    keys = [named(each) for each in requests]
    keys += [named(asking("a"), judge=Judge(m, r)) for m in parts for r in parts]
    assert len(set(keys)) == len(keys)
    judges = [
        pair_keys(backend="a", configured=configured).judge
        for configured in (("b",), ("", "b"), ("b", ""), ("bb",), ())
    ]
    assert len(set(judges)) == len(judges)


def test_texts_that_only_look_alike_differ() -> None:
    texts = ["a", "A", "a ", " a", "á", "a\u0301", "\ud800", "a\0"]
    keys = [named(asking(text)) for text in texts]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "other",
    [
        asking("b", "a"),
        asking("a"),
        asking("a", "b", "c"),
        asking("a", "bb"),
        asking("ab", ""),
        replace(asking("a", "b"), query_embedding=(1.0,)),
        replace(asking("a", "b"), query_embedding=()),
        replace(asking("a", "b"), space="model"),
        replace(
            asking("a", "b"),
            documents=(Candidate("a", 1, (1.0, 2.0)), Candidate("b", 2)),
        ),
        replace(
            asking("a", "b"),
            documents=(Candidate("a", 1), Candidate("b", 2, (1.0, 2.0))),
        ),
        replace(asking("a", "b"), documents=(Candidate("a", 1), Candidate("b", 3))),
    ],
)
def test_a_set_is_all_its_documents_in_their_order_with_ranks_and_vectors(
    other: ScoreRequest,
) -> None:
    keys = pair_keys()
    whole = keys.of_set(asking("a", "b"), JUDGE)
    assert not set(whole) & set(keys.of_set(other, JUDGE))


def test_equal_documents_of_a_set_have_keys_of_their_own() -> None:
    keys = pair_keys().of_set(asking("a", "a", "a"), JUDGE)
    assert all(one != other for one, other in combinations(keys, 2))
