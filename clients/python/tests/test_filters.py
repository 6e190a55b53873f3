"""Filters, as they are written and as they are sent."""

from datetime import UTC, datetime

import pytest
from google.protobuf.json_format import MessageToDict

from rerank_client.filters import all_of, any_of, between, equal, negated, one_of


def test_filters_nest() -> None:
    condition = all_of(
        equal("lang", "en"),
        any_of(one_of("year", [2025, 2026]), between("score", gt=0.5, lte=1.0)),
        negated(equal("draft", value=True)),
    )
    assert MessageToDict(condition) == {
        "and": {
            "filters": [
                {"eq": {"field": "lang", "value": {"stringValue": "en"}}},
                {
                    "or": {
                        "filters": [
                            {
                                "in": {
                                    "field": "year",
                                    "values": [
                                        {"int64Value": "2025"},
                                        {"int64Value": "2026"},
                                    ],
                                }
                            },
                            {
                                "range": {
                                    "field": "score",
                                    "gt": {"doubleValue": 0.5},
                                    "lte": {"doubleValue": 1.0},
                                }
                            },
                        ]
                    }
                },
                {"not": {"eq": {"field": "draft", "value": {"boolValue": True}}}},
            ]
        }
    }


def test_a_point_in_time_has_its_zone() -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert MessageToDict(between("at", gte=moment, lt=None)) == {
        "range": {"field": "at", "gte": {"timestampValue": "2026-03-01T12:00:00Z"}}
    }
    with pytest.raises(ValueError, match="time zone"):
        equal("at", moment.replace(tzinfo=None))
