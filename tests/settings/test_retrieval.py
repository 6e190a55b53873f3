"""What may be said about collections and vectors, and what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest

from gateway.settings import SettingsError, checked, load
from gateway.settings.models import NO_EMBEDDER, NO_ENGINE


def problems(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        checked(raw)
    return list(raised.value.problems)


def with_embedder(**settings: Any) -> dict[str, Any]:
    return {"embedder": settings}


def with_retrieval(**settings: Any) -> dict[str, Any]:
    return {"retrieval": settings}


def with_qdrant(**settings: Any) -> dict[str, Any]:
    return with_retrieval(engine="qdrant", **{"url": "http://a", **settings})


def with_weaviate(**settings: Any) -> dict[str, Any]:
    return with_retrieval(engine="weaviate", **settings)


def test_without_any_configuration_collections_are_embedded() -> None:
    settings = load(environ={"HOME": "/home/ada"})
    assert settings.retrieval.engine == "embedded"
    assert settings.retrieval.path.startswith("/home/ada/")
    assert settings.retrieval.path.endswith("rerank-gateway/collections")
    assert settings.embedder.dialect == "local"
    route = settings.routes["default"]
    assert (route.enabled, route.fusion, route.adaptive_weights) == (True, "rrf", False)
    assert (route.long_documents, route.max_passages) == ("truncate", 8)


def test_a_folder_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    variable = {"RERANK_GATEWAY__RETRIEVAL__PATH": "~/mine"}
    assert load(environ=variable).retrieval.path == str(Path("/home/ada/mine"))


def test_the_key_of_a_cluster_comes_from_its_place(tmp_path: Path) -> None:
    environ = {
        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "qdrant",
        "RERANK_GATEWAY__RETRIEVAL__URL": "https://cluster.example",
        "RERANK_GATEWAY__RETRIEVAL__READ_CONSISTENCY": "all",
        "RERANK_GATEWAY__RETRIEVAL__API_KEY_ENV": "KEY",
    }
    found = load(environ=environ).retrieval
    assert found.problem == "environment variable KEY is not set"
    found = load(environ={**environ, "KEY": "open sesame"}).retrieval
    assert found.api_key is not None
    assert found.api_key.get_secret_value() == "open sesame"
    assert "sesame" not in repr(found)
    assert found.read_consistency == "all"
    del environ["RERANK_GATEWAY__RETRIEVAL__API_KEY_ENV"]
    (tmp_path / "key").write_text("from a file\n")
    environ["RERANK_GATEWAY__RETRIEVAL__API_KEY_FILE"] = str(tmp_path / "key")
    found = load(environ=environ).retrieval
    assert found.api_key is not None
    assert found.api_key.get_secret_value() == "from a file"


def test_a_command_that_only_reranks_needs_no_collections() -> None:
    settings = load(environ={"HOME": "/"}).reranking_only
    assert settings.retrieval.engine == NO_ENGINE
    assert settings.embedder.dialect == NO_EMBEDDER


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (
            with_embedder(dialect="tee"),
            "embedder.dialect: must be one of cohere, openai, tei, local, none",
        ),
        (
            with_embedder(dialect="tei"),
            "embedder.url: is required, such as http://localhost:8082",
        ),
        (with_embedder(dialect="tei", url="ftp://a"), "embedder.url: must "),
        (with_embedder(dialect="cohere"), "embedder.model: is required by cohere"),
        (
            with_embedder(url="http://a"),
            "embedder.url: only for an embedder behind HTTP",
        ),
        (
            with_embedder(dialect="none", model="m"),
            "embedder.model: only for an embedder behind HTTP",
        ),
        (
            with_embedder(dialect="tei", url="http://a", threads=2),
            "embedder.threads: only for the built-in model",
        ),
        (
            with_embedder(
                dialect="tei", url="http://a", api_key_env="A", api_key_file="b"
            ),
            "embedder.api_key_file: the key is in api_key_env already",
        ),
        (with_embedder(api_key="secret"), "embedder.api_key: there is no such setting"),
        (with_embedder(problem="x"), "embedder.problem: there is no such setting"),
        (with_embedder(dimension=0), "embedder.dimension: "),
        (with_retrieval(engine="milvus"), "retrieval.engine: "),
        (
            with_retrieval(engine="qdrant"),
            "retrieval.url: is required, such as http://localhost:6334",
        ),
        (with_qdrant(url="grpc://a"), "retrieval.url: must be a url such as"),
        (with_qdrant(url="http://a:6333"), "retrieval.url: is Qdrant's port for REST"),
        (with_qdrant(url="http://a/b"), "retrieval.url: must have no path"),
        (with_qdrant(url="http://u:p@a"), "retrieval.url: must have no user"),
        (with_qdrant(path="x"), "retrieval.path: only for the engine embedded"),
        (
            with_retrieval(shard_number=2),
            "retrieval.shard_number: only for the engine qdrant or weaviate",
        ),
        (
            with_qdrant(api_key_env="A", api_key_file="b"),
            "retrieval.api_key_file: the key is in api_key_env already",
        ),
        (
            with_qdrant(replication_factor=2, write_consistency_factor=3),
            "retrieval.write_consistency_factor: there are only 2 copies",
        ),
        (with_qdrant(read_consistency="most"), "retrieval.read_consistency"),
        (with_qdrant(prefix="a/b"), "retrieval.prefix: "),
        (
            with_qdrant(urls=["http://b"]),
            "retrieval.urls: only for the engine weaviate",
        ),
        (
            with_weaviate(),
            "retrieval.url: is required, such as http://localhost:8080",
        ),
        (
            with_weaviate(url="http://a", urls=["http://b"]),
            "retrieval.urls: there is a url already",
        ),
        (
            with_weaviate(urls=["http://a", "http://a"]),
            "retrieval.urls: one of them is there twice",
        ),
        (
            with_weaviate(urls=["http://a", "grpc://b"]),
            "retrieval.urls.1: must be a url such as http://localhost:8080",
        ),
        (
            with_weaviate(url="http://a", grpc_urls=["http://a:1/b"]),
            "retrieval.grpc_urls.0: must have no path",
        ),
        (
            with_weaviate(urls=["http://a", "http://b"], grpc_urls=["http://a:1"]),
            "retrieval.grpc_urls: must be as many as there are nodes, 2",
        ),
        (
            with_weaviate(url="http://a", prefix="search-"),
            "retrieval.prefix: must begin with a capital letter",
        ),
        (
            with_weaviate(url="http://a", mean_terms=50),
            "retrieval.mean_terms: only for the engine qdrant",
        ),
        (
            with_weaviate(url="http://a", api_key_env="A", api_key_file="b"),
            "retrieval.api_key_file: the key is in api_key_env already",
        ),
        (with_qdrant(api_key="k"), "retrieval.api_key: there is no such setting"),
        ({"retrieval": {"paht": "x"}}, "retrieval.paht: there is no such setting"),
        ({"routes": {"default": {"fusion": "sum"}}}, "routes.default.fusion: "),
        ({"routes": {"default": {"max_passages": 0}}}, "routes.default.max_passages: "),
        (
            {"backends": {"embedder": {"dialect": "tei", "url": "http://a"}}},
            "backends.embedder: is the name of a part of the gateway itself",
        ),
    ],
)
def test_a_problem_is_named_with_its_path(raw: dict[str, Any], problem: str) -> None:
    (found,) = problems(raw)
    assert found.startswith(problem)


def test_every_problem_is_told_at_once() -> None:
    found = problems(
        {
            "server": {"address": "nowhere"},
            "embedder": {"dialect": "tei", "timeout_s": -1},
            "retrieval": {"timeout_s": 0},
        }
    )
    assert {each.partition(":")[0] for each in found} == {
        "server.address",
        "embedder.timeout_s",
        "embedder.url",
        "retrieval.timeout_s",
    }


def test_the_key_of_an_embedder_is_fetched_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(
        '[embedder]\ndialect = "cohere"\nmodel = "m"\napi_key_env = "KEY"\n', "utf-8"
    )
    settings = load(path, environ={"HOME": "/", "KEY": "canary"})
    assert settings.embedder.api_key is not None
    assert settings.embedder.api_key.get_secret_value() == "canary"
    assert "canary" not in repr(settings)
    without = load(path, environ={"HOME": "/"})
    assert without.embedder.problem == "environment variable KEY is not set"
