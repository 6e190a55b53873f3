"""Split long texts into passages that a model can read whole."""

import re
from itertools import islice

WORDS = 180
"""In a passage. With a query of 30 words it fits the 512 tokens of most cross-encoders,
at about two tokens a word in languages other than English."""

OVERLAP = 40
"""Words that a passage repeats of the one before, so that no thought is cut in two."""

# A run of letters, or one character of a script that puts no spaces between words; its
# space, U+3000, is none.
_WORD = re.compile(
    r"[\u2e80-\u2fff\u3001-\u9fff\uac00-\ud7af\uf900-\ufaff]"
    r"|[^\s\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
)
# Where a sentence ends: after its mark and quotes, before a space; or at a blank line.
# Chinese and Japanese have marks of their own, with no space after them.
_SENTENCE = re.compile(
    r"(?<=[.!?\u2026])[\"')\]\u00bb\u201d]*\s+|(?<=[\u3002\uff01\uff1f])|\n\s*\n"
)


def split(text: str, *, most: int) -> tuple[list[str], bool]:
    """Split a text at the ends of its sentences.

    Args:
        text: Not blank.
        most: How many passages at most, 1 or more; what comes after them is left out.

    Returns:
        The passages, each a part of the text of at most `WORDS` words, which begins with
        up to `OVERLAP` words of the one before; and whether something was left out.

    """
    # No more than can be in the passages, and one to tell that something is left out:
    # the words of 1 MiB take 0.2 s, in which the event loop would stand still.
    found = islice(_WORD.finditer(text), most * WORDS + 1)
    words = [each.span() for each in found]
    if len(words) <= WORDS:
        return [text], False
    ends = {each.end() for each in _SENTENCE.finditer(text, 0, words[-1][1])}
    passages: list[str] = []
    first = 0
    while len(passages) < most:
        last = min(first + WORDS, len(words))
        if last < len(words):
            last = _border(words, ends, first + WORDS // 2, last)
        passages.append(text[words[first][0] : words[last - 1][1]])
        if last == len(words):
            return passages, False
        first = _border(words, ends, last - OVERLAP, last - OVERLAP // 4)
    return passages, True


def _border(
    words: list[tuple[int, int]], ends: set[int], earliest: int, latest: int
) -> int:
    """Give the last word from `earliest` to `latest` that begins a sentence."""
    for place in range(latest, earliest, -1):
        if place < len(words) and words[place][0] in ends:
            return place
    return latest
