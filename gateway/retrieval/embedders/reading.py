"""Read vectors out of a vendor's JSON, or refuse it: nothing is paired by luck.

One wrong number makes the whole answer invalid: a vector that points anywhere finds
anything, and once stored it does so for years.
"""

import math

from gateway.backends.reading import (
    ContractBrokenError,
    Json,
    array,
    mapping,
    number,
)


def by_index(items: Json, *, vector_key: str, count: int) -> list[list[float]]:
    """Read `[{"index": 1, vector_key: [0.1, …]}, …]`, in any order.

    Args:
        items: The parsed list.
        vector_key: The member that holds the vector.
        count: How many texts were sent. Each must be there exactly once.

    Raises:
        ContractBrokenError: A missing, repeated, foreign or ill-typed entry, or vectors
            of several dimensions.

    """
    found: dict[int, list[float]] = {}
    for entry in _exactly(items, count):
        result = mapping(entry, "a result")
        index = result.get("index")
        # True is an int to Python.
        if type(index) is not int:
            message = "an index is not an integer"
            raise ContractBrokenError(message)
        if not 0 <= index < count:
            message = f"an index is outside 0 to {count - 1}"
            raise ContractBrokenError(message)
        if index in found:
            message = f"index {index} is there twice"
            raise ContractBrokenError(message)
        found[index] = _vector(result.get(vector_key), index)
    return _of_one_dimension([found[place] for place in range(count)])


def by_position(items: Json, *, count: int) -> list[list[float]]:
    """Read `[[0.1, …], …]`, promised to be in the order of the call.

    Raises:
        ContractBrokenError: Another length than `count`, what is no vector, or vectors
            of several dimensions.

    """
    return _of_one_dimension(
        [_vector(entry, place) for place, entry in enumerate(_exactly(items, count))]
    )


def _exactly(items: Json, count: int) -> list[Json]:
    entries = array(items, "the list of vectors")
    if len(entries) != count:
        message = f"{len(entries)} vectors for {count} texts"
        raise ContractBrokenError(message)
    return entries


def _vector(value: Json, place: int) -> list[float]:
    numbers = array(value, f"vector {place}")
    if not numbers:
        message = f"vector {place} is empty"
        raise ContractBrokenError(message)
    # A thousand numbers each: the slow look is only for what fails this one.
    if not set(map(type, numbers)) <= {int, float} or not all(
        map(math.isfinite, numbers)
    ):
        for each in numbers:
            number(each, f"a number of vector {place}")
    return numbers


def _of_one_dimension(vectors: list[list[float]]) -> list[list[float]]:
    first = len(vectors[0])
    for place, vector in enumerate(vectors):
        if len(vector) != first:
            message = f"vector {place} has {len(vector)} numbers, vector 0 has {first}"
            raise ContractBrokenError(message)
    return vectors
