"""A configuration as a whole: its defaults, and every problem with its path."""

from typing import Any

import pytest

from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.ranking.normalize import Scale
from gateway.settings import (
    LOCAL,
    BackendSettings,
    RouteSettings,
    ServerSettings,
    SettingsError,
    checked,
)

TEI: dict[str, Any] = {"dialect": "tei", "url": "http://localhost:8081"}


def problems(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        checked(raw)
    assert str(raised.value) == "\n".join(raised.value.problems)
    return list(raised.value.problems)


def with_backend(**settings: Any) -> dict[str, Any]:
    return {"backends": {"b": settings}}


# Defaults


def test_without_any_configuration_the_built_in_scorer_serves() -> None:
    settings = checked({})
    assert settings.routes == {"default": RouteSettings(backends=(LOCAL,))}
    assert settings.backends == {LOCAL: BackendSettings(dialect=LOCAL)}
    assert settings.server == ServerSettings()


def test_the_defaults_are_those_of_the_contract() -> None:
    server, route, backend = (
        ServerSettings(),
        RouteSettings(),
        BackendSettings(dialect="tei"),
    )
    assert server.address == "127.0.0.1:50051"
    assert server.host_and_port == ("127.0.0.1", 50051)
    assert (server.max_documents, server.max_document_bytes) == (1000, 1024 * 1024)
    assert server.max_query_bytes == 32 * 1024
    assert (server.reserve_share, server.reserve_least_s) == (0.05, 0.02)
    assert (route.timeout_s, route.top_k, route.min_score) == (30.0, None, None)
    assert (backend.timeout_s, backend.min_score, backend.listwise) == (
        10.0,
        None,
        False,
    )
    assert backend.max_documents is None


def test_a_configured_default_route_replaces_the_built_in_one() -> None:
    settings = checked(
        {"backends": {"tei": TEI}, "routes": {"default": {"backends": ["tei"]}}}
    )
    assert settings.routes["default"].backends == ("tei",)
    assert set(settings.backends) == {LOCAL, "tei"}


def test_another_route_does_not_replace_the_default_one() -> None:
    settings = checked(
        {"backends": {"tei": TEI}, "routes": {"fast": {"backends": ["tei", "local"]}}}
    )
    assert set(settings.routes) == {"default", "fast"}


def test_the_built_in_scorer_can_be_set_like_any_other() -> None:
    settings = checked({"backends": {"local": {"dialect": "local", "threads": 1}}})
    assert settings.backends["local"].threads == 1


def test_the_example_of_the_contract_is_right() -> None:
    settings = checked(
        {
            "server": {"address": "127.0.0.1:50051"},
            "routes": {
                "default": {
                    "backends": ["tei", "cohere"],
                    "top_k": 100,
                    "timeout_s": 30.0,
                    "min_score": 0.0,
                }
            },
            "backends": {
                "tei": {
                    "dialect": "tei",
                    "url": "http://localhost:8081",
                    "model": "cross-encoder/ms-marco-MiniLM-L-6-v2",
                    "scale": "logit",
                    "api_key_env": "TEI_API_KEY",
                    "timeout_s": 2.0,
                    "max_documents": 32,
                    "listwise": False,
                    "min_score": 0.2,
                },
                "cohere": {"dialect": "cohere-v2", "model": "rerank-v3.5"},
            },
        }
    )
    assert settings.backends["tei"].scale is Scale.LOGIT
    assert settings.routes["default"].backends == ("tei", "cohere")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        checked({}).server.address = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("[::1]:50051", "::1", 50051), ("10.0.0.1:0", "10.0.0.1", 0), ("h:1", "h", 1)],
)
def test_an_address_is_taken_apart(address: str, host: str, port: int) -> None:
    settings = checked({"server": {"address": address, "allow_anonymous": True}})
    assert settings.server.host_and_port == (host, port)


# Problems


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"sever": {}}, "sever: there is no such setting"),
        ({"server": {"port": 1}}, "server.port: there is no such setting"),
        ({"server": 5}, "server: input should be"),
        ({"backends": 5}, "backends: input should be"),
        ({"backends": {"b": 5}}, "backends.b: input should be"),
        ({"routes": {"r": {"backend": ["local"]}}}, "routes.r.backend: there is no"),
        ({"routes": {"r": {"backends": []}}}, "routes.r.backends: "),
        ({"routes": {"r": {"backends": "tei"}}}, "routes.r.backends: "),
        ({"routes": {"r": {"backends": ["local", 5]}}}, "routes.r.backends.1: "),
        (
            {"routes": {"r": {"backends": ["tei"]}}},
            "routes.r.backends.0: there is no backend 'tei'",
        ),
        (
            {"routes": {"r": {"backends": ["local", "local"]}}},
            "routes.r.backends.1: 'local' is there twice",
        ),
        ({"routes": {"r": {"top_k": 0}}}, "routes.r.top_k: "),
        ({"routes": {"r": {"timeout_s": 0}}}, "routes.r.timeout_s: "),
        ({"routes": {"r": {"timeout_s": float("inf")}}}, "routes.r.timeout_s: "),
        ({"routes": {"r": {"min_score": 1.5}}}, "routes.r.min_score: "),
        ({"routes": {"Fast": {}}}, "routes.Fast: must match [a-z][a-z0-9_]*"),
        ({"backends": {"TEI": TEI}}, "backends.TEI: must match [a-z][a-z0-9_]*"),
        (with_backend(url="http://h"), "backends.b.dialect: is required"),
        (
            with_backend(dialect="teii"),
            f"backends.b.dialect: must be one of {', '.join([*DIALECTS, *GRPC_DIALECTS, LOCAL])}",
        ),
        (with_backend(dialect="tei"), "backends.b.url: is required"),
        (
            with_backend(dialect="tei", url="localhost:8081"),
            "backends.b.url: must be a url",
        ),
        (
            with_backend(dialect="tei", url="http://u:p@h"),
            "backends.b.url: must have no user",
        ),
        (
            with_backend(dialect="tei-grpc"),
            "backends.b.url: is required, such as grpc://localhost:8082",
        ),
        (
            with_backend(dialect="tei-grpc", url="http://h:1"),
            "backends.b.url: must be a url such as grpc://localhost:8082",
        ),
        (
            with_backend(dialect="tei-grpc", url="grpc://h"),
            "backends.b.url: must be a url such as grpc://localhost:8082",
        ),
        (
            with_backend(dialect="tei-grpc", urls=["grpc://h:1", "grpc://h:2/x"]),
            "backends.b.urls.1: must have no path",
        ),
        (
            with_backend(dialect="tei-grpc", url="grpc://h:1", scale="probability"),
            "backends.b.scale: tei-grpc always gives logit",
        ),
        (
            with_backend(dialect="tei-grpc", url="grpc://h:1", threads=2),
            "backends.b.threads: only for the built-in",
        ),
        (
            with_backend(dialect="tei", url="grpc://h:1"),
            "backends.b.url: must be a url such as http://localhost:8081",
        ),
        (
            with_backend(dialect="llamacpp", url="http://h"),
            "backends.b.scale: is required, since llamacpp",
        ),
        (
            with_backend(dialect="tei", url="http://h", scale="probability"),
            "backends.b.scale: tei always gives logit",
        ),
        (
            with_backend(dialect="simple", url="http://h", scale="percent"),
            "backends.b.scale: ",
        ),
        (
            with_backend(dialect="cohere-v2"),
            "backends.b.model: is required by cohere-v2",
        ),
        (
            with_backend(**TEI, api_key_env="A", api_key_file="f"),
            "backends.b.api_key_file: the key is in api_key_env already",
        ),
        (with_backend(**TEI, threads=2), "backends.b.threads: only for the built-in"),
        (
            with_backend(dialect="local", url="http://h"),
            "backends.b.url: the built-in scorer has no such setting",
        ),
        (with_backend(**TEI, timeout_s="soon"), "backends.b.timeout_s: "),
        (with_backend(**TEI, max_documents=0), "backends.b.max_documents: "),
        (with_backend(**TEI, max_queued=-1), "backends.b.max_queued: "),
        (
            with_backend(**TEI, max_in_flight=4, kept_free=4),
            "backends.b.kept_free: must be less than max_in_flight, 4",
        ),
        ({"server": {"address": "50051"}}, "server.address: must be HOST:PORT"),
        ({"server": {"address": ":50051"}}, "server.address: must be HOST:PORT"),
        ({"server": {"address": "h:port"}}, "server.address: must be HOST:PORT"),
        ({"server": {"address": "h:70000"}}, "server.address: must be HOST:PORT"),
        ({"server": {"max_documents": 0}}, "server.max_documents: "),
    ],
)
def test_a_problem_is_told_with_its_path(raw: dict[str, Any], problem: str) -> None:
    said = problems(raw)
    assert [line for line in said if line.startswith(problem)], said
    assert len(said) == 1, said


def test_every_problem_is_told_at_once() -> None:
    said = problems(
        {
            "server": {"address": "nowhere", "grace_s": -1},
            "routes": {"r": {"backends": ["tei", "nobody"], "top_k": 0}},
            "backends": {
                "tei": {"dialect": "tei", "timeout_s": -2, "colour": "red"},
                "llama": {"dialect": "llamacpp", "url": "h"},
                "mine": {"dialect": "mine"},
                "nameless": {"url": "http://h"},
            },
        }
    )
    assert sorted(line.split(": ")[0] for line in said) == [
        "backends.llama.scale",
        "backends.llama.url",
        "backends.mine.dialect",
        "backends.nameless.dialect",
        "backends.tei.colour",
        "backends.tei.timeout_s",
        "backends.tei.url",
        "routes.r.backends.1",
        "routes.r.top_k",
        "server.address",
        "server.grace_s",
    ]


# Secrets


@pytest.mark.parametrize("key", ["api_key", "problem"])
def test_a_key_cannot_stand_in_the_configuration_itself(key: str) -> None:
    said = problems(with_backend(**TEI, **{key: "secret-1"}))
    assert said == [f"backends.b.{key}: there is no such setting"]


def test_no_value_of_a_configuration_is_quoted_where_it_is_wrong() -> None:
    said = problems(
        with_backend(
            dialect="simple",
            url="http://user:secret-1@h",
            scale="secret-1",
            timeout_s="secret-1",
            api_key="secret-1",
            api_keys={"a": "secret-1"},
        )
    )
    assert len(said) == 5
    assert "secret-1" not in "\n".join(said)
