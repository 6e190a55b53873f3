"""One TOML file and the environment, read once: frozen, checked, every default once."""

from gateway.settings.checks import SettingsError, checked
from gateway.settings.client import ClientSettings
from gateway.settings.http import HttpSettings
from gateway.settings.identity import IdentitySettings, TlsSettings
from gateway.settings.models import (
    LOCAL,
    BackendSettings,
    CacheSettings,
    EmbedderSettings,
    RouteSettings,
    Settings,
)
from gateway.settings.retrieval import RetrievalSettings
from gateway.settings.server import ServerSettings
from gateway.settings.sources import files, load, load_what_is_right, with_token
from gateway.settings.telemetry import Export, LogSettings, TelemetrySettings
from gateway.settings.tenants import LedgerSettings, PriceSettings, TenantSettings

__all__ = [
    "LOCAL",
    "BackendSettings",
    "CacheSettings",
    "ClientSettings",
    "EmbedderSettings",
    "Export",
    "HttpSettings",
    "IdentitySettings",
    "LedgerSettings",
    "LogSettings",
    "PriceSettings",
    "RetrievalSettings",
    "RouteSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "TelemetrySettings",
    "TenantSettings",
    "TlsSettings",
    "checked",
    "files",
    "load",
    "load_what_is_right",
    "with_token",
]
