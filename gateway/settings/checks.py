"""Check a configuration as a whole, and name every problem with its path."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.settings.backend_checks import backend_problems
from gateway.settings.client import ClientSettings
from gateway.settings.http import HttpSettings
from gateway.settings.identity import IdentitySettings, TlsSettings
from gateway.settings.identity_checks import (
    exposure_problems,
    identity_problems,
    tls_problems,
    unproven,
)
from gateway.settings.models import (
    LOCAL,
    BackendSettings,
    CacheSettings,
    EmbedderSettings,
    RouteSettings,
    Settings,
)
from gateway.settings.retrieval import RetrievalSettings
from gateway.settings.server import ServerSettings, host_and_port
from gateway.settings.service_checks import (
    cache_problems,
    embedder_problems,
    retrieval_problems,
)
from gateway.settings.telemetry import TelemetrySettings
from gateway.settings.tenant_checks import (
    DEFAULT_ROUTE,
    ledger_problems,
    tenant_problems,
)
from gateway.settings.tenants import LedgerSettings, TenantSettings
from gateway.settings.words import in_words

# Filled in by us; a configuration that names them would bypass what they stand for.
_OURS = ("api_key", "key", "password", "problem")
_OURS_OF_CLIENT = ("token", "problem")
_OURS_OF_TELEMETRY = ("traces", "metrics", "logs", "capture_content")
_LARGEST_PORT = 65535
# Where one of these is wrong, it is not known whom the gateway would let in.
_DECIDE_WHO = ("server", "http", "tls", "identity", "telemetry")


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
        settings = valid_parts(raw)
    problems += backend_problems(settings)
    problems += _route_problems(raw)
    problems += _address_problems(settings)
    if not _is_said_of(problems, "tls"):
        problems += tls_problems(settings.tls)
    if not _is_said_of(problems, "identity"):
        known = {DEFAULT_ROUTE, *_sections(raw, "routes")}
        problems += identity_problems(settings.identity, known)
    if not _is_said_of(problems, *_DECIDE_WHO):
        problems += exposure_problems(settings)
        problems += unproven(settings)
    problems += embedder_problems(settings.embedder)
    problems += retrieval_problems(settings.retrieval)
    problems += cache_problems(settings.cache)
    problems += tenant_problems(settings)
    problems += ledger_problems(settings.ledger)
    if problems:
        # One for each path: what is wrong is not missing as well.
        first: dict[str, str] = {}
        for problem in problems:
            first.setdefault(problem.partition(": ")[0], problem)
        raise SettingsError(tuple(first.values()))
    routes = {DEFAULT_ROUTE: RouteSettings(), **settings.routes}
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
        ("retrieval", _section(raw, "retrieval"), _OURS),
        ("embedder", _section(raw, "embedder"), _OURS),
        ("cache", _section(raw, "cache"), _OURS),
        ("ledger", _section(raw, "ledger"), _OURS),
        ("client", _section(raw, "client"), _OURS_OF_CLIENT),
        ("telemetry", _section(raw, "telemetry"), _OURS_OF_TELEMETRY),
    ):
        for key in ours:
            if key in section:
                yield f"{path}.{key}: there is no such setting"


def valid_parts(raw: Mapping[str, Any]) -> Settings:
    """Take what is right in a configuration, so that the rest can be checked too."""
    return Settings.model_construct(
        server=_valid(ServerSettings, _section(raw, "server")),
        http=_valid(HttpSettings, _section(raw, "http")),
        tls=_valid(TlsSettings, _section(raw, "tls")),
        identity=_valid(IdentitySettings, _section(raw, "identity")),
        client=_valid(ClientSettings, _section(raw, "client")),
        routes={
            name: _valid(RouteSettings, section)
            for name, section in _sections(raw, "routes").items()
        },
        backends={
            name: _valid(BackendSettings, section)
            for name, section in _sections(raw, "backends").items()
            if isinstance(section.get("dialect"), str)
        },
        retrieval=_valid(RetrievalSettings, _section(raw, "retrieval")),
        embedder=_valid(EmbedderSettings, _section(raw, "embedder")),
        cache=_valid(CacheSettings, _section(raw, "cache")),
        telemetry=_valid(TelemetrySettings, _section(raw, "telemetry")),
        tenants={
            name: _valid(TenantSettings, section)
            for name, section in _sections(raw, "tenants").items()
        },
        ledger=_valid(LedgerSettings, _section(raw, "ledger")),
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
