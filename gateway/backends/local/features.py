"""What the built-in scorer knows about one text, and how much of it is remembered."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cachetools import LRUCache

from gateway.backends.local.encoder import Encoding
from gateway.backends.local.words import term_counts

MAX_CHARACTERS = 32_768
"""How much of a text is looked at: some 5 000 words, which take 5 ms to count.

BM25 divides by the length, so it seldom matters what follows; and a document of 1 MiB
would otherwise take as long as two inferences.
"""

# CPython's dict entry and string header, and the fixed parts of one entry.
_BYTES_PER_TERM = 150
_BYTES_PER_ENTRY = 1_500


class TextEncoder(Protocol):
    """What turns a text into vectors: the bundled `Encoder`, or a fake."""

    def encode(self, text: str) -> Encoding:
        """Encode one text; called from several threads at once.

        Raises:
            InferenceFailed: No vectors, and why.

        """


@dataclass(frozen=True, slots=True)
class Features:
    """What a text is judged by."""

    terms: Mapping[str, int]
    """How often each term occurs."""
    encoding: Encoding | None
    """None: nobody has needed its vectors yet."""

    @property
    def size_bytes(self) -> int:
        """About how much memory they take: 120 KB for 160 tokens, 20 KB without."""
        encoding = self.encoding
        vectors = encoding.sentence.nbytes + encoding.tokens.nbytes if encoding else 0
        return _BYTES_PER_ENTRY + _BYTES_PER_TERM * len(self.terms) + vectors


def words_of(text: str) -> Features:
    """Count the terms of a text, without its vectors."""
    return Features(terms=term_counts(text), encoding=None)


def features_of(text: str, known: Features | None, encoder: TextEncoder) -> Features:
    """Complete what is known of a text with its vectors: the slow part, 5 to 30 ms.

    Raises:
        InferenceFailed: The encoder gave no vectors.

    """
    terms = known.terms if known else term_counts(text)
    return Features(terms=terms, encoding=encoder.encode(text))


class Memory:
    """Remembers the features of the texts used last, up to a bound in bytes.

    It belongs to one thread, the event loop's. What is larger than the whole bound is
    not remembered, so a bound of 0 turns it off.

    Args:
        max_bytes: The bound, as `Features.size_bytes` estimates.

    """

    def __init__(self, *, max_bytes: int) -> None:
        # A key of its own: nobody can prepare two texts that pass for each other.
        self._key = secrets.token_bytes(16)
        self._entries: LRUCache[bytes, Features] = LRUCache(
            maxsize=max_bytes, getsizeof=lambda features: features.size_bytes
        )

    def name(self, text: str, *, scope: str = "") -> bytes:
        """Give the 128 bits under which a text is remembered.

        Args:
            text: The text.
            scope: Whose it is; nobody else finds it.

        """
        whose = scope.encode()
        content = text.encode("utf-8", "surrogatepass")
        # Length first, or ("ab", "c") and ("a", "bc") would share a name.
        joined = len(whose).to_bytes(4, "big") + whose + content
        return hashlib.blake2b(joined, digest_size=16, key=self._key).digest()

    def get(self, name: bytes) -> Features | None:
        """Give what is remembered, if anything; it counts as used."""
        return self._entries.get(name)

    def put(self, name: bytes, features: Features) -> None:
        """Remember the features, and forget what was not used for the longest time.

        Vectors once known are not forgotten for features that lack them.
        """
        known = self._entries.get(name)
        if known and known.encoding and not features.encoding:
            return
        if features.size_bytes <= self._entries.maxsize:
            self._entries[name] = features
