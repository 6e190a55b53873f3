"""How many calls beyond the ordinary ones a backend may be sent."""

from gateway.layers.budget import Budget


def taken(budget: Budget, times: int) -> int:
    return sum(budget.take() for _ in range(times))


def test_a_few_tokens_are_there_at_the_start() -> None:
    assert taken(Budget(share=0.1, initial=3, most=10), 100) == 3


def test_ten_calls_earn_one_more_call() -> None:
    budget = Budget(share=0.1, initial=0, most=10)
    for _ in range(9):
        budget.earn()
    assert not budget.take()
    budget.earn()
    assert budget.take()
    assert not budget.take()


def test_what_an_hour_without_trouble_earns_is_not_all_kept() -> None:
    budget = Budget(share=0.1, initial=0, most=5)
    for _ in range(10_000):
        budget.earn()
    assert taken(budget, 100) == 5


def test_no_more_than_the_share_is_ever_spent() -> None:
    budget = Budget(share=0.1, initial=2, most=10)
    spent = 0
    for _ in range(1_000):
        budget.earn()
        spent += taken(budget, 3)
    assert spent == 102


def test_a_share_of_nothing_spends_what_was_there_at_the_start() -> None:
    budget = Budget(share=0.0, initial=1, most=10)
    for _ in range(100):
        budget.earn()
    assert taken(budget, 5) == 1
