"""Exchanges recorded from real servers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent / "recorded"


@dataclass(frozen=True)
class Recorded:
    """One request, and what the server answered."""

    path: str
    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def texts(self) -> list[str]:
        texts: list[str] = self.request.get("documents") or self.request["texts"]
        return texts


def llamacpp(name: str) -> Recorded:
    """Read one of `tests/recorded/llamacpp`."""
    return _read("llamacpp", name)


def infinity(name: str) -> Recorded:
    """Read one of `tests/recorded/infinity`."""
    return _read("infinity", name)


def _read(server: str, name: str) -> Recorded:
    exchange = json.loads((_ROOT / server / f"{name}.json").read_text("utf-8"))
    return Recorded(
        path=exchange["request"]["path"],
        request=exchange["request"].get("body", {}),
        status=exchange["response"]["status"],
        headers=exchange["response"]["headers"],
        body=exchange["response"]["body_raw"].encode(),
    )
