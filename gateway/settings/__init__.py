"""One TOML file and the environment, read once: frozen, checked, every default once."""

from gateway.settings.checks import SettingsError, checked
from gateway.settings.models import (
    LOCAL,
    BackendSettings,
    CacheSettings,
    EmbedderSettings,
    RetrievalSettings,
    RouteSettings,
    ServerSettings,
    Settings,
)
from gateway.settings.sources import load

__all__ = [
    "LOCAL",
    "BackendSettings",
    "CacheSettings",
    "EmbedderSettings",
    "RetrievalSettings",
    "RouteSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "checked",
    "load",
]
