"""From a text to the terms of full-text search, for engines that do not make them themselves."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

import Stemmer  # type: ignore[import-not-found]  # no stubs

from gateway.backends.local.words import STOP_WORDS

_WORD = re.compile(r"[^\W_]+")


def term_counts(text: str) -> Mapping[str, int]:
    """Count the terms of a text, as the embedded engine makes them.

    Words are runs of letters and digits, without accents and case-folded; those that say
    nothing in English are left out, and the rest is reduced by Snowball's English stemmer.
    """
    folded = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(each for each in folded if not unicodedata.combining(each))
    words = [each for each in _WORD.findall(plain) if each not in STOP_WORDS]
    # One stemmer per call: it must not be shared by threads, and costs 0.4 µs.
    return Counter(Stemmer.Stemmer("english").stemWords(words))
