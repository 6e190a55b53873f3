"""What pydantic finds wrong, in our words: the path of the setting, and no value."""

from pydantic_core import ErrorDetails

_WORDS = {
    "extra_forbidden": "there is no such setting",
    "missing": "is required",
    "string_pattern_mismatch": "must match [a-z][a-z0-9_]*",
}
_PATTERNS = {
    "sha256": "must be 64 hexadecimal digits, as `rerank-gateway keys create` prints",
    "metrics_sha256": "must be 64 hexadecimal digits, likewise",
    "tenant": "must be 1 to 128 of A-Za-z0-9_.:@|/+=-",
}


def in_words(error: ErrorDetails) -> str:
    """Say what is wrong with one setting."""
    path = [str(part) for part in error["loc"] if part != "[key]"]
    said: str = _WORDS.get(error["type"], error["msg"])
    if error["type"] == "string_pattern_mismatch" and path[-1] in _PATTERNS:
        said = _PATTERNS[path[-1]]
    return f"{'.'.join(path)}: {said[:1].lower()}{said[1:]}"
