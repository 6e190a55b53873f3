"""The bundled encoder, with its real model."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxruntime.capi import (  # type: ignore[import-untyped]  # it has no stubs
    onnxruntime_pybind11_state as onnx_errors,
)
from tokenizers import Tokenizer

from gateway.backends.local.encoder import (
    ENCODER_DIRECTORY,
    Encoder,
    Encoding,
)
from gateway.backends.local.inference import InferenceFailed, UnusableModel

TEXTS = [
    "How do I restore a database?",
    "A backup is copied back with the restore command after the disk was replaced.",
    "Cats sleep for most of the day.",
    "cat " * 400,
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load(ENCODER_DIRECTORY)


def equal(one: Encoding, other: Encoding) -> bool:
    return np.array_equal(one.sentence, other.sentence) and np.array_equal(
        one.tokens, other.tokens
    )


def test_shapes_types_and_lengths(encoder: Encoder) -> None:
    encoding = encoder.encode("Cats sleep.")

    assert encoding.sentence.shape == (384,)
    assert encoding.sentence.dtype == np.float32
    assert np.linalg.norm(encoding.sentence) == pytest.approx(1, abs=1e-5)
    assert encoding.tokens.shape == (3, 384)  # cats, sleep, the full stop
    assert encoding.tokens.dtype == np.float16
    norms = np.linalg.norm(encoding.tokens.astype(np.float32), axis=1)
    assert norms == pytest.approx([1, 1, 1], abs=1e-3)
    assert not encoding.truncated


def test_what_means_the_same_is_near(encoder: Encoder) -> None:
    query, near, far, _ = (encoder.encode(text).sentence for text in TEXTS)

    assert query @ near > 0.4
    assert query @ far < 0.2


def test_companions_do_not_change_an_encoding(encoder: Encoder) -> None:
    alone = [encoder.encode(text) for text in TEXTS]

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(encoder.encode, TEXTS[::-1] * 3))

    for place, encoding in enumerate(together):
        assert equal(encoding, alone[::-1][place % len(TEXTS)])


def test_a_text_is_cut_at_160_word_pieces(encoder: Encoder) -> None:
    just = encoder.encode("cat " * 158)  # with [CLS] and [SEP]: 160
    over = encoder.encode("cat " * 159)

    assert len(just.tokens) == len(over.tokens) == 158
    assert (just.truncated, over.truncated) == (False, True)
    assert equal(just, Encoding(over.sentence, over.tokens, truncated=False))


def test_a_huge_text_is_cut_before_it_is_tokenised(encoder: Encoder) -> None:
    # One word to the tokenizer, so the number of tokens gives nothing away.
    encoding = encoder.encode("x" * 1_000_000)

    assert encoding.truncated
    assert len(encoding.tokens) == 1


@pytest.mark.parametrize("text", ["\u200b", "\x00\x01", ""])
def test_a_text_without_word_pieces_has_a_sentence_vector_only(
    encoder: Encoder, text: str
) -> None:
    encoding = encoder.encode(text)

    assert encoding.tokens.shape == (0, 384)
    assert np.linalg.norm(encoding.sentence) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    for path in ENCODER_DIRECTORY.iterdir():
        shutil.copy(path, tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UnusableModel, match=rf"{name}: damaged .* sha256 is \w{{64}}"):
        Encoder.load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"tokenizer\.json: cannot be read"):
        Encoder.load(tmp_path)


def test_the_notice_states_the_hashes_that_are_checked() -> None:
    notice = (ENCODER_DIRECTORY / "NOTICE").read_text("utf-8")

    assert Encoder.model_sha256 in notice
    assert Encoder.tokenizer_sha256 in notice


class BrokenSession:
    """Fails, or answers with what is not a number, where onnxruntime would infer."""

    def __init__(self, *, failure: Exception | None) -> None:
        self._failure = failure

    def run(self, _: Any, inputs: dict[str, Any]) -> list[Any]:
        if self._failure:
            raise self._failure
        shape = inputs["input_ids"].shape
        return [np.full((*shape, 384), np.nan), np.full((1, 384), np.nan)]


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (onnx_errors.Fail("no"), "onnxruntime failed on 3 tokens"),
        (onnx_errors.RuntimeException("no"), "onnxruntime failed on 3 tokens"),
        (None, "a vector is not finite"),
    ],
)
def test_a_failed_inference_says_so(failure: Exception | None, words: str) -> None:
    tokenizer = Tokenizer.from_file(str(ENCODER_DIRECTORY / "tokenizer.json"))
    encoder = Encoder(session=BrokenSession(failure=failure), tokenizer=tokenizer)

    with pytest.raises(InferenceFailed, match=words):
        encoder.encode("cat")


def test_a_model_that_onnxruntime_refuses_is_named(tmp_path: Path) -> None:
    class OtherEncoder(Encoder):
        model_sha256 = hashlib.sha256(b"no model").hexdigest()

    shutil.copy(ENCODER_DIRECTORY / "tokenizer.json", tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no model")

    with pytest.raises(UnusableModel, match=r"model\.onnx: onnxruntime cannot load it"):
        OtherEncoder.load(tmp_path)
