"""Check what a caller can ask for in more than one RPC."""

import math
import re
from collections.abc import Mapping, Sequence

from google.protobuf.duration_pb2 import Duration

from gateway.backends.scorer import CacheMode, CacheWish
from gateway.rpc.violations import Violations, bytes_over
from rerank.v1 import options_pb2

_MAX_DIMENSION = 8192
_MAX_INSTRUCTION_BYTES = 8 * 1024
_MAX_LABELS = 16
_MAX_LABEL_CHARACTERS = 128
_LABEL_KEY = re.compile(r"[a-z0-9_.-]{1,64}")
_DAY_S = 86_400
_NANOS = 1e-9
_CACHE_MODES = {
    options_pb2.CACHE_MODE_BYPASS: CacheMode.BYPASS,
    options_pb2.CACHE_MODE_REFRESH: CacheMode.REFRESH,
}


def read_cache(
    path: str, cache: options_pb2.CacheOptions, wrong: Violations
) -> CacheWish:
    """Read how the server's memory is to take part."""
    if cache.mode not in options_pb2.CacheMode.values():
        wrong.add(f"{path}.mode", "must be DEFAULT, BYPASS or REFRESH")
    ttl_s = None
    if cache.HasField("ttl"):
        ttl_s = positive_s(f"{path}.ttl", cache.ttl, wrong)
        if ttl_s > _DAY_S:
            wrong.add(f"{path}.ttl", "must be at most 24 hours")
    return CacheWish(_CACHE_MODES.get(cache.mode, CacheMode.DEFAULT), ttl_s)


def check_labels(path: str, labels: Mapping[str, str], wrong: Violations) -> None:
    """Check what is only for traces and accounting."""
    if len(labels) > _MAX_LABELS:
        wrong.add(path, f"must have at most {_MAX_LABELS} entries")
    for key, value in sorted(labels.items()):
        if not _LABEL_KEY.fullmatch(key):
            wrong.add(path, f"every key must match {_LABEL_KEY.pattern}")
        if len(value) > _MAX_LABEL_CHARACTERS:
            wrong.add(path, f"values have at most {_MAX_LABEL_CHARACTERS} characters")


def kept_labels(
    labels: Mapping[str, str], kept: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Pick the labels that are written down, in their order."""
    return tuple((name, labels[name]) for name in kept if name in labels)


def check_instruction(path: str, instruction: str, wrong: Violations) -> None:
    """Check how a model is told to judge."""
    if bytes_over(_MAX_INSTRUCTION_BYTES, instruction):
        wrong.add(path, f"must have at most {_MAX_INSTRUCTION_BYTES} bytes")


def check_failure_policy(
    path: str, policy: options_pb2.FailurePolicy.ValueType, wrong: Violations
) -> None:
    """Check what is wanted when no backend scores."""
    if policy not in options_pb2.FailurePolicy.values():
        wrong.add(path, "must be KEEP_ORDER or FAIL")


def check_vector(path: str, vector: Sequence[float], wrong: Violations) -> None:
    """Check a vector for itself; an empty one is none."""
    if len(vector) > _MAX_DIMENSION:
        wrong.add(path, f"must have at most {_MAX_DIMENSION} dimensions")
    # A sum of floats is finite exactly if all of them are: doubles hold it.
    elif not math.isfinite(sum(vector)):
        wrong.add(path, "must hold finite numbers")


def positive_s(path: str, duration: Duration, wrong: Violations) -> float:
    """Read a time that has to be more than 0, in seconds."""
    seconds = duration.seconds + duration.nanos * _NANOS
    if seconds <= 0:
        wrong.add(path, "must be more than 0")
    return seconds
