"""What a reload puts in place, and what waits for the next start."""

from gateway.reloading.waiting import RELOADED, settled
from gateway.settings import Settings, checked


def test_what_is_about_calls_is_put_in_place() -> None:
    began = checked({})
    wanted = checked(
        {
            "backends": {"tei": {"dialect": "tei", "url": "http://localhost:1"}},
            "routes": {"default": {"backends": ["tei"]}},
            "cache": {"ttl_s": 7},
            "server": {"max_calls": 3, "grace_s": 1},
            "http": {"on_fallback": "error"},
            "retrieval": {"timeout_s": 2},
            "embedder": {"dialect": "none"},
            # Of commands: it is not served by.
            "client": {"ca": "authority.pem"},
        }
    )
    assert settled(began, wanted) == (wanted, ())


def test_what_is_about_sockets_and_files_stays_and_is_named() -> None:
    began = checked({"server": {"keepalive_s": 1}})
    wanted = checked(
        {
            "server": {"address": "127.0.0.1:1", "keepalive_s": 2, "max_calls": 3},
            "retrieval": {"path": "/elsewhere", "timeout_s": 2},
            "telemetry": {"keep": "notable"},
        }
    )
    settings, waiting = settled(began, wanted)
    assert waiting == (
        "server.address",
        "server.keepalive_s",
        "retrieval.path",
        "telemetry.keep",
    )
    assert settings.server == began.server.model_copy(update={"max_calls": 3})
    assert settings.retrieval == began.retrieval.model_copy(update={"timeout_s": 2.0})
    assert settings.telemetry == began.telemetry


def test_tenants_are_put_in_place_where_there_is_a_ledger() -> None:
    some = checked({"tenants": {"acme": {"requests_per_s": 1}}})
    other = checked(
        {
            "tenants": {"beta": {"requests_per_s": 2}},
            "ledger": {"labels": ["team"], "currency": "EUR"},
        }
    )
    settings, waiting = settled(some, other)
    assert waiting == ("ledger.currency",)
    assert settings.tenants == other.tenants
    assert settings.ledger.labels == ("team",)


def test_the_first_tenants_and_the_last_wait() -> None:
    none = checked({})
    some = checked({"tenants": {"acme": {"requests_per_s": 1}}})
    assert settled(none, some) == (none, ("tenants",))
    assert settled(some, none) == (some, ("tenants",))


def test_every_setting_that_is_reloaded_is_there() -> None:
    began = checked({})
    for section, names in RELOADED.items():
        if names != {"*"}:
            assert names <= set(type(getattr(began, section)).model_fields), section
        assert section in Settings.model_fields
