"""How remembered scores are written where other processes read them.

A value carries a tag that only those who know the secret can make for its key: what is
damaged, cut, of another version, of another key or from a stranger, is nothing.
"""

import math
from hashlib import blake2b
from struct import Struct

from gateway.layers.memory import Entry, Judge
from gateway.ranking.normalize import Scale

# What a value is, and of which version.
_SCORE_1 = 0x11
_JUDGE_1 = 0x21

_TAG_BYTES = 8
_TRUNCATED = 1

# What it is, flags, scale, the number, when it was given in milliseconds.
_ENTRY = Struct(">BBBdQ")
# What it is, how many bytes of what follows are the name of the model.
_JUDGE = Struct(">BH")

# The places are part of the format: new ones come last.
_SCALES = (Scale.LOGIT, Scale.PROBABILITY, Scale.COSINE, Scale.RELATIVE)
_PLACES = {scale: place for place, scale in enumerate(_SCALES)}


class Stored:
    """Writes and reads values.

    Times in values are those of the memory's own clock, since the clocks of gateways
    differ; `offset_s` is what it is ahead of the event loop's.

    Args:
        secret: Common to all who share the memory.

    """

    def __init__(self, *, secret: bytes) -> None:
        key = blake2b(secret, person=b"rerank-values").digest()
        self._start = blake2b(digest_size=_TAG_BYTES, key=key)

    def entry(self, key: bytes, entry: Entry, *, offset_s: float) -> bytes:
        """Write a score down."""
        body = _ENTRY.pack(
            _SCORE_1,
            _TRUNCATED if entry.truncated else 0,
            _PLACES[entry.scale],
            entry.raw,
            round((entry.stored_at + offset_s) * 1000),
        )
        return body + self._tag(key, body)

    def read_entry(
        self, key: bytes, value: bytes | None, *, offset_s: float
    ) -> Entry | None:
        """Read a score, or nothing."""
        body = self._body(key, value)
        if body is None or len(body) != _ENTRY.size:
            return None
        kind, flags, scale, raw, stored_ms = _ENTRY.unpack(body)
        readable = kind == _SCORE_1 and scale < len(_SCALES) and math.isfinite(raw)
        if not readable:
            return None
        return Entry(
            raw=raw,
            scale=_SCALES[scale],
            truncated=bool(flags & _TRUNCATED),
            stored_at=stored_ms / 1000 - offset_s,
            # The memory forgets by itself what is past its time.
            ttl_s=math.inf,
        )

    def judge(self, key: bytes, judge: Judge) -> bytes:
        """Write down who judges."""
        model, revision = (part.encode("utf-8", "surrogatepass") for part in judge)
        body = _JUDGE.pack(_JUDGE_1, len(model)) + model + revision
        return body + self._tag(key, body)

    def read_judge(self, key: bytes, value: bytes | None) -> Judge | None:
        """Read who judges, or nothing."""
        body = self._body(key, value)
        if body is None or len(body) < _JUDGE.size:
            return None
        kind, length = _JUDGE.unpack_from(body)
        if kind != _JUDGE_1:
            return None
        names = body[_JUDGE.size :]
        return Judge(
            names[:length].decode("utf-8", "surrogatepass"),
            names[length:].decode("utf-8", "surrogatepass"),
        )

    def _body(self, key: bytes, value: bytes | None) -> bytes | None:
        if value is None:
            return None
        body, tag = value[:-_TAG_BYTES], value[-_TAG_BYTES:]
        # Nobody waits for the answer of a guess, so its time tells nothing.
        return body if tag == self._tag(key, body) else None

    def _tag(self, key: bytes, body: bytes) -> bytes:
        tag = self._start.copy()
        tag.update(key)  # 16 bytes, always
        tag.update(body)
        return tag.digest()
