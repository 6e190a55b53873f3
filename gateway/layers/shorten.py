"""Shorten documents that are too long for a backend that does not cut them itself.

Such a backend refuses a whole call for one long document, and does not say which.
"""

import string
from dataclasses import replace
from typing import TypeGuard

from gateway.backends.errors import Attempt, BackendError, Excess, TooLarge
from gateway.backends.scorer import Candidate, Scorer, ScoreRequest, Scores

# Word pieces of English prose hold about four characters; symbols and the characters of
# other scripts are one each.
_CHARACTERS_PER_TOKEN = 4
_IN_WORDS = (string.ascii_letters + string.digits + string.whitespace).encode()
# Without the backend's own count, assume that texts are that much denser than prose.
_DENSITY_UNKNOWN = 1.5
# How much of the room to use, at each try. What is refused again is another document,
# denser than the first one, or runs into another bound: then caution is worth more than
# text.
_MARGINS = (0.8, 0.5, 0.3)


class Shorten:
    """Cuts the longest documents and asks again.

    Args:
        scorer: Asked at most four times.
        max_tokens: What one pair of query and document may hold, where the backend
            does not name the bound in its refusal.

    """

    def __init__(self, scorer: Scorer, *, max_tokens: int) -> None:
        self._scorer = scorer
        self._max_tokens = max_tokens

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask, and name in `truncated` what had to be cut."""
        attempts: tuple[Attempt, ...] = ()
        truncated: frozenset[int] = frozenset()
        margins = iter(_MARGINS)
        while True:
            try:
                scores = await self._scorer.score(request)
            except BackendError as error:
                error.attempts = attempts = (*attempts, *error.attempts)
                margin = next(margins, None)
                if margin is None or not _has_long_documents(error):
                    raise
                request, cut = self._shortened(request, error, margin)
                if not cut:
                    raise
                truncated |= cut
            else:
                if not attempts:
                    return scores
                return replace(
                    scores,
                    truncated=scores.truncated | truncated,
                    attempts=(*attempts, *scores.attempts),
                )

    def _shortened(
        self, request: ScoreRequest, error: TooLarge, margin: float
    ) -> tuple[ScoreRequest, frozenset[int]]:
        query = _estimate(request.query)
        sizes = [_estimate(document.text) for document in request.documents]
        limit = error.limit or self._max_tokens
        room = margin * limit / _density(error.given, query, sizes) - query
        if room < 1:
            return request, frozenset()
        cut = frozenset(place for place, size in enumerate(sizes) if size > room)
        documents = tuple(
            _cut(document, room) if place in cut else document
            for place, document in enumerate(request.documents)
        )
        return replace(request, documents=documents), cut


def _has_long_documents(error: BackendError) -> TypeGuard[TooLarge]:
    return isinstance(error, TooLarge) and error.excess is Excess.TOKENS


def _density(given: int | None, query: float, sizes: list[float]) -> float:
    """Say how many tokens there are for each one that was estimated."""
    if not given:
        return _DENSITY_UNKNOWN
    # Which document was refused is not said; most likely the one of about that size.
    likely = min(
        (query + size for size in sizes),
        key=lambda size: max(size / given, given / size),
    )
    return given / likely


def _estimate(text: str) -> float:
    """Estimate how many tokens a text has, at least one."""
    plain = text.encode("ascii", "ignore")
    symbols = len(plain.translate(None, _IN_WORDS))
    in_words = len(plain) - symbols
    others = len(text) - in_words
    return max(in_words / _CHARACTERS_PER_TOKEN + others, 1.0)


def _cut(document: Candidate, room: float) -> Candidate:
    """Keep as much of the beginning as has room: it may be denser than the rest."""
    whole = document.text
    fits, beyond = 1, min(len(whole), int(room * _CHARACTERS_PER_TOKEN) + 1)
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if _estimate(whole[:middle]) <= room:
            fits = middle
        else:
            beyond = middle
    text = whole[:fits]
    return document._replace(text=text if text.strip() else whole.strip()[:1])
