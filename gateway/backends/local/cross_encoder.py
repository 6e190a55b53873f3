"""An ONNX cross-encoder: one pair of query and document in, one number out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

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
from gateway.backends.local.model_directory import (
    ModelDirectory,
    classifier,
    read_model_directory,
)

# No prose has words so long, and a tokenizer that is given the whole of a document of
# 1 MiB is busy for a second.
_CHARACTERS_PER_TOKEN = 32

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OUTPUT = "logits"
_TYPES: Mapping[str, Any] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_MATRIX = 2

_PROBE_TOKENS = 512
"""Of the inference at load; longer ones would take seconds and gigabytes."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a cross-encoder says about one document."""

    number: float
    """Finite; a logit, unless the graph goes on to something else."""
    truncated: bool
    """The model saw only a part of the document."""


class CrossEncoder:
    """Judges one pair per inference; safe to use from several threads at once.

    Never a batch: in models that are quantised dynamically, as most int8 ones, the
    companions would change a document's number (by up to 0.5). Nor does padding, since
    there is none.

    The pair is encoded as the model's own tokenizer does it. One that is too long is cut
    as sentence-transformers cuts it (`longest_first`): the longer text first, and both
    to half only if both are longer than that.
    """

    def __init__(
        self,
        *,
        session: onnxruntime.InferenceSession,
        inputs: Mapping[str, Any],
        output: str,
        tokenizer: Tokenizer,
        max_tokens: int,
        single_type: bool,
    ) -> None:
        self.max_tokens = max_tokens
        self._session = session
        self._inputs = inputs
        self._output = output
        self._tokenizer = tokenizer
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        self._max_characters = _CHARACTERS_PER_TOKEN * max_tokens
        self._single_type = single_type

    @classmethod
    def load(cls, directory: Path, *, max_tokens: int | None) -> Self:
        """Load a model and judge one pair of up to 512 tokens with it.

        It takes from half a second to many, and does not leave the calling thread.

        Args:
            directory: See `read_model_directory`. Files of weights beside the graph
                are found by onnxruntime.
            max_tokens: Of query and document together; None: what the model takes.

        Raises:
            UnusableModel: A file is missing or damaged, or the model is none that can
                rerank. The message says which and why, in one line.

        """
        found = read_model_directory(directory, max_tokens=max_tokens)
        session = open_session(found.graph, named=found.graph)
        model = cls(
            session=session,
            inputs=_inputs(found.graph, session.get_inputs()),
            output=_output(found.graph, session.get_outputs()),
            tokenizer=found.tokenizer,
            max_tokens=found.max_tokens,
            single_type=found.single_type,
        )
        model._probe(found)
        return model

    def judge(self, query: str, document: str) -> Judgement:
        """Judge one document.

        Of a text with more than 32 characters for each of `max_tokens` the rest is not
        even tokenised.

        Raises:
            InferenceFailed: onnxruntime failed, or gave a number that is not finite.

        """
        start = document[: self._max_characters]
        pieces = self._tokenizer.encode(query[: self._max_characters], start)
        numbers = self._run(pieces.ids, pieces.type_ids)
        if not np.isfinite(numbers).all():
            message = f"a number is not finite ({len(pieces.ids)} tokens)"
            raise InferenceFailed(message)
        truncated = len(start) < len(document) or (
            bool(pieces.overflowing)
            and self._length(start) > pieces.sequence_ids.count(1)
        )
        return Judgement(number=float(numbers.item()), truncated=truncated)

    def _length(self, text: str) -> int:
        """Count the tokens of a text alone; of a long one, all that are in question."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _run(self, ids: Sequence[int], type_ids: Sequence[int]) -> NDArray[Any]:
        values = {
            "input_ids": ids,
            "attention_mask": [1] * len(ids),
            "token_type_ids": [0] * len(ids) if self._single_type else type_ids,
        }
        inputs = {
            name: np.array([values[name]], dtype=dtype)
            for name, dtype in self._inputs.items()
        }
        (numbers,) = infer(self._session, [self._output], inputs)
        return numbers

    def _probe(self, found: ModelDirectory) -> None:
        """Find out now what would otherwise fail every request."""
        text = "a " * min(self.max_tokens, _PROBE_TOKENS)
        pieces = self._tokenizer.encode(text, text)
        try:
            numbers = self._run(
                pieces.ids[:_PROBE_TOKENS], pieces.type_ids[:_PROBE_TOKENS]
            )
        except InferenceFailed as error:
            message = f"{found.graph}: {error}: does it read so many (max_tokens)?"
            raise UnusableModel(message) from error
        if numbers.size != 1:
            raise classifier(found.graph, numbers.size)


def _inputs(graph: Path, wanted: Sequence[Any]) -> Mapping[str, Any]:
    """Give the type of every input that the graph has."""
    for each in wanted:
        if each.name not in _INPUTS:
            message = f"{graph}: wants {each.name}, only {', '.join(_INPUTS)} are given"
            raise UnusableModel(message)
        if each.type not in _TYPES:
            message = f"{graph}: {each.name} is a {each.type}, not one of integers"
            raise UnusableModel(message)
    types = {each.name: _TYPES[each.type] for each in wanted}
    if "input_ids" not in types:
        message = f"{graph}: has no input input_ids"
        raise UnusableModel(message)
    return types


def _output(graph: Path, given: Sequence[Any]) -> str:
    """Choose the output with the one number."""
    named = [each for each in given if each.name == _OUTPUT]
    if not named and len(given) != 1:
        message = f"{graph}: has several outputs, none of them called {_OUTPUT}"
        raise UnusableModel(message)
    (output,) = named or given
    if len(output.shape) > _MATRIX:
        message = f"{graph}: gives vectors, not scores: an encoder, not a reranker"
        raise UnusableModel(message)
    labels = output.shape[-1] if len(output.shape) == _MATRIX else 1
    if isinstance(labels, int) and labels != 1:
        raise classifier(graph, labels)
    name: str = output.name
    return name
