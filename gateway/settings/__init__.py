"""One TOML file and the environment, read once: frozen, checked, every default once."""

from gateway.settings.checks import SettingsError, checked
from gateway.settings.http import HttpSettings
from gateway.settings.models import (
    LOCAL,
    BackendSettings,
    CacheSettings,
    EmbedderSettings,
    RetrievalSettings,
    RouteSettings,
    Settings,
)
from gateway.settings.server import ServerSettings
from gateway.settings.sources import files, load
from gateway.settings.telemetry import Export, LogSettings, TelemetrySettings

__all__ = [
    "LOCAL",
    "BackendSettings",
    "CacheSettings",
    "EmbedderSettings",
    "Export",
    "HttpSettings",
    "LogSettings",
    "RetrievalSettings",
    "RouteSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "TelemetrySettings",
    "checked",
    "files",
    "load",
]
