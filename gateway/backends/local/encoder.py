"""The bundled sentence encoder: one text in, its vectors out."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no stubs
from numpy.typing import NDArray
from tokenizers import Tokenizer

from gateway.backends.local.inference import (
    InferenceFailed,
    UnusableModel,
    infer,
    open_session,
)

ENCODER_DIRECTORY = Path(__file__).parents[2] / "models" / "all-minilm-l6-v2"
"""Where this package brings its encoder."""

# 160 word pieces at 26 characters: no prose is as long as that, and a tokenizer that
# is given the whole of a document of 1 MiB is busy for a second.
_MAX_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the encoder says about one text."""

    sentence: NDArray[np.float32]
    """[384], of length 1: the meaning of the whole text."""
    tokens: NDArray[np.float16]
    """[word pieces, 384], each row of length 1; no row for [CLS] and [SEP].

    Half precision, because it is remembered: the rounding moves a cosine by 0.0005.
    """
    truncated: bool
    """The text is longer than what the encoder saw."""


class Encoder:
    """all-MiniLM-L6-v2, int8, on the CPU; safe to use from several threads at once.

    One text per inference: the quantisation is dynamic, so the companions in a batch
    would change a text's vectors (cosines down to 0.990). Each inference runs in the
    thread that asks for it, so the parallelism is the caller's.
    """

    model: ClassVar = "all-minilm-l6-v2"
    dimension: ClassVar = 384
    max_tokens: ClassVar = 160
    """Word pieces that it reads of a text, [CLS] and [SEP] included."""
    model_sha256: ClassVar = (
        "bdbe771631fcd9d30c1515c221c32c8d052c03586cf4286597109163e47e2cba"
    )
    tokenizer_sha256: ClassVar = (
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
    )

    def __init__(
        self, *, session: onnxruntime.InferenceSession, tokenizer: Tokenizer
    ) -> None:
        self._session = session
        self._tokenizer = tokenizer
        # The file brings settings of its own: 128 tokens, padded to 128.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_tokens)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load `model.onnx` and `tokenizer.json`, if they are the ones expected.

        It takes about 0.3 s and does not leave the calling thread.

        Raises:
            UnusableModel: A file cannot be read or has another hash; the message names
                it.

        """
        tokenizer = _read(directory / "tokenizer.json", sha256=cls.tokenizer_sha256)
        model = _read(directory / "model.onnx", sha256=cls.model_sha256)
        session = open_session(model, named=directory / "model.onnx")
        return cls(
            session=session, tokenizer=Tokenizer.from_str(tokenizer.decode("utf-8"))
        )

    def encode(self, text: str) -> Encoding:
        """Encode one text, of which the first 160 word pieces are read.

        Of a text over 4096 characters the rest is not even tokenised. It takes some 5 ms
        for a query and 20 to 30 ms for 160 word pieces.

        Raises:
            InferenceFailed: onnxruntime failed, or gave numbers that are not finite.

        """
        pieces = self._tokenizer.encode(text[:_MAX_CHARACTERS])
        inputs = {
            "input_ids": np.array([pieces.ids], dtype=np.int64),
            "attention_mask": np.array([pieces.attention_mask], dtype=np.int64),
            "token_type_ids": np.array([pieces.type_ids], dtype=np.int64),
        }
        tokens, sentences = infer(
            self._session, ["token_embeddings", "sentence_embedding"], inputs
        )
        if not (np.isfinite(tokens).all() and np.isfinite(sentences).all()):
            message = f"a vector is not finite ({len(pieces.ids)} tokens)"
            raise InferenceFailed(message)
        words = tokens[0, 1:-1]
        words = words / np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1e-12)
        return Encoding(
            sentence=np.asarray(sentences[0], dtype=np.float32),
            tokens=words.astype(np.float16),
            truncated=bool(pieces.overflowing) or len(text) > _MAX_CHARACTERS,
        )


def _read(path: Path, *, sha256: str) -> bytes:
    """Read a file once, so that what was checked is what is used."""
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror})"
        raise UnusableModel(message) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        message = f"{path}: damaged or not ours: sha256 is {found}, not {sha256}"
        raise UnusableModel(message)
    return content
