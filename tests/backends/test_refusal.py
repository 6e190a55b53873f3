"""What an answer other than success means, where its vendor adds nothing to its status."""

from dataclasses import replace

import pytest

from gateway.backends.dialect import Refusal
from gateway.backends.dialects import DIALECTS
from gateway.backends.errors import (
    BackendError,
    Excess,
    Malformed,
    RateLimited,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.refusal import by_status, retry_after_s


def refusal(status: int, **headers: str) -> Refusal:
    return Refusal(
        backend="tei",
        status=status,
        headers={key.replace("_", "-"): value for key, value in headers.items()},
        payload=None,
    )


@pytest.mark.parametrize(
    ("status", "kind", "transient", "blames"),
    [
        (201, Malformed, False, True),
        (202, Malformed, False, True),
        (204, Malformed, False, True),
        (206, Malformed, False, True),
        (301, Rejected, False, False),
        (302, Rejected, False, False),
        (400, Rejected, False, False),
        (401, Unauthenticated, False, False),
        (402, Unauthenticated, False, False),
        (403, Unauthenticated, False, False),
        (404, Rejected, False, False),
        (405, Rejected, False, False),
        (408, Rejected, True, False),
        (409, Rejected, True, False),
        (413, TooLarge, False, False),
        (415, Rejected, False, False),
        (418, Rejected, False, False),
        (422, Rejected, False, False),
        (424, Rejected, False, False),
        (425, Rejected, True, False),
        (429, RateLimited, True, False),
        (498, Rejected, False, False),
        (499, Rejected, False, False),
        (500, Unavailable, True, True),
        (501, Unavailable, False, True),
        (502, Unavailable, True, True),
        (503, Unavailable, True, True),
        (504, Unavailable, True, True),
        (505, Unavailable, False, True),
        (520, Unavailable, True, True),
        (599, Unavailable, True, True),
    ],
)
def test_each_status_has_one_meaning(
    status: int, kind: type[BackendError], *, transient: bool, blames: bool
) -> None:
    error = by_status(refusal(status))
    assert type(error) is kind
    assert error.transient is transient
    assert error.blames_backend is blames
    assert error.backend == "tei"


NINES = "9" * 5000


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "payload",
    [
        None,
        "no",
        5,
        [],
        [None],
        {},
        {"error": None, "error_type": None, "message": None, "detail": None},
        {"error": "no", "error_type": "no", "message": "no", "detail": "no"},
        {"error": 5, "error_type": 5, "message": 5, "detail": 5},
        {"error": ["no"], "error_type": [], "message": ["no"], "detail": ["no", None]},
        {"error": {"message": 5, "type": []}, "message": {}, "detail": {"type": 5}},
    ],
)
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_body_that_says_nothing_known_leaves_it_to_the_status(
    dialect: str, payload: object, status: int
) -> None:
    answer = replace(refusal(status), payload=payload)
    assert DIALECTS[dialect].refusal(answer) is None


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "words",
    [
        f"batch size {NINES} > maximum allowed batch size {NINES}",
        f"`inputs` must have less than {NINES} tokens. Given: {NINES}",
        f"input ({NINES} tokens) is too large to process. current batch size: {NINES}",
        f"maximum context length is {NINES} tokens. requested {NINES} tokens in the input",
    ],
)
def test_a_number_beyond_all_reason_is_none(dialect: str, words: str) -> None:
    for payload in (
        {"error": words, "error_type": "Validation", "message": words, "detail": words},
        {"error": {"message": words}},
    ):
        error = DIALECTS[dialect].refusal(replace(refusal(400), payload=payload))
        assert error is None or isinstance(error, TooLarge)
        if isinstance(error, TooLarge):
            assert (error.given, error.limit) == (None, None)


def test_a_body_that_is_too_large_may_be_split() -> None:
    error = by_status(refusal(413))
    assert isinstance(error, TooLarge)
    assert error.excess is Excess.BYTES


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_the_wait_that_a_backend_asks_for_is_kept(status: int) -> None:
    assert by_status(refusal(status, retry_after="12")).retry_after_s == 12.0


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 09:28:30 +0200", "date": DATE}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 -0000", "date": DATE}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30", "date": DATE}, 30.0),
        # Past already
        ({"retry-after": "Wed, 21 Oct 2015 07:27:00 GMT", "date": DATE}, 0.0),
        # Relative to nothing
        ({"retry-after": DATE}, None),
        ({"retry-after": DATE, "date": "now"}, None),
        # Beyond all reason
        ({"retry-after": "9" * 400}, 86_400.0),
        ({"retry-after-ms": "9" * 400}, 86_400.0),
        ({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT", "date": DATE}, 86_400.0),
        (
            {
                "retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
                "date": DATE,
            },
            None,
        ),
    ],
)
def test_how_long_to_stay_away(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds
