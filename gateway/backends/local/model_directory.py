"""What a directory with a cross-encoder holds, read and checked before anything runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from gateway.backends.local.inference import UnusableModel

MODEL_PLACES = ("onnx/model.onnx", "model.onnx")
"""Where the graph may be; the first is where exports on the hub have it."""

TOKENIZER = "tokenizer.json"
CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"

_UNTOLD_MAX_TOKENS = 512
"""What nearly every cross-encoder reads, where no file says it."""
_UNLIMITED = 1_000_000
"""Tokenizers without a limit state a huge one, such as 1e30."""

# Their positions begin after the padding token's id, so there are fewer than the table's.
_POSITIONS_AFTER_PADDING = frozenset(
    {"camembert", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl"}
)


@dataclass(frozen=True, slots=True)
class ModelDirectory:
    """A cross-encoder on disk."""

    graph: Path
    tokenizer: Tokenizer
    max_tokens: int
    """Of query and document together, with the tokens that separate them."""
    single_type: bool
    """There is one token type only, so documents must not be marked as the second."""


def read_model_directory(directory: Path, *, max_tokens: int | None) -> ModelDirectory:
    """Read everything but the graph.

    Args:
        directory: With `model.onnx` or `onnx/model.onnx`, `tokenizer.json`, and
            optionally `config.json` and `tokenizer_config.json`.
        max_tokens: As configured; None: what the files say, else 512.

    Raises:
        UnusableModel: A file is missing or damaged, the model is a classifier, or it
            cannot read as many tokens.

    """
    if not directory.is_dir():
        message = f"{directory}: there is no such directory"
        raise UnusableModel(message)
    places = [directory / place for place in MODEL_PLACES]
    graph = next((place for place in places if place.is_file()), None)
    if graph is None:
        message = f"{directory}: has neither {' nor '.join(MODEL_PLACES)}"
        raise UnusableModel(message)
    config = _json(directory / CONFIG)
    labels = _labels(config)
    if labels not in (None, 1):
        raise classifier(directory / CONFIG, labels)
    positions = _positions(config)
    if max_tokens and positions and max_tokens > positions:
        message = f"{directory}: reads {positions} tokens, max_tokens is {max_tokens}"
        raise UnusableModel(message)
    told = [positions, _whole(_json(directory / TOKENIZER_CONFIG), "model_max_length")]
    known = [limit for limit in told if limit and limit < _UNLIMITED]
    return ModelDirectory(
        graph=graph,
        tokenizer=_tokenizer(directory / TOKENIZER),
        max_tokens=max_tokens or min(known, default=_UNTOLD_MAX_TOKENS),
        single_type=_whole(config, "type_vocab_size") == 1,
    )


def classifier(path: Path, labels: int | None) -> UnusableModel:
    """Say of a model with several labels what it is."""
    message = f"{path}: the model has {labels} labels: a classifier, not a reranker"
    return UnusableModel(message)


def _tokenizer(path: Path) -> Tokenizer:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        # Not `from_str` or `from_file`: what they raise is a bare Exception.
        tokenizer = Tokenizer.from_buffer(content)
    except ValueError as error:
        message = f"{path}: is no tokenizer, or damaged"
        raise UnusableModel(message) from error
    if not tokenizer.num_special_tokens_to_add(is_pair=True):
        message = f"{path}: puts nothing between query and document (no post-processor)"
        raise UnusableModel(message)
    # The file brings settings of its own, made for something else.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _json(path: Path) -> Mapping[str, Any]:
    """Read a file that may be missing."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(value, dict):
        message = f"{path}: is no JSON object"
        raise UnusableModel(message)
    return value


def _unreadable(path: Path, error: Exception) -> UnusableModel:
    reason = error.strerror if isinstance(error, OSError) else "damaged"
    return UnusableModel(f"{path}: cannot be read ({reason})")


def _labels(config: Mapping[str, Any]) -> int | None:
    names = config.get("id2label")
    return len(names) if isinstance(names, dict) else _whole(config, "num_labels")


def _positions(config: Mapping[str, Any]) -> int | None:
    positions = _whole(config, "max_position_embeddings")
    if positions and config.get("model_type") in _POSITIONS_AFTER_PADDING:
        positions -= (_whole(config, "pad_token_id") or 1) + 1
    return positions


def _whole(values: Mapping[str, Any], key: str) -> int | None:
    """Take a positive number; anything else counts as unsaid."""
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
        return None
    # A limit beyond this is none, and infinity is no int.
    return int(min(value, _UNLIMITED))
