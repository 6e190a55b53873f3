"""Where a backend listens: a base url or the full endpoint."""

import pytest

from gateway.backends.endpoint import locate


@pytest.mark.parametrize(
    "host", ["http://h:8081", "https://api.cohere.com", "http://[::1]:80"]
)
@pytest.mark.parametrize(
    ("given", "path", "base", "rerank"),
    [
        ("", "/rerank", "", "/rerank"),
        ("/", "/rerank", "", "/rerank"),
        ("/rerank", "/rerank", "", "/rerank"),
        ("/rerank/", "/rerank", "", "/rerank"),
        ("/v1/rerank", "/rerank", "/v1", "/v1/rerank"),
        ("", "/v1/rerank", "", "/v1/rerank"),
        ("/v1", "/v1/rerank", "", "/v1/rerank"),
        ("/v1/", "/v1/rerank", "", "/v1/rerank"),
        ("/v1/rerank", "/v1/rerank", "", "/v1/rerank"),
        ("/v1/reranking", "/v1/rerank", "", "/v1/reranking"),
        ("/rerank", "/v1/rerank", "", "/rerank"),
        ("/v2/rerank", "/v1/rerank", "/v2", "/v2/rerank"),
        ("/api/llm", "/v1/rerank", "/api/llm", "/api/llm/v1/rerank"),
        ("/api/v1", "/v1/rerank", "/api", "/api/v1/rerank"),
        ("/api/v1/rerank", "/v1/rerank", "/api", "/api/v1/rerank"),
        ("/v1/ranking", "/v1/ranking", "", "/v1/ranking"),
    ],
)
def test_both_addresses_are_found(
    host: str, given: str, path: str, base: str, rerank: str
) -> None:
    endpoint = locate(host + given, path)
    assert endpoint.base == host + base
    assert endpoint.rerank == host + rerank


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8081",
        "h:8081/rerank",
        "ftp://h/rerank",
        "grpc://h:50051",
        "http://",
        "http:///rerank",
        "http://h:port",
        "http://h:99999",
        "http://[::1",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        locate(url, "/rerank")


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret-1@h/rerank",
        "http://user@h/rerank",
        "http://h/rerank?api_key=secret-1",
        "http://h/rerank#secret-1",
    ],
)
def test_a_url_with_a_key_in_it_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match="a key goes into api_key_env") as raised:
        locate(url, "/rerank")
    assert "secret-1" not in str(raised.value)
