"""Check a configuration as a whole, and name every problem with its path."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.backends.dialect import Traits
from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.backends.endpoint import locate, locate_grpc
from gateway.ranking.normalize import Scale
from gateway.settings.http import HttpSettings
from gateway.settings.identity import IdentitySettings, TlsSettings
from gateway.settings.identity_checks import (
    exposure_problems,
    identity_problems,
    tls_problems,
)
from gateway.settings.models import (
    EMBEDDER,
    LOCAL,
    RETRIEVER,
    BackendSettings,
    CacheSettings,
    EmbedderSettings,
    RouteSettings,
    Settings,
)
from gateway.settings.server import ServerSettings, host_and_port
from gateway.settings.service_checks import cache_problems, embedder_problems
from gateway.settings.telemetry import TelemetrySettings
from gateway.settings.words import in_words

_DEFAULT_ROUTE = "default"
# Filled in by us; a configuration that names them would bypass what they stand for.
_OURS = ("api_key", "key", "password", "problem")
_OURS_OF_TELEMETRY = ("traces", "metrics", "logs", "capture_content")
_REMOTE_ONLY = (
    "url",
    "urls",
    "api_key_env",
    "api_key_file",
    "max_documents",
    "listwise",
    "propagate",
)
_LARGEST_PORT = 65535
# Where one of these is wrong, it is not known whom the gateway would let in.
_DECIDE_WHO = ("server", "http", "tls", "identity", "telemetry")
_LOCAL_ONLY = ("threads", "max_cache_bytes", "max_tokens", "revision")
_CROSS_ENCODER_ONLY = ("scale", "max_tokens", "revision")
_BUILT_IN_ONLY = ("max_cache_bytes",)
_COMMIT = re.compile("[0-9a-f]{40}")


M = TypeVar("M", bound=BaseModel)


class SettingsError(Exception):
    """The configuration is wrong.

    Args:
        problems: Each with its path, such as `backends.tei.url: …`.

    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def checked(raw: Mapping[str, Any]) -> Settings:
    """Turn a parsed configuration into settings.

    The built-in backend and the default route are added where they are not configured.

    Raises:
        SettingsError: With every problem there is.

    """
    problems = list(_forbidden(raw))
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        problems += [in_words(each) for each in error.errors()]
        # What can be checked on its own still is, so that all is said at once.
        settings = _valid_parts(raw)
    problems += _backend_problems(settings)
    problems += _route_problems(raw)
    problems += _address_problems(settings)
    if not _is_said_of(problems, "tls"):
        problems += tls_problems(settings.tls)
    if not _is_said_of(problems, "identity"):
        known = {_DEFAULT_ROUTE, *_sections(raw, "routes")}
        problems += identity_problems(settings.identity, known)
    if not _is_said_of(problems, *_DECIDE_WHO):
        problems += exposure_problems(settings)
    problems += embedder_problems(settings.embedder)
    problems += cache_problems(settings.cache)
    if problems:
        # One for each path: what is wrong is not missing as well.
        first: dict[str, str] = {}
        for problem in problems:
            first.setdefault(problem.partition(": ")[0], problem)
        raise SettingsError(tuple(first.values()))
    routes = {_DEFAULT_ROUTE: RouteSettings(), **settings.routes}
    backends = {LOCAL: BackendSettings(dialect=LOCAL), **settings.backends}
    return settings.model_copy(update={"routes": routes, "backends": backends})


def _is_said_of(problems: Sequence[str], *sections: str) -> bool:
    """Tell whether something is wrong with a section already."""
    return any(each.startswith(sections) for each in problems)


def _sections(raw: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    named = raw.get(name)
    if not isinstance(named, Mapping):
        return {}
    return {
        key: section for key, section in named.items() if isinstance(section, Mapping)
    }


def _forbidden(raw: Mapping[str, Any]) -> Iterator[str]:
    sections = {
        f"backends.{name}": section
        for name, section in _sections(raw, "backends").items()
    }
    for path, section, ours in (
        *((path, section, _OURS) for path, section in sections.items()),
        ("embedder", _section(raw, "embedder"), _OURS),
        ("cache", _section(raw, "cache"), _OURS),
        ("telemetry", _section(raw, "telemetry"), _OURS_OF_TELEMETRY),
    ):
        for key in ours:
            if key in section:
                yield f"{path}.{key}: there is no such setting"


def _valid_parts(raw: Mapping[str, Any]) -> Settings:
    """Take what is right in a configuration, so that the rest can be checked too."""
    return Settings.model_construct(
        server=_valid(ServerSettings, _section(raw, "server")),
        http=_valid(HttpSettings, _section(raw, "http")),
        tls=_valid(TlsSettings, _section(raw, "tls")),
        identity=_valid(IdentitySettings, _section(raw, "identity")),
        routes={
            name: _valid(RouteSettings, section)
            for name, section in _sections(raw, "routes").items()
        },
        backends={
            name: _valid(BackendSettings, section)
            for name, section in _sections(raw, "backends").items()
            if isinstance(section.get("dialect"), str)
        },
        embedder=_valid(EmbedderSettings, _section(raw, "embedder")),
        cache=_valid(CacheSettings, _section(raw, "cache")),
        telemetry=_valid(TelemetrySettings, _section(raw, "telemetry")),
    )


def _section(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = raw.get(name)
    return section if isinstance(section, Mapping) else {}


def _valid(kind: type[M], section: Mapping[str, Any]) -> M:
    try:
        return kind.model_validate(section)
    except ValidationError as error:
        wrong = {each["loc"][0] for each in error.errors()}
    return kind.model_validate(
        {key: value for key, value in section.items() if key not in wrong}
    )


def _backend_problems(settings: Settings) -> Iterator[str]:
    for name, backend in settings.backends.items():
        path = f"backends.{name}"
        if name in (RETRIEVER, EMBEDDER):
            yield f"{path}: is the name of a part of the gateway itself"
        if backend.dialect == LOCAL:
            yield from _local_problems(path, backend)
            continue
        for key in _LOCAL_ONLY:
            if key in backend.model_fields_set:
                yield f"{path}.{key}: only for the built-in scorer and local models"
        dialect = DIALECTS.get(backend.dialect) or GRPC_DIALECTS.get(backend.dialect)
        if dialect is None:
            known = ", ".join([*DIALECTS, *GRPC_DIALECTS, LOCAL])
            yield f"{path}.dialect: must be one of {known}"
            continue
        yield from _remote_problems(path, backend, dialect)


def _local_problems(path: str, backend: BackendSettings) -> Iterator[str]:
    which = "a local model" if backend.model else "the built-in scorer"
    others = _BUILT_IN_ONLY if backend.model else _CROSS_ENCODER_ONLY
    for key in (*_REMOTE_ONLY, *others):
        if key in backend.model_fields_set:
            yield f"{path}.{key}: {which} has no such setting"
    if backend.scale in (Scale.COSINE, Scale.RELATIVE):
        yield f"{path}.scale: must be logit, or probability if the graph goes on to it"
    if backend.model and not backend.on_hub and backend.revision:
        yield f"{path}.revision: is for OWNER/NAME on the hub, and a directory has none"
    if backend.on_hub and not backend.revision:
        yield (
            f"{path}.revision: is required for a model on the hub: the 40 hex digits of"
            " a commit (if the model is a directory, write it with ./ in front)"
        )
    if backend.on_hub and backend.revision and not _COMMIT.fullmatch(backend.revision):
        yield (
            f"{path}.revision: must be the 40 hex digits of a commit, since a branch or"
            " a tag may move"
        )


def _remote_problems(
    path: str, backend: BackendSettings, dialect: Traits
) -> Iterator[str]:
    yield from _url_problems(path, backend, dialect)
    if dialect.scale is None and backend.scale is None:
        yield (
            f"{path}.scale: is required, since {backend.dialect} passes on whatever the"
            " model gives: logit, probability, cosine or relative"
        )
    if dialect.scale and backend.scale not in (None, dialect.scale):
        yield f"{path}.scale: {backend.dialect} always gives {dialect.scale}"
    if dialect.needs_model and not backend.model:
        yield f"{path}.model: is required by {backend.dialect}"
    if backend.api_key_env and backend.api_key_file:
        yield f"{path}.api_key_file: the key is in api_key_env already"


def _url_problems(
    path: str, backend: BackendSettings, dialect: Traits
) -> Iterator[str]:
    http = DIALECTS.get(backend.dialect)
    if backend.url and backend.urls:
        yield f"{path}.urls: there is a url already"
    if len(set(backend.urls)) < len(backend.urls):
        yield f"{path}.urls: one of them is there twice"
    places = {f"{path}.urls.{place}": url for place, url in enumerate(backend.urls)}
    if url := backend.url or ("" if backend.urls else dialect.home):
        places[f"{path}.url"] = url
    if not places:
        example = "http://localhost:8081" if http else "grpc://localhost:8082"
        yield f"{path}.url: is required, such as {example}"
    for place, url in places.items():
        try:
            if http:
                locate(url, http.path)
            else:
                locate_grpc(url)
        except ValueError as error:
            yield f"{place}: {error}"


def _route_problems(raw: Mapping[str, Any]) -> Iterator[str]:
    known = {LOCAL, *_sections(raw, "backends")}
    for name, route in _sections(raw, "routes").items():
        backends = route.get("backends")
        if not isinstance(backends, list):
            continue
        for place, backend in enumerate(backends):
            path = f"routes.{name}.backends.{place}"
            if isinstance(backend, str) and backend not in known:
                yield f"{path}: there is no backend {backend!r}"
            if backend in backends[:place]:
                yield f"{path}: {backend!r} is there twice"


def _address_problems(settings: Settings) -> Iterator[str]:
    if not _is_address(settings.server.address):
        yield "server.address: must be HOST:PORT, such as 127.0.0.1:50051"
    if settings.http.address and not _is_address(settings.http.address):
        yield "http.address: must be HOST:PORT, such as 127.0.0.1:8080"
    metrics_address = settings.telemetry.metrics_address
    if metrics_address and not _is_address(metrics_address):
        yield "telemetry.metrics_address: must be HOST:PORT, such as 127.0.0.1:9464"


def _is_address(address: str) -> bool:
    try:
        host, port = host_and_port(address)
    except ValueError:
        return False
    return bool(host) and 0 <= port <= _LARGEST_PORT
