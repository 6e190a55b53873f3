"""Tiny ONNX cross-encoders, made byte by byte, since nothing else here writes ONNX.

The graph averages a number of each token: a table with a row per token id, and a column
per label. Field numbers are those of `onnx.proto3`.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

FLOAT, INT32, INT64 = 1, 6, 7
_INT, _INTS = 2, 7
_EXTERNAL = 1
_OPSET = 17
_IR_VERSION = 8

INPUTS: Mapping[str, int] = {
    "input_ids": INT64,
    "attention_mask": INT64,
    "token_type_ids": INT64,
}


def cross_encoder(
    table: Sequence[Sequence[float]],
    *,
    inputs: Mapping[str, int] = INPUTS,
    outputs: Sequence[str] = ("logits",),
    labels: int | str | None = None,
    flat: bool = False,
    averages: bool = True,
    averaged: str = "input_ids",
    weights_beside: Path | None = None,
) -> bytes:
    """Make a graph that gives the mean, over the tokens, of their rows.

    Args:
        table: A row per token id.
        inputs: The inputs and their types.
        outputs: Names of the outputs, which are all the same.
        labels: The declared number of labels; None: the true one; text: undeclared.
        flat: The output is [batch], not [batch, labels].
        averages: Otherwise the output are the rows themselves.
        averaged: The input whose numbers are looked up.
        weights_beside: Put the table into this file, and refer to it by its name.

    """
    values = b"".join(struct.pack(f"<{len(row)}f", *row) for row in table)
    width = len(table[0])
    tensor = (_number(1, len(table)) + _number(1, width) + _number(2, FLOAT)) + _bytes(
        8, b"table"
    )
    if weights_beside:
        weights_beside.write_bytes(values)
        entry = _bytes(1, b"location") + _bytes(2, weights_beside.name.encode())
        tensor += _bytes(13, entry) + _number(14, _EXTERNAL)
    else:
        tensor += _bytes(9, values)
    axes = [1, 2] if flat else [1]
    shape: list[int | str] = ["batch"] if flat else ["batch", labels or width]
    nodes = _node("Gather", ["table", averaged], "rows")
    for output in outputs:
        if averages:
            nodes += _node("ReduceMean", ["rows"], output, axes=axes)
        else:
            nodes += _node("Identity", ["rows"], output)
            shape = ["batch", "sequence", width]
    graph = (
        nodes
        + _bytes(2, b"tiny")
        + _bytes(5, tensor)
        + b"".join(
            _bytes(11, _value(name, kind, ["batch", "sequence"]))
            for name, kind in inputs.items()
        )
        + b"".join(_bytes(12, _value(name, FLOAT, shape)) for name in outputs)
    )
    opset = _bytes(1, b"") + _number(2, _OPSET)
    return _number(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, opset)


def _node(
    kind: str, inputs: Sequence[str], output: str, axes: Sequence[int] = ()
) -> bytes:
    node = b"".join(_bytes(1, each.encode()) for each in inputs)
    node += _bytes(2, output.encode()) + _bytes(4, kind.encode())
    if axes:
        numbers = b"".join(_number(8, axis) for axis in axes)
        node += _bytes(5, _bytes(1, b"axes") + numbers + _number(20, _INTS))
        node += _bytes(5, _bytes(1, b"keepdims") + _number(3, 0) + _number(20, _INT))
    return _bytes(1, node)


def _value(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    dimensions = b"".join(
        _bytes(1, _number(1, size))
        if isinstance(size, int)
        else _bytes(1, _bytes(2, size.encode()))
        for size in shape
    )
    tensor = _number(1, kind) + _bytes(2, dimensions)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
