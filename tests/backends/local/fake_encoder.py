"""An encoder without a model: vectors from a text's hash, and a record of the calls."""

import hashlib
from collections.abc import Callable

import numpy as np

from gateway.backends.local.encoder import Encoding


class FakeEncoder:
    """Encodes each word to a vector of its own, and a text to their mean.

    Args:
        before: Called with each text first, in the pool's thread: may block or raise.

    """

    def __init__(self, *, before: Callable[[str], None] = lambda _: None) -> None:
        self.calls: list[str] = []
        self._before = before

    def encode(self, text: str) -> Encoding:
        self.calls.append(text)
        self._before(text)
        words = [_vector(word) for word in text.lower().split()]
        tokens = np.array(words, dtype=np.float16).reshape(-1, 16)
        mean = np.mean([*words, _vector("")], axis=0)
        sentence = (mean / np.linalg.norm(mean)).astype(np.float32)
        return Encoding(sentence=sentence, tokens=tokens, truncated=len(words) > 20)


def _vector(word: str) -> "np.typing.NDArray[np.float64]":
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=16).digest()
    vector = np.frombuffer(digest, dtype=np.uint8).astype(np.float64) - 127.5
    unit: np.typing.NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit
