"""What pydantic finds wrong, in our words: the path of the setting, and no value."""

from pydantic_core import ErrorDetails

_WORDS = {
    "extra_forbidden": "there is no such setting",
    "missing": "is required",
}
_NAME = "must be 1 to 2048 characters without a control among them"
_PATTERNS = {
    "common_name": _NAME,
    "dns": _NAME,
    "sha256": "must be 64 hexadecimal digits, as `rerank-gateway keys create` prints",
    "metrics_sha256": "must be 64 hexadecimal digits, likewise",
    "tenant": "must be 1 to 128 of A-Za-z0-9_.:@|/+=-",
    "uri": _NAME,
}


def in_words(error: ErrorDetails) -> str:
    """Say what is wrong with one setting."""
    path = [str(part) for part in error["loc"] if part != "[key]"]
    said: str = _WORDS.get(error["type"], error["msg"])
    if error["type"] == "string_pattern_mismatch":
        pattern = str(error["ctx"]["pattern"]).strip("^$")
        said = _PATTERNS.get(path[-1], f"must match {pattern}")
    return f"{'.'.join(path)}: {said[:1].lower()}{said[1:]}"
