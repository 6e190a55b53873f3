"""ONNX cross-encoders: a real one, and tiny ones with one peculiarity each."""

import json
import platform
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no stubs
import pytest
from tokenizers import Tokenizer

from gateway.backends.local.cross_encoder import CrossEncoder, Judgement
from gateway.backends.local.inference import InferenceFailed, UnusableModel
from tests.support.cross_encoders import NUMBERS, TEST_MODEL, tiny, word_level
from tests.support.onnx_graph import FLOAT, INT32, INT64
from tests.support.recorded import llamacpp

RECORDED = llamacpp("normal_v1_rerank")
QUERY: str = RECORDED.request["query"]
DOCUMENTS = RECORDED.texts
ANSWER = json.loads(RECORDED.body)
"""What llama.cpp's server said of the same pairs with the same weights, in 16 bits."""


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder.load(TEST_MODEL, max_tokens=None)


# A real model


# The sums of int8 products saturate at 16 bits where the processor has no instruction for
# them (VNNI), so one file gives these two sets of numbers. Both were measured, the first
# also on an emulated Haswell.
WITHOUT_VNNI = (2.572, -0.754, 0.764, 0.398, 1.035)
WITH_VNNI = (2.630, -0.224, 0.795, 0.663, 1.155)


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="the figures are those of x86-64 processors",
)
def test_the_numbers_are_those_that_were_published_with_the_model(
    model: CrossEncoder,
) -> None:
    numbers = [model.judge(QUERY, document).number for document in DOCUMENTS]
    assert numbers in (
        pytest.approx(WITHOUT_VNNI, abs=1e-3),
        pytest.approx(WITH_VNNI, abs=1e-3),
    )


def test_the_numbers_are_those_of_the_model_without_quantisation(
    model: CrossEncoder,
) -> None:
    """Within what int8 costs: up to 0.39 from 16 bits, in the sets above."""
    expected = {each["index"]: each["relevance_score"] for each in ANSWER["results"]}

    numbers = [model.judge(QUERY, document).number for document in DOCUMENTS]

    for place, number in enumerate(numbers):
        assert number == pytest.approx(expected[place], abs=0.45)
    best, second, *_, worst = sorted(range(5), key=numbers.__getitem__, reverse=True)
    assert (best, second, worst) == (0, 4, 1)


def test_the_numbers_are_exactly_what_onnxruntime_gives_for_the_pair(
    model: CrossEncoder,
) -> None:
    session = onnxruntime.InferenceSession(
        TEST_MODEL / "model.onnx", providers=["CPUExecutionProvider"]
    )
    tokenizer = Tokenizer.from_file(str(TEST_MODEL / "tokenizer.json"))
    tokens = 0
    for document in DOCUMENTS:
        pieces = tokenizer.encode(QUERY, document)
        tokens += len(pieces.ids)
        inputs = {
            "input_ids": np.array([pieces.ids]),
            "attention_mask": np.ones((1, len(pieces.ids)), np.int64),
            "token_type_ids": np.array([pieces.type_ids]),
        }
        ((number,),) = session.run(["logits"], inputs)[0]
        assert model.judge(QUERY, document) == Judgement(float(number), truncated=False)
    assert tokens == ANSWER["usage"]["total_tokens"]


def test_companions_do_not_change_a_number(model: CrossEncoder) -> None:
    texts = [*DOCUMENTS, "cat " * 400, "x"]
    alone = [model.judge(QUERY, text) for text in texts]

    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(lambda text: model.judge(QUERY, text), texts[::-1] * 3)
        )

    assert together == alone[::-1] * 3


@pytest.mark.parametrize(
    ("query", "document", "truncated"),
    [
        # 509 tokens, with [CLS] and twice [SEP] 512.
        ("cat", "cat " * 508, False),
        ("cat", "cat " * 509, True),
        ("cat " * 508, "cat", False),
        # The longer text is cut, so the document is whole.
        ("cat " * 5000, "cat", False),
        ("cat " * 5000, "cat " * 254, False),
        ("cat " * 5000, "cat " * 255, True),
        ("cat", "x" * 1_000_000, True),
    ],
    ids=[
        "just fits",
        "one too many",
        "a long query",
        "too long a query",
        "half the room",
        "more than half",
        "a single huge word",
    ],
)
def test_truncated_is_a_document_that_the_model_saw_only_a_part_of(
    model: CrossEncoder, query: str, document: str, *, truncated: bool
) -> None:
    assert model.judge(query, document).truncated is truncated


def test_what_is_cut_does_not_count(model: CrossEncoder) -> None:
    short = model.judge("cat", "cat " * 508)
    long = model.judge("cat", "cat " * 508 + "dog " * 10_000)

    assert long == Judgement(short.number, truncated=True)


def test_the_settings_in_the_tokenizer_s_file_do_not_count(tmp_path: Path) -> None:
    """It pads and cuts to four tokens."""
    model = CrossEncoder.load(tiny(tmp_path), max_tokens=None)

    # [CLS] one [SEP] two two two one [SEP]
    assert model.judge("one", "two two two one") == Judgement(1.0, truncated=False)


@pytest.mark.parametrize("text", ["", "\u200b", "\x00"])
def test_a_text_without_tokens_gets_a_number(model: CrossEncoder, text: str) -> None:
    assert np.isfinite(model.judge(QUERY, text).number)


# What directories and graphs look like


@pytest.mark.parametrize(
    "peculiarity",
    [
        {"place": "onnx/model.onnx"},
        {"inputs": {"input_ids": INT64, "attention_mask": INT64}},
        {"inputs": {"input_ids": INT32, "attention_mask": INT32}},
        {"outputs": ("score",)},
        {"outputs": ("hidden", "logits")},
        {"flat": True},
        {"labels": "labels"},
        {"config": {"id2label": {"0": "LABEL_0"}, "num_labels": 1}},
        {"config": {"architectures": ["BertForSequenceClassification"]}},
    ],
    ids=str,
)
def test_a_usable_model(tmp_path: Path, peculiarity: dict[str, Any]) -> None:
    model = CrossEncoder.load(tiny(tmp_path, **peculiarity), max_tokens=None)

    # [CLS] one [SEP] two three [SEP]
    assert model.judge("one", "two three").number == 1.0


@pytest.mark.parametrize("place", ["model.onnx", "onnx/model.onnx"])
def test_weights_in_a_file_beside_the_graph_are_found(
    tmp_path: Path, place: str
) -> None:
    weights = tmp_path / f"{place}_data"
    weights.parent.mkdir(exist_ok=True)
    tiny(tmp_path, place=place, weights_beside=weights)

    model = CrossEncoder.load(tmp_path, max_tokens=None)

    assert model.judge("one", "two three").number == 1.0


def test_the_document_is_the_second_type_unless_there_is_only_one(
    tmp_path: Path,
) -> None:
    """The graph averages token types here."""
    rows = ((1.0,), (3.0,))
    inputs = {"input_ids": INT64, "token_type_ids": INT64}
    graph: dict[str, Any] = {
        "table": rows,
        "inputs": inputs,
        "averaged": "token_type_ids",
    }
    two = CrossEncoder.load(tiny(tmp_path / "two", **graph), max_tokens=None)
    config = {"type_vocab_size": 1}
    one = CrossEncoder.load(
        tiny(tmp_path / "one", config=config, **graph), max_tokens=None
    )

    assert two.judge("one", "two two").number == 2.0
    assert one.judge("one", "two two").number == 1.0


@pytest.mark.parametrize(
    ("files", "max_tokens"),
    [
        ({}, 512),
        ({"config": {"max_position_embeddings": 128}}, 128),
        ({"tokenizer_config": {"model_max_length": 256}}, 256),
        (
            {
                "config": {"max_position_embeddings": 512},
                "tokenizer_config": {"model_max_length": 256},
            },
            256,
        ),
        ({"tokenizer_config": {"model_max_length": 10**30}}, 512),
        ({"tokenizer_config": {"model_max_length": 1e30}}, 512),
        ({"tokenizer_config": {"model_max_length": "many"}}, 512),
        # As BAAI/bge-reranker-base says it.
        (
            {
                "config": {
                    "model_type": "xlm-roberta",
                    "max_position_embeddings": 514,
                    "pad_token_id": 1,
                }
            },
            512,
        ),
    ],
    ids=str,
)
def test_how_much_a_model_reads_is_what_its_files_say(
    tmp_path: Path, files: dict[str, Any], max_tokens: int
) -> None:
    model = CrossEncoder.load(tiny(tmp_path, **files), max_tokens=None)

    assert model.max_tokens == max_tokens
    fits = max_tokens - 4  # one, [CLS], twice [SEP]
    assert not model.judge("one", "two " * fits).truncated
    assert model.judge("one", "two " * (fits + 1)).truncated


def test_less_can_be_configured(tmp_path: Path) -> None:
    model = CrossEncoder.load(tiny(tmp_path), max_tokens=16)

    assert model.max_tokens == 16
    assert model.judge("one", "two " * 13).truncated


# What cannot be used


def rows(labels: int) -> tuple[tuple[float, ...], ...]:
    return tuple((number,) * labels for number in NUMBERS)


@pytest.mark.parametrize(
    ("peculiarity", "words"),
    [
        ({"table": rows(2)}, "the model has 2 labels: a classifier, not a reranker"),
        ({"table": rows(3), "labels": "n"}, "the model has 3 labels: a classifier"),
        ({"config": {"id2label": {"0": "no", "1": "yes"}}}, "the model has 2 labels"),
        ({"config": {"num_labels": 5}}, "the model has 5 labels"),
        (
            {"inputs": {"input_ids": INT64, "position_ids": INT64}},
            "wants position_ids, only input_ids, attention_mask, token_type_ids",
        ),
        (
            {
                "inputs": {"input_ids": FLOAT, "attention_mask": INT64},
                "averaged": "attention_mask",
            },
            "input_ids is a tensor(float), not one of integers",
        ),
        (
            {"inputs": {"attention_mask": INT64}, "averaged": "attention_mask"},
            "has no input input_ids",
        ),
        ({"outputs": ("a", "b")}, "has several outputs, none of them called logits"),
        ({"averages": False}, "gives vectors, not scores: an encoder"),
        # As with too few positions: the table has a row for one token only.
        (
            {"table": ((0.0,),)},
            "onnxruntime failed on 512 tokens: does it read so many",
        ),
    ],
    ids=str,
)
def test_a_model_that_cannot_rerank_says_why(
    tmp_path: Path, peculiarity: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnusableModel) as raised:
        CrossEncoder.load(tiny(tmp_path, **peculiarity), max_tokens=None)

    assert words in str(raised.value)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_more_than_the_model_reads_cannot_be_configured(tmp_path: Path) -> None:
    tiny(tmp_path, config={"max_position_embeddings": 128})

    with pytest.raises(UnusableModel, match="reads 128 tokens, max_tokens is 129"):
        CrossEncoder.load(tmp_path, max_tokens=129)


def without(name: str) -> Callable[[Path], object]:
    return lambda directory: (directory / name).unlink()


def damaged(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda directory: (directory / name).write_bytes(content)


def without_post_processor(directory: Path) -> None:
    tokenizer = json.loads(word_level().to_str())
    tokenizer["post_processor"] = None
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (shutil.rmtree, "there is no such directory"),
        (without("model.onnx"), "has neither onnx/model.onnx nor model.onnx"),
        (without("tokenizer.json"), "tokenizer.json: cannot be read (No such file"),
        (without("model.onnx_data"), "model.onnx: onnxruntime cannot load it"),
        (damaged("model.onnx_data", b"1"), "model.onnx: onnxruntime cannot load it"),
        (damaged("model.onnx", b""), "model.onnx: onnxruntime cannot load it"),
        (damaged("model.onnx", b"no model"), "model.onnx: onnxruntime cannot load it"),
        (
            damaged("tokenizer.json", b"{"),
            "tokenizer.json: is no tokenizer, or damaged",
        ),
        (
            damaged("tokenizer.json", b"\xff"),
            "tokenizer.json: is no tokenizer, or damaged",
        ),
        (damaged("config.json", b"{"), "config.json: cannot be read (damaged)"),
        (damaged("config.json", b"[]"), "config.json: is no JSON object"),
        (without_post_processor, "puts nothing between query and document"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_named(
    tmp_path: Path, harm: Callable[[Path], object], words: str
) -> None:
    tiny(tmp_path / "model", weights_beside=tmp_path / "model" / "model.onnx_data")
    harm(tmp_path / "model")

    with pytest.raises(UnusableModel) as raised:
        CrossEncoder.load(tmp_path / "model", max_tokens=None)

    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_half_of_the_real_model_is_refused(tmp_path: Path) -> None:
    shutil.copy(TEST_MODEL / "tokenizer.json", tmp_path)
    content = (TEST_MODEL / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(content[: len(content) // 2])

    with pytest.raises(UnusableModel, match=r"model\.onnx: onnxruntime cannot load it"):
        CrossEncoder.load(tmp_path, max_tokens=None)


# What fails later


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("none", r"^a number is not finite \(5 tokens\)$"),
        ("beyond", "^onnxruntime failed on 5 tokens$"),
    ],
)
def test_a_failed_inference_says_so_and_quotes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], document: str, words: str
) -> None:
    model = CrossEncoder.load(tiny(tmp_path), max_tokens=None)

    with pytest.raises(InferenceFailed, match=words):
        model.judge("one", document)

    assert capfd.readouterr() == ("", "")
    assert model.judge("one", "two three").number == 1.0
