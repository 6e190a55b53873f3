"""From bytes to a request in our terms, or to every violation in it."""

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from gateway.errors import InvalidRequest, Violation
from gateway.faces.face import Asked, Face
from gateway.faces.shape import repaired, violations_of
from gateway.rpc.requests import Limits, read_rerank
from gateway.rpc.violations import Violations


def read(face: Face, raw: dict[str, Any], limits: Limits) -> Asked:
    """Read a request of a vendor's API.

    Args:
        face: The API.
        raw: The body.
        limits: What the server takes.

    Raises:
        InvalidRequest: With every violation, if it has not the shape of the API.

    """
    wrong = Violations()
    try:
        body = face.body.model_validate(raw)
    except ValidationError as error:
        found = violations_of(error, face.body)
        body = face.body.model_validate(repaired(raw, error, face.body))
    else:
        found = ()
    asked = face.ask(body, wrong)
    found += wrong.found
    if not found:
        return asked
    # What else there is wrong is said as well.
    known = {each.field for each in found}
    more = (
        each
        for each in renamed(face, asked, _violations_in(asked, limits))
        if each.field not in known
    )
    raise InvalidRequest((*found, *more))


def _violations_in(asked: Asked, limits: Limits) -> tuple[Violation, ...]:
    try:
        read_rerank(asked.message, limits, now=0.0, remaining_s=None)
    except InvalidRequest as error:
        return error.violations
    return ()


def renamed(
    face: Face, asked: Asked, violations: tuple[Violation, ...]
) -> tuple[Violation, ...]:
    """Let violations of our contract speak of the vendor's fields."""
    return tuple(
        replace(each, field=_name(face, asked, each.field)) for each in violations
    )


def _name(face: Face, asked: Asked, path: str) -> str:
    field, bracket, rest = path.partition("[")
    name = face.fields.get(field, field) + bracket + rest
    place = rest.partition("]")[0]
    if (
        field == "documents"
        and place
        and not isinstance(asked.documents[int(place)], dict)
    ):
        return name.removesuffix(".text")  # it is a text itself
    return name
