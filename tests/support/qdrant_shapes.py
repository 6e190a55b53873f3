"""Between the messages of Qdrant's gRPC and the classes of its embedded engine."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import qdrant_edge as edge
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import grpc_to_payload, json_to_value

_DISTANCES = {
    wire.Distance.Cosine: edge.Distance.Cosine,
    wire.Distance.Dot: edge.Distance.Dot,
    wire.Distance.Euclid: edge.Distance.Euclid,
    wire.Distance.Manhattan: edge.Distance.Manhattan,
}
_FIELD_TYPES = {
    wire.FieldType.FieldTypeKeyword: edge.PayloadSchemaType.Keyword,
    wire.FieldType.FieldTypeInteger: edge.PayloadSchemaType.Integer,
    wire.FieldType.FieldTypeFloat: edge.PayloadSchemaType.Float,
    wire.FieldType.FieldTypeBool: edge.PayloadSchemaType.Bool,
    wire.FieldType.FieldTypeDatetime: edge.PayloadSchemaType.Datetime,
}
_SHADOW = "truth"
_BOUNDS = ("gt", "gte", "lt", "lte")


def config(request: wire.CreateCollection) -> edge.EdgeConfig:
    """Read what vectors a collection has."""
    return edge.EdgeConfig(
        vectors={
            name: edge.EdgeVectorParams(
                size=each.size, distance=_DISTANCES[each.distance]
            )
            for name, each in request.vectors_config.params_map.map.items()
        },
        sparse_vectors={
            name: edge.EdgeSparseVectorParams(
                modifier=edge.Modifier.Idf
                if each.modifier == wire.Modifier.Idf
                else None
            )
            for name, each in request.sparse_vectors_config.map.items()
        },
    )


def field_type(request: wire.CreateFieldIndexCollection) -> edge.PayloadSchemaType:
    return _FIELD_TYPES[request.field_type]


def ids(messages: Iterable[wire.PointId]) -> list[int | str | UUID]:
    return [
        each.uuid if each.WhichOneof("point_id_options") == "uuid" else each.num
        for each in messages
    ]


def id_message(found: int | str | UUID) -> wire.PointId:
    if isinstance(found, int):
        return wire.PointId(num=found)
    return wire.PointId(uuid=str(found))


def points(messages: Iterable[wire.PointStruct]) -> list[edge.Point]:
    return [
        edge.Point(
            ids([each.id])[0],
            {
                name: _vector_in(vector)
                for name, vector in each.vectors.vectors.vectors.items()
            },
            _with_shadow(grpc_to_payload(each.payload)),
        )
        for each in messages
    ]


def query(message: wire.QueryPoints) -> edge.Query:
    asked = message.query.nearest
    if asked.WhichOneof("variant") == "sparse":
        nearest: Any = edge.SparseVector(
            list(asked.sparse.indices), list(asked.sparse.values)
        )
    else:
        nearest = list(asked.dense.data)
    return edge.Query.Nearest(nearest, using=message.using)


def params(message: wire.QueryPoints) -> edge.SearchParams | None:
    if not message.HasField("params"):
        return None
    return edge.SearchParams(hnsw_ef=message.params.hnsw_ef)


def with_payload(message: wire.WithPayloadSelector) -> Any:
    if message.WhichOneof("selector_options") == "include":
        return list(message.include.fields)
    return message.enable


def with_vectors(message: wire.WithVectorsSelector) -> Any:
    if message.WhichOneof("selector_options") == "include":
        return list(message.include.names)
    return message.enable


def payload(found: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        name: json_to_value(value)
        for name, value in (found or {}).items()
        if name != _SHADOW
    }


def vectors(found: Any) -> wire.VectorsOutput | None:
    """Write the vectors of a point, which all have names."""
    if not found:
        return None
    named = {name: _vector_out(each) for name, each in found.items()}
    return wire.VectorsOutput(vectors=wire.NamedVectorsOutput(vectors=named))


def condition(message: wire.Filter) -> edge.Filter | None:
    """Read a filter; None: there is none."""
    if not message.ByteSize():
        return None
    return edge.Filter(
        must=[_condition(each) for each in message.must] or None,
        should=[_condition(each) for each in message.should] or None,
        must_not=[_condition(each) for each in message.must_not] or None,
    )


def _with_shadow(payload: dict[str, Any]) -> dict[str, Any]:
    """Add to each truth value a number that is found by.

    `qdrant_edge` takes `MatchValue(True)` for the number 1, and then finds nothing.
    """

    def numbers(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: numbers(each) for name, each in value.items()}
        return int(value) if isinstance(value, bool) else None

    return payload | {_SHADOW: numbers(payload)}


def _condition(message: wire.Condition) -> Any:
    match message.WhichOneof("condition_one_of"):
        case "field":
            return _field(message.field)
        case "has_id":
            return edge.HasIdCondition(set(ids(message.has_id.has_id)))
        case "filter":
            return condition(message.filter) or edge.Filter()
        case other:
            raise NotImplementedError(other)


def _field(message: wire.FieldCondition) -> edge.FieldCondition:
    if message.match.WhichOneof("match_value") == "boolean":
        shadow = edge.MatchValue(int(message.match.boolean))
        return edge.FieldCondition(f"{_SHADOW}.{message.key}", match=shadow)
    if message.HasField("match"):
        return edge.FieldCondition(message.key, match=_match(message.match))
    if message.HasField("range"):
        given = {
            name: getattr(message.range, name)
            for name in _BOUNDS
            if message.range.HasField(name)  # type: ignore[arg-type]  # one of its names
        }
        return edge.FieldCondition(message.key, range=edge.RangeFloat(**given))
    times = {
        name: getattr(message.datetime_range, name).ToJsonString()
        for name in _BOUNDS
        if message.datetime_range.HasField(name)  # type: ignore[arg-type]  # one of its names
    }
    return edge.FieldCondition(message.key, range=edge.RangeDateTime(**times))


def _match(message: wire.Match) -> Any:
    match message.WhichOneof("match_value"):
        case "keyword":
            return edge.MatchValue(message.keyword)
        case "integer":
            return edge.MatchValue(message.integer)
        case "keywords":
            return edge.MatchAny(list(message.keywords.strings))
        case "integers":
            return edge.MatchAny(list(message.integers.integers))
        case other:
            raise NotImplementedError(other)


def _vector_in(message: wire.Vector) -> Any:
    match message.WhichOneof("vector"):
        case "sparse":
            return edge.SparseVector(
                list(message.sparse.indices), list(message.sparse.values)
            )
        case "dense":
            return list(message.dense.data)
    return list(message.data)


def _vector_out(found: Any) -> wire.VectorOutput:
    if isinstance(found, edge.SparseVector):
        sparse = wire.SparseVector(values=found.values, indices=found.indices)
        return wire.VectorOutput(sparse=sparse)
    return wire.VectorOutput(dense=wire.DenseVector(data=found))
