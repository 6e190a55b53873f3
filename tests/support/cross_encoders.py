"""Directories with cross-encoders: the one for tests, and tiny ones made to order."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from tests.support.onnx_graph import cross_encoder

TEST_MODEL = Path(__file__).parents[1] / "models" / "test-cross-encoder"
"""A real one: all-MiniLM-L6-v2 with a head, int8."""

WORDS = ("[UNK]", "[CLS]", "[SEP]", "one", "two", "three", "none", "beyond")
"""Each is a token of the tiny model, and its place is the token's id."""

NUMBERS = (0.0, 0.0, 0.0, 1.0, 2.0, 3.0, float("nan"))
"""What the tiny model averages; `beyond` has none."""

TABLE = tuple((number,) for number in NUMBERS)


def tiny(
    directory: Path,
    *,
    table: Sequence[Sequence[float]] = TABLE,
    place: str = "model.onnx",
    config: Mapping[str, Any] | None = None,
    tokenizer_config: Mapping[str, Any] | None = None,
    **graph: Any,
) -> Path:
    """Write a cross-encoder whose logit is the mean of its tokens' numbers.

    Args:
        directory: Where to.
        table: The graph's, with a row per token.
        place: Of the graph.
        config: Content of `config.json`; None: there is none.
        tokenizer_config: Likewise.
        **graph: See `cross_encoder`.

    """
    path = directory / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cross_encoder(table, **graph))
    word_level().save(str(directory / "tokenizer.json"))
    for name, content in (
        ("config.json", config),
        ("tokenizer_config.json", tokenizer_config),
    ):
        if content is not None:
            (directory / name).write_text(json.dumps(content), "utf-8")
    return directory


def word_level() -> Tokenizer:
    """Make a tokenizer of `WORDS`, with settings as files bring them."""
    tokenizer = Tokenizer(
        WordLevel({word: place for place, word in enumerate(WORDS)}, "[UNK]")
    )
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    return tokenizer
