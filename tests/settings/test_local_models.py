"""The settings of a cross-encoder in this process."""

from typing import Any

import pytest

from gateway.ranking.normalize import Scale
from gateway.settings import BackendSettings, Settings, SettingsError, checked, load

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = {"dialect": "local", "model": "BAAI/bge-reranker-base", "revision": COMMIT}
DIRECTORY = {"dialect": "local", "model": "./models/mine"}


def with_backend(**settings: Any) -> dict[str, Any]:
    return {"backends": {"b": settings}}


def backend(**settings: Any) -> BackendSettings:
    found: Settings = checked(with_backend(**settings))
    return found.backends["b"]


@pytest.mark.parametrize(
    ("model", "on_hub"),
    [
        ("BAAI/bge-reranker-base", True),
        ("cross-encoder/ms-marco-TinyBERT-L-6", True),
        ("some_one/v1.0", True),
        ("./models/mine", False),
        ("../mine", False),
        ("/models/mine", False),
        ("~/mine", False),
        ("mine", False),
        ("all/models/mine", False),
        ("C:\\models\\mine", False),
        ("", False),
    ],
)
def test_the_spelling_tells_a_model_on_the_hub_from_a_directory(
    model: str, *, on_hub: bool
) -> None:
    assert BackendSettings(dialect="local", model=model).on_hub is on_hub


def test_a_model_on_the_hub_and_one_in_a_directory() -> None:
    assert backend(**HUB).revision == COMMIT
    assert backend(**DIRECTORY).revision == ""


def test_what_applies_to_a_local_model() -> None:
    every = backend(
        **DIRECTORY,
        scale="probability",
        max_tokens=256,
        threads=2,
        timeout_s=5,
        fair_s=1,
        max_in_flight=3,
        max_queued=4,
        top_k=50,
        min_score=0.2,
    )

    assert every.scale is Scale.PROBABILITY
    assert every.max_tokens == 256


def test_it_can_be_configured_by_variables() -> None:
    prefix = "RERANK_GATEWAY__BACKENDS__B__"
    settings = load(
        environ={
            f"{prefix}DIALECT": "local",
            f"{prefix}MODEL": HUB["model"],
            f"{prefix}REVISION": "1" * 40,
            f"{prefix}MAX_TOKENS": "128",
        }
    ).backends["b"]

    assert (settings.revision, settings.max_tokens) == ("1" * 40, 128)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"dialect": "local", "model": "BAAI/bge-reranker-base"},
            (
                "backends.b.revision: is required for a model on the hub: the 40 hex"
                " digits of a commit (if the model is a directory, write it with ./ in"
                " front)"
            ),
        ),
        (
            HUB | {"revision": "main"},
            (
                "backends.b.revision: must be the 40 hex digits of a commit, since a"
                " branch or a tag may move"
            ),
        ),
        (HUB | {"revision": COMMIT[:8]}, "backends.b.revision: must be the 40 hex"),
        (HUB | {"revision": f"{COMMIT}\n"}, "backends.b.revision: must be the 40 hex"),
        (
            DIRECTORY | {"revision": COMMIT},
            "backends.b.revision: is for OWNER/NAME on the hub, and a directory has none",
        ),
        (
            DIRECTORY | {"scale": "relative"},
            "backends.b.scale: must be logit, or probability if the graph goes on to it",
        ),
        (DIRECTORY | {"scale": "cosine"}, "backends.b.scale: must be logit, or"),
        (DIRECTORY | {"max_tokens": 15}, "backends.b.max_tokens: "),
        (DIRECTORY | {"url": "http://h"}, "backends.b.url: a local model has no such"),
        (
            DIRECTORY | {"api_key_env": "KEY"},
            "backends.b.api_key_env: a local model has no such setting",
        ),
        (
            DIRECTORY | {"max_documents": 10},
            "backends.b.max_documents: a local model has no such setting",
        ),
        (
            DIRECTORY | {"listwise": True},
            "backends.b.listwise: a local model has no such setting",
        ),
        (
            DIRECTORY | {"max_cache_bytes": 0},
            "backends.b.max_cache_bytes: a local model has no such setting",
        ),
        (
            {"dialect": "local", "scale": "logit"},
            "backends.b.scale: the built-in scorer has no such setting",
        ),
        (
            {"dialect": "local", "max_tokens": 128},
            "backends.b.max_tokens: the built-in scorer has no such setting",
        ),
        (
            {"dialect": "local", "revision": COMMIT},
            "backends.b.revision: the built-in scorer has no such setting",
        ),
        (
            {"dialect": "tei", "url": "http://h", "revision": COMMIT},
            "backends.b.revision: only for the built-in scorer and local models",
        ),
        (
            {"dialect": "tei", "url": "http://h", "max_tokens": 128},
            "backends.b.max_tokens: only for the built-in scorer and local models",
        ),
    ],
    ids=str,
)
def test_a_problem_is_told_with_its_path(
    settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        checked(with_backend(**settings))

    (said,) = raised.value.problems
    assert said.startswith(problem)
