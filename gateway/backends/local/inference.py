"""One ONNX model on the CPU: opened and run, one text or pair at a time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime  # type: ignore[import-untyped]  # it has no stubs
from numpy.typing import NDArray
from onnxruntime.capi import (  # type: ignore[import-untyped]  # likewise
    onnxruntime_pybind11_state as onnx_errors,
)

# What `InferenceSession` raises: classes of its own, which share no base but Exception.
_LOADING_FAILURES = (
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.InvalidGraph,
    onnx_errors.InvalidProtobuf,
    onnx_errors.NoSuchFile,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
)
_RUNNING_FAILURES = (
    onnx_errors.EPFail,
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
    RuntimeError,
)
_FATAL = 4
_MAX_WORDS = 300


class UnusableModel(Exception):
    """A model is missing, damaged, or not of a kind that can be used here."""


class InferenceFailed(Exception):
    """The inference of one text or pair failed."""


def open_session(model: Path | bytes, *, named: Path) -> onnxruntime.InferenceSession:
    """Load a model onto one core.

    Each inference runs in the thread that asks for it, so the parallelism is the
    caller's.

    Args:
        model: Its content, or its path where files beside it belong to it.
        named: What to call it in a message.

    Raises:
        UnusableModel: onnxruntime refuses it; the message has its words.

    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Its own notes about a failed run quote inputs; the failure itself is raised.
    options.log_severity_level = _FATAL
    try:
        return onnxruntime.InferenceSession(
            str(model) if isinstance(model, Path) else model,
            options,
            providers=["CPUExecutionProvider"],
        )
    except _LOADING_FAILURES as error:
        words = " ".join(str(error).split())[:_MAX_WORDS]
        message = f"{named}: onnxruntime cannot load it: {words}"
        raise UnusableModel(message) from error


def infer(
    session: onnxruntime.InferenceSession,
    outputs: Sequence[str],
    inputs: Mapping[str, NDArray[Any]],
) -> list[NDArray[Any]]:
    """Run a model once.

    Raises:
        InferenceFailed: onnxruntime failed.

    """
    try:
        found: list[NDArray[Any]] = session.run(outputs, inputs)
    except _RUNNING_FAILURES as error:
        message = f"onnxruntime failed on {inputs['input_ids'].shape[-1]} tokens"
        raise InferenceFailed(message) from error
    return found
