"""An operator hears of keys that somebody on the way could read."""

from typing import Any

import pytest

from gateway.settings import checked
from gateway.settings.shown_keys import shown_keys

KEY = {"api_key_env": "KEY"}


def told(raw: dict[str, Any]) -> list[str]:
    """Give the sections and places that are warned of."""
    said = list(shown_keys(checked(raw)))
    assert all("in the clear" in each for each in said)
    return [each.removeprefix("the key of ").partition(" in ")[0] for each in said]


def cluster(engine: str, **more: Any) -> dict[str, Any]:
    return {"retrieval": {"engine": engine, **KEY, **more}}


def backend(**more: Any) -> dict[str, Any]:
    return {"backends": {"a": {"dialect": "tei", **KEY, **more}}}


@pytest.mark.parametrize(
    ("raw", "warned"),
    [
        (cluster("qdrant", url="http://q"), ["retrieval goes to q"]),
        (cluster("qdrant", url="https://q"), []),
        (cluster("qdrant", url="http://127.0.0.1:6334"), []),
        (cluster("qdrant", url="http://q", api_key_env=""), []),
        (
            cluster("qdrant", url="http://q", api_key_env="", api_key_file="key"),
            ["retrieval goes to q"],
        ),
        (cluster("weaviate", url="http://w:8080"), ["retrieval goes to w:8080"]),
        (cluster("weaviate", url="https://w:8080"), []),
        # Each of the two protocols shows it.
        (
            cluster("weaviate", url="https://w", grpc_urls=["http://w:50051"]),
            ["retrieval goes to w:50051"],
        ),
        (
            cluster(
                "weaviate",
                urls=["http://a", "http://localhost:8080"],
                grpc_urls=["https://a", "http://[::1]:1"],
            ),
            ["retrieval goes to a"],
        ),
        (backend(url="http://tei:80"), ["backends.a goes to tei:80"]),
        (backend(urls=["https://a", "http://b"]), ["backends.a goes to b"]),
        (
            backend(dialect="tei-grpc", url="grpc://tei:80"),
            ["backends.a goes to tei:80"],
        ),
        (backend(dialect="tei-grpc", url="grpcs://tei:80"), []),
        (
            {"embedder": {"dialect": "tei", "url": "http://e", **KEY}},
            ["embedder goes to e"],
        ),
        (
            {"cache": {"url": "redis://r", "key_env": "K", "password_env": "P"}},
            ["cache goes to r"],
        ),
        ({"cache": {"url": "redis://r", "key_env": "K"}}, []),
        (
            {"cache": {"url": "rediss://r", "key_env": "K", "password_env": "P"}},
            [],
        ),
        (
            {"ledger": {"url": "redis://r", "password_env": "P"}},
            ["ledger goes to r"],
        ),
    ],
)
def test_a_key_that_goes_to_others_in_the_clear_is_told(
    raw: dict[str, Any], warned: list[str]
) -> None:
    assert told(raw) == warned
