"""Name what a score depends on, in 128 bits."""

from array import array
from collections.abc import Iterable
from hashlib import blake2b, sha256
from struct import Struct
from typing import TYPE_CHECKING

from gateway.backends.scorer import ScoreRequest
from gateway.layers.memory import Judge
from gateway.ranking.normalize import Scale

if TYPE_CHECKING:
    from _hashlib import HASH

# Changes whenever a key is made of something else: gateways of two versions may share a
# memory.
_VERSION = b"3"

_KEY_BYTES = 16
_KIND_BYTES = 8

_LENGTHS = Struct(">qqq")


class PairKeys:
    """Makes the keys of one backend's scores.

    Nobody without the secret can prepare two texts that pass for each other, nor tell
    from a key what was asked. The keys of one question begin with the same byte, so that
    they can be kept together. SHA-256, which CPUs have instructions for: as Python comes,
    BLAKE2 takes nearly twice as long for a text of 4 KB. A key is half of a digest, which
    also tells nobody how it would go on.

    Args:
        secret: Common to all who share a memory; 16 bytes or more.
        backend: Its name.
        configured: Whatever else makes it another judge under the same name, such as its
            dialect, its model and its address: a gateway with another configuration may
            share the memory.
        scale: What its numbers mean.

    """

    def __init__(
        self,
        *,
        secret: bytes,
        backend: str,
        configured: tuple[str, ...],
        scale: Scale,
    ) -> None:
        # A secret of any length, and none is used for two purposes.
        self._secret = blake2b(secret, person=b"rerank-scores").digest()
        self.scale = scale
        self._backend = _joined(
            (_VERSION, _bytes(backend), _bytes(scale), *map(_bytes, configured))
        )
        self.judge = self._hash(b"judge").digest()[:_KEY_BYTES]
        """Names whoever answers for this backend."""

    def of_pairs(self, request: ScoreRequest, judge: Judge) -> list[bytes]:
        """Name the scores of a judge who sees one document at a time.

        In the order of the documents. Neither the rank received nor the companions are
        part of it.
        """
        start = self._question(b"pair", request, judge)
        first = start.digest()[:1]
        keys = []
        copy = start.copy
        for document in request.documents:
            # The last part needs no length, and a text is hashed only once.
            pair = copy()
            pair.update(document.text.encode("utf-8", "surrogatepass"))
            keys.append(first + pair.digest()[: _KEY_BYTES - 1])
        return keys

    def of_set(self, request: ScoreRequest, judge: Judge) -> list[bytes]:
        """Name the scores of a judge who compares the documents with each other.

        In the order of the documents; each of them depends on all.
        """
        whole = self._question(b"set", request, judge)
        _add(whole, len(request.documents), request.space, request.query_embedding)
        for document in request.documents:
            _add(whole, document.rank, document.text, document.embedding)
        first = whole.digest()[:1]
        keys = []
        for place in range(len(request.documents)):
            one = whole.copy()
            one.update(place.to_bytes(4, "big"))
            keys.append(first + one.digest()[: _KEY_BYTES - 1])
        return keys

    def _question(self, kind: bytes, request: ScoreRequest, judge: Judge) -> "HASH":
        start = self._hash(kind)
        start.update(
            _joined(
                (
                    _bytes(request.scope),
                    _bytes(judge.model),
                    _bytes(judge.revision),
                    _bytes(request.instruction),
                    request.passages.to_bytes(4, "big"),
                    _bytes(request.query),
                )
            )
        )
        return start

    def _hash(self, kind: bytes) -> "HASH":
        # The secret fills the first block, and all that follows says how long it is.
        return sha256(self._secret + kind.ljust(_KIND_BYTES) + self._backend)


def _joined(parts: Iterable[bytes]) -> bytes:
    listed = list(parts)
    # Length first, or ("ab", "c") and ("a", "bc") would share a key; and how many.
    lengths = b"".join(len(part).to_bytes(8, "big") for part in listed)
    return len(listed).to_bytes(4, "big") + lengths + b"".join(listed)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _add(
    whole: "HASH", number: int, text: str, vector: tuple[float, ...] | None
) -> None:
    content = _bytes(text)
    # Lengths first here too; no vector is not the same as an empty one.
    dimension = -1 if vector is None else len(vector)
    whole.update(_LENGTHS.pack(number, len(content), dimension) + content)
    if vector:
        whole.update(array("d", vector))
