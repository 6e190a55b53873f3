"""Where a backend listens: a base url or the full endpoint."""

import pytest

from gateway.backends.endpoint import GrpcServer, locate, locate_grpc


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


# gRPC


@pytest.mark.parametrize(
    ("url", "address", "secure"),
    [
        ("grpc://localhost:8082", "localhost:8082", False),
        ("grpc://localhost:8082/", "localhost:8082", False),
        ("grpcs://tei.example.com:443", "tei.example.com:443", True),
        ("grpc://[::1]:8082", "[::1]:8082", False),
        ("grpc://unix:8082", "unix:8082", False),
    ],
)
def test_a_server_of_grpc_is_found(url: str, address: str, secure: bool) -> None:  # noqa: FBT001 - a literal of the table
    server = locate_grpc(url)
    assert server == GrpcServer(address=address, secure=secure)
    assert server.url("/tei.v1.Rerank/Rerank") == (
        f"{url.removesuffix('/')}/tei.v1.Rerank/Rerank"
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must be a url such as grpc://localhost:8082"),
        ("localhost:8082", "must be a url such as grpc://"),
        ("http://localhost:8082", "must be a url such as grpc://"),
        ("https://localhost:8082", "must be a url such as grpc://"),
        ("grpc://localhost", "must be a url such as grpc://"),
        ("grpc://localhost:0", "must be a url such as grpc://"),
        ("grpc://:8082", "must be a url such as grpc://"),
        ("grpc://localhost:8082/rerank", "must have no path"),
        ("grpc://localhost:port", r"\S"),
        ("grpc://localhost:99999", r"\S"),
        ("grpc://user:secret-1@h:1", "a key goes into api_key_env"),
        ("grpc://h:1/?key=secret-1", "a key goes into api_key_env"),
        ("grpc://h:1#secret-1", "a key goes into api_key_env"),
    ],
)
def test_what_is_no_url_of_grpc_is_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        locate_grpc(url)
    assert "secret-1" not in str(raised.value)
