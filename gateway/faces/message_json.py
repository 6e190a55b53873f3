"""Check JSON against a message of our contract: every fault at once, and no text quoted.

protobuf's own reader stops at the first fault and tells it with the value. What passes here
it reads.
"""

import re
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.rpc.violations import Violations

_DURATION = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?s")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")
_LARGEST_FLOAT = 3.4028234663852886e38
_INT32 = (-(2**31), 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)
_MAX_DEPTH = 64


def check(raw: Mapping[str, Any], message: Message, wrong: Violations) -> None:
    """Note everything in JSON that is not of a message.

    Args:
        raw: The JSON.
        message: What it is to be.
        wrong: Takes what is wrong.

    """
    described: Any = message.DESCRIPTOR
    _fields(raw, described, "", wrong, 0)


def _fields(
    raw: Mapping[str, Any],
    message: Descriptor,
    path: str,
    wrong: Violations,
    depth: int,
) -> None:
    known = {
        name: field
        for field in message.fields
        for name in (field.json_name, field.name)
    }
    given: dict[str, str] = {}
    for name, value in raw.items():
        field = known.get(name)
        if field is None:
            # Its name is the caller's, and could be anything.
            wrong.add(path or "request", "has a field that there is not")
            continue
        place = f"{path}.{name}" if path else name
        # Of a oneof one field may be there; one that is optional is a oneof of its own.
        group = field.containing_oneof
        key = group.name if group else field.name
        if value is None:
            continue
        if key in given:
            wrong.add(place, f"excludes {given[key]}")
        given[key] = name
        _field(value, field, place, wrong, depth)


def _field(
    value: object, field: FieldDescriptor, path: str, wrong: Violations, depth: int
) -> None:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        if not isinstance(value, dict):
            wrong.add(path, "must be an object")
            return
        of_value = kind.fields_by_name["value"]
        for each in value.values():
            # Its key is the caller's, and could be anything.
            _one(each, of_value, path, wrong, depth)
    elif field.is_repeated:
        if not isinstance(value, list):
            wrong.add(path, "must be a list")
            return
        for place, each in enumerate(value):
            _one(each, field, f"{path}[{place}]", wrong, depth)
    else:
        _one(value, field, path, wrong, depth)


def _one(
    value: object, field: FieldDescriptor, path: str, wrong: Violations, depth: int
) -> None:
    message, enum = field.message_type, field.enum_type
    if message is not None:
        check_known = _WELL_KNOWN.get(message.full_name)
        if check_known:
            check_known(value, path, wrong)
        elif not isinstance(value, dict):
            wrong.add(path, "must be an object")
        elif depth == _MAX_DEPTH:
            wrong.add(path, f"must not be nested deeper than {_MAX_DEPTH}")
        else:
            _fields(value, message, path, wrong, depth + 1)
    elif enum is not None:
        by_name = isinstance(value, str) and value in enum.values_by_name
        by_number = _is_integer(value, *_INT32)
        if not by_name and not by_number:
            wrong.add(path, f"must be one of {', '.join(enum.values_by_name)}")
    else:
        is_it, words = _SCALARS[field.cpp_type]
        if not is_it(value):
            wrong.add(path, words)


def _is_integer(value: object, least: int, most: int) -> bool:
    """Tell whether a value is a whole number, which protobuf also takes as a text."""
    if isinstance(value, bool):
        return False
    if isinstance(value, float):
        return value.is_integer() and least <= value <= most
    if isinstance(value, str):
        return bool(_INTEGER.fullmatch(value)) and least <= int(value) <= most
    return isinstance(value, int) and least <= value <= most


def _is_number(value: object, most: float = inf) -> bool:
    """Tell whether a value is a number, likewise."""
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return False
        return value in _NO_NUMBERS or abs(number) <= most
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= most


_Check = Callable[[object], bool]

_SCALARS: dict[int, tuple[_Check, str]] = {
    FieldDescriptor.CPPTYPE_BOOL: (
        lambda value: isinstance(value, bool),
        "must be true or false",
    ),
    FieldDescriptor.CPPTYPE_DOUBLE: (_is_number, "must be a number"),
    FieldDescriptor.CPPTYPE_FLOAT: (
        lambda value: _is_number(value, _LARGEST_FLOAT),
        "must be a number that a float can hold",
    ),
    FieldDescriptor.CPPTYPE_INT32: (
        lambda value: _is_integer(value, *_INT32),
        "must be a whole number of 32 bits",
    ),
    FieldDescriptor.CPPTYPE_INT64: (
        lambda value: _is_integer(value, *_INT64),
        "must be a whole number of 64 bits",
    ),
    FieldDescriptor.CPPTYPE_STRING: (
        lambda value: isinstance(value, str),
        "must be a string",
    ),
    FieldDescriptor.CPPTYPE_UINT32: (
        lambda value: _is_integer(value, 0, 2**32 - 1),
        "must be a whole number of 32 bits, not negative",
    ),
    FieldDescriptor.CPPTYPE_UINT64: (
        lambda value: _is_integer(value, 0, 2**64 - 1),
        "must be a whole number of 64 bits, not negative",
    ),
}


def _duration(value: object, path: str, wrong: Violations) -> None:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        wrong.add(path, 'must be seconds with an s, such as "1.5s"')


def _timestamp(value: object, path: str, wrong: Violations) -> None:
    if not isinstance(value, str):
        wrong.add(path, 'must be a time such as "2026-01-31T12:00:00Z"')


def _struct(value: object, path: str, wrong: Violations) -> None:
    if not isinstance(value, dict):
        wrong.add(path, "must be an object")


_WELL_KNOWN: dict[str, Callable[[object, str, Violations], None]] = {
    "google.protobuf.Duration": _duration,
    "google.protobuf.Struct": _struct,
    "google.protobuf.Timestamp": _timestamp,
}
