"""The JSON of our contract's messages, described as JSON Schema."""

from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Schema = dict[str, Any]

_DURATION = {"type": "string", "pattern": r"^-?[0-9]{1,9}(\.[0-9]{1,9})?s$"}
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Duration": _DURATION,
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
}
_LARGEST_FLOAT = 3.4e38


def _integer(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


# As text, since JavaScript's numbers do not hold it.
_LONG = {"type": "string", "pattern": "^-?[0-9]{1,18}$"}
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_FLOAT: {
        "type": "number",
        "minimum": -_LARGEST_FLOAT,
        "maximum": _LARGEST_FLOAT,
    },
    FieldDescriptor.CPPTYPE_INT32: _integer(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: _LONG,
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
    FieldDescriptor.CPPTYPE_UINT32: _integer(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: _LONG,
}


class MessageSchemas:
    """Describes messages, each once.

    Args:
        place: Where the descriptions of messages are, such as `#/components/schemas/`.

    """

    def __init__(self, place: str) -> None:
        self._place = place
        self.found: dict[str, Schema] = {}
        """By the full name of a message or an enum."""

    def of(self, message: Descriptor) -> Schema:
        """Describe a message; gives where that is."""
        if known := _WELL_KNOWN.get(message.full_name):
            return known
        if message.full_name not in self.found:
            # First of all: it may have fields of its own kind.
            self.found[message.full_name] = {
                "type": "object",
                "additionalProperties": False,
            }
            self.found[message.full_name]["properties"] = {
                field.json_name: self._field(field) for field in message.fields
            }
        return {"$ref": self._place + message.full_name}

    def _field(self, field: FieldDescriptor) -> Schema:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            value = kind.fields_by_name["value"]
            return {"type": "object", "additionalProperties": self._one(value)}
        one = self._one(field)
        return {"type": "array", "items": one} if field.is_repeated else one

    def _one(self, field: FieldDescriptor) -> Schema:
        if field.message_type is not None:
            return self.of(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return _SCALARS[field.cpp_type]

    def _enum(self, enum: EnumDescriptor) -> Schema:
        self.found[enum.full_name] = {
            "type": "string",
            "enum": [value.name for value in enum.values],
        }
        return {"$ref": self._place + enum.full_name}
