"""What searches have just read of documents: whatever follows a search needs it again."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.retrieval.lance.rows import Vector

_MOST_BYTES = 16 * 2**20
_FEWEST = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a document is."""

    row: int
    vector: Vector | None
    """None: not read yet."""


class Recent:
    """The places of the documents that were found last, as of one version.

    Args:
        dimension: Of the vectors.

    """

    def __init__(self, *, dimension: int) -> None:
        self._most = max(_FEWEST, _MOST_BYTES // max(1, 4 * dimension))
        self._version = -1
        # Not a dict: taking out the first of that again and again takes longer each time.
        self._places: OrderedDict[str, Place] = (
            OrderedDict()
        )  # the longest unread first

    def at(self, version: int) -> Mapping[str, Place]:
        """Give what is known of the documents of this version."""
        return self._places if version == self._version else {}

    def keep(self, version: int, found: Iterable[tuple[str, Place]]) -> None:
        """Remember what was read when this version was there already.

        It may be of a later one; then this version never is the present one again.
        """
        if version < self._version:
            return
        if version > self._version:
            self._version = version
            self._places = OrderedDict()
        places = self._places
        for name, place in found:
            before = places.pop(name, place)
            places[name] = before if place.vector is None else place
        while len(places) > self._most:
            places.popitem(last=False)
