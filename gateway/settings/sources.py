"""Where a configuration comes from: a file, the environment, and places of secrets.

Nothing else in the product reads the environment, but `places` beside it.
"""

import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from gateway.settings.checks import SettingsError, checked, valid_parts
from gateway.settings.client import ClientSettings
from gateway.settings.credentials import file_problems
from gateway.settings.models import (
    BackendSettings,
    CacheSettings,
    EmbedderSettings,
    Settings,
)
from gateway.settings.places import data_folder
from gateway.settings.retrieval import RetrievalSettings
from gateway.settings.telemetry import from_environment
from gateway.settings.tenants import LedgerSettings

S = TypeVar("S", BackendSettings, EmbedderSettings, RetrievalSettings)

_PREFIX = "RERANK_GATEWAY__"
_FILE = "RERANK_GATEWAY_CONFIG"
_BACKEND = "RERANK_GATEWAY_BACKEND"
_NO_HEADER = "its key has characters that no header may hold"


def load(
    path: Path | None = None,
    *,
    address: str | None = None,
    http_address: str | None = None,
    metrics_address: str | None = None,
    workers: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read the configuration.

    Args:
        path: The TOML file; None: the one that `RERANK_GATEWAY_CONFIG` names, if any.
        address: Replaces `server.address`, whatever else says.
        http_address: Likewise, of `http.address`.
        metrics_address: Likewise, of `telemetry.metrics_address`.
        workers: Likewise, of `server.workers`.
        environ: Stands in for the process's environment.

    Raises:
        SettingsError: With every problem there is.

    """
    env = os.environ if environ is None else environ
    named = _named(path, env)
    raw = _with_environment(_file(named) if named else {}, env)
    if address is not None:
        _merge(raw, {"server": {"address": address}})
    if http_address is not None:
        _merge(raw, {"http": {"address": http_address}})
    if metrics_address is not None:
        _merge(raw, {"telemetry": {"metrics_address": metrics_address}})
    if workers is not None:
        _merge(raw, {"server": {"workers": workers}})
    settings = checked(raw)
    telemetry, problems = from_environment(settings.telemetry, env)
    problems += tuple(file_problems(settings.tls, settings.identity, settings.routes))
    if problems:
        raise SettingsError(problems)
    return settings.model_copy(
        update={
            "backends": {
                name: _with_key(backend, env)
                for name, backend in settings.backends.items()
            },
            "embedder": _with_key(settings.embedder, env),
            "cache": _with_secrets(settings.cache, env),
            "retrieval": _with_path(_with_key(settings.retrieval, env), env),
            "ledger": _with_place(settings.ledger, env),
            "client": with_token(settings.client, env),
            "telemetry": telemetry,
        }
    )


def load_what_is_right(
    path: Path | None = None, *, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read of a wrong configuration what is right, to ask whoever serves by an older one.

    Args:
        path: As for `load`.
        environ: Stands in for the process's environment.

    """
    env = os.environ if environ is None else environ
    named = _named(path, env)
    raw: dict[str, Any] = {}
    with suppress(SettingsError):
        raw = _file(named) if named else {}
    with suppress(SettingsError):
        raw = _with_environment(raw, env)
    settings = valid_parts(raw)
    return settings.model_copy(update={"client": with_token(settings.client, env)})


def files(
    path: Path | None, *read: Settings, environ: Mapping[str, str] | None = None
) -> frozenset[Path]:
    """Name the files that configurations come from, those of secrets among them.

    Args:
        path: The TOML file, as for `load`.
        read: What was read.
        environ: Stands in for the process's environment.

    """
    env = os.environ if environ is None else environ
    named = str(path) if path else env.get(_FILE, "")
    found = {named}
    for settings in read:
        found.update(each.api_key_file for each in settings.backends.values())
        found.add(settings.embedder.api_key_file)
        found.add(settings.retrieval.api_key_file)
    return frozenset(Path(each) for each in found if each)


def _named(path: Path | None, env: Mapping[str, str]) -> Path | None:
    if path is None and env.get(_FILE):
        return Path(env[_FILE])
    return path


def _with_environment(raw: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    _merge(raw, _one_backend(env))
    _merge(raw, _overrides(env))
    return raw


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError((f"{path}: {error.strerror}",)) from error
    except UnicodeDecodeError as error:
        raise SettingsError((f"{path}: is not UTF-8",)) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError((f"{path}: is not TOML: {error}",)) from error


def _overrides(env: Mapping[str, str]) -> dict[str, Any]:
    """Read `RERANK_GATEWAY__BACKENDS__TEI__URL=…`, a key per variable.

    Numbers and booleans are understood from their text; a list is written as in TOML.
    """
    found: dict[str, Any] = {}
    for name in sorted(env):
        if not name.startswith(_PREFIX):
            continue
        *sections, key = name.removeprefix(_PREFIX).lower().split("__")
        place = found
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                problem = f"{name}: {section} is set as a whole already"
                raise SettingsError((problem,))
        place[key] = _list(name, env[name]) if env[name].startswith("[") else env[name]
    return found


def _list(name: str, text: str) -> list[object]:
    try:
        values: list[object] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise SettingsError((f"{name}: is not a TOML list: {error}",)) from error
    return values


def _one_backend(env: Mapping[str, str]) -> dict[str, Any]:
    """Read `RERANK_GATEWAY_BACKEND=tei+http://localhost:8081`, a whole deployment."""
    said = env.get(_BACKEND, "")
    if not said:
        return {}
    dialect, plus, url = said.partition("+")
    if not plus:
        problem = f"{_BACKEND}: must be DIALECT+URL, such as tei+http://localhost:8081"
        raise SettingsError((problem,))
    name = dialect.replace("-", "_")
    return {
        "backends": {name: {"dialect": dialect, "url": url}},
        "routes": {"default": {"backends": [name]}},
    }


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _with_secrets(cache: CacheSettings, env: Mapping[str, str]) -> CacheSettings:
    """Fetch the secrets of the shared memory, or say why it cannot be used."""
    found: dict[str, Any] = {}
    for name in ("key", "password"):
        variable = getattr(cache, f"{name}_env")
        secret = env.get(variable, "") if variable else ""
        if variable and not secret:
            found["problem"] = f"environment variable {variable} is not set"
        found[name] = SecretStr(secret) if secret else None
    return cache.model_copy(update=found)


def _with_path(
    retrieval: RetrievalSettings, env: Mapping[str, str]
) -> RetrievalSettings:
    """Fill in where the embedded engine stores, if nobody says."""
    given = Path(retrieval.path).expanduser()
    path = str(given if retrieval.path else data_folder(env) / "collections")
    return retrieval.model_copy(update={"path": path})


def _with_place(ledger: LedgerSettings, env: Mapping[str, str]) -> LedgerSettings:
    """Fill in where the ledger is, and fetch its password, or say why it is of no use."""
    given = Path(ledger.path).expanduser()
    found: dict[str, Any] = {
        "path": str(given if ledger.path else data_folder(env) / "ledger.sqlite")
    }
    variable = ledger.password_env
    secret = env.get(variable, "") if variable else ""
    if variable and not secret:
        found["problem"] = f"environment variable {variable} is not set"
    found["password"] = SecretStr(secret) if secret else None
    return ledger.model_copy(update=found)


def _with_key(backend: S, env: Mapping[str, str]) -> S:
    """Fetch a backend's key, or say why it cannot be asked without it."""
    key, problem = "", ""
    if backend.api_key_env:
        key = env.get(backend.api_key_env, "").strip()
        if not key:
            problem = f"environment variable {backend.api_key_env} is not set"
    elif backend.api_key_file:
        key, problem = _in_file(backend.api_key_file)
    if key and not _fits_a_header(key):
        key, problem = "", _NO_HEADER
    return backend.model_copy(
        update={"api_key": SecretStr(key) if key else None, "problem": problem}
    )


def with_token(
    client: ClientSettings, environ: Mapping[str, str] | None = None
) -> ClientSettings:
    """Fetch what a command shows, or say why it has nothing to show.

    Args:
        client: The settings.
        environ: Stands in for the process's environment.

    """
    env = os.environ if environ is None else environ
    if client.token_file:
        token, problem = _in_file(client.token_file)
    else:
        variable = client.token_env
        token, problem = env.get(variable, "").strip(), ""
        if not token and "token_env" in client.model_fields_set:
            problem = f"environment variable {variable} is not set"
    if token and not _fits_a_header(token):
        token, problem = "", _NO_HEADER
    return client.model_copy(
        update={"token": SecretStr(token) if token else None, "problem": problem}
    )


def _fits_a_header(secret: str) -> bool:
    return secret.isascii() and secret.isprintable()


def _in_file(path: str) -> tuple[str, str]:
    """Give the secret in a file, or why there is none."""
    try:
        secret = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return "", f"cannot read {path}"
    return secret, "" if secret else f"{path} is empty"
