"""The shapes of requests: strict, and every violation by the caller's own names."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from gateway.errors import Violation

_MOST_RESULTS = 2**31 - 1
_DEEPEST = 64
_LONGEST_NAME = 64


def _whole(value: object) -> object:
    """Take 3.0 for what it is: JSON knows one kind of numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
Whole = Annotated[int, WHOLE]
AtLeastOne = Annotated[int, Field(ge=1, le=_MOST_RESULTS), WHOLE]
AtLeastNone = Annotated[int, Field(ge=0, le=_MOST_RESULTS), WHOLE]
# Whether it is blank is seen where all requests are checked.
Query = Annotated[str, Field(json_schema_extra={"pattern": r"\S"})]


def _shallow(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse what could be read, and not be written again."""
    level: list[JsonValue] = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return value
    message = f"must not be nested deeper than {_DEEPEST}"
    raise ValueError(message)


_OBJECT_WITH_TEXT: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
}

TextOrObject = (
    str
    | Annotated[
        dict[str, JsonValue],
        AfterValidator(_shallow),
        WithJsonSchema(_OBJECT_WITH_TEXT),
    ]
)
"""An object has a `text`."""

TextOrAnyObject = (
    str
    | Annotated[
        dict[str, JsonValue],
        AfterValidator(_shallow),
        WithJsonSchema({"type": "object"}),
    ]
)
"""The same, unless the request says which of its fields are read."""

TEXT_UNLESS_NAMED: dict[str, Any] = {
    "if": {
        "properties": {"rank_fields": {"type": "array", "minItems": 1}},
        "required": ["rank_fields"],
    },
    "else": {
        "properties": {
            "documents": {"items": {"anyOf": [{"type": "string"}, _OBJECT_WITH_TEXT]}}
        }
    },
}
"""That, for the description of a request."""

_WORDS = {
    "missing": "is required",
    "extra_forbidden": "there is no such field",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "float_type": "must be a number",
}


class RerankBody(BaseModel):
    """A request to rerank: what is not named here is ignored."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    TEXTS: ClassVar[str] = "documents"
    """The field with the documents."""

    query: Query


def violations_of(
    error: ValidationError, shape: type[RerankBody]
) -> tuple[Violation, ...]:
    """Say what is wrong with a shape, once for each place."""
    found: dict[str, Violation] = {}
    for each in error.errors():
        path, union = _path(each["loc"], shape)
        if each["type"] == "value_error":  # ours, and says more than that of its kind
            found[path] = Violation(path, str(each["ctx"]["error"]))
            continue
        words = "must be a string or an object" if union else _description(each)
        found.setdefault(path, Violation(path, words))
    return tuple(found.values())


def _path(loc: tuple[int | str, ...], shape: type[RerankBody]) -> tuple[str, bool]:
    """Write a place as callers do, and tell whether several kinds are allowed there.

    Of a place where several kinds of values are allowed, pydantic names the kind as well.
    """
    field, *rest = loc
    # Of a field that there is not, the name is the caller's, and could be anything.
    path = str(field)[:_LONGEST_NAME]
    for part in rest:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            return path, field == shape.TEXTS
    return path, False


def _description(error: ErrorDetails) -> str:
    if words := _WORDS.get(error["type"]):
        return words
    said = error["msg"]
    return said[:1].lower() + said[1:]


def repaired(
    raw: dict[str, Any], error: ValidationError, shape: type[RerankBody]
) -> dict[str, Any]:
    """Give what is right in a request, so that the rest of it can be checked as well."""
    wrong = {each["loc"][0] for each in error.errors() if len(each["loc"]) == 1}
    places = {
        each["loc"][1]
        for each in error.errors()
        if each["loc"][0] == shape.TEXTS and len(each["loc"]) > 1
    }
    right = {key: value for key, value in raw.items() if key not in wrong}
    for field in {each["loc"][0] for each in error.errors()} - {shape.TEXTS}:
        right.pop(str(field), None)
    if places:
        right[shape.TEXTS] = [
            "" if place in places else each
            for place, each in enumerate(right[shape.TEXTS])
        ]
    return {**dict(_defaults(shape)), **right}


def _defaults(shape: type[RerankBody]) -> Iterator[tuple[str, Any]]:
    """Give something for what is required."""
    for name, field in shape.model_fields.items():
        if field.is_required():
            yield name, [] if name == shape.TEXTS else "-"
