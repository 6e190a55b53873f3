"""The shared configuration, as this client uses it."""

import json

from rerank_client import service_config


def test_its_timeouts_are_the_defaults() -> None:
    assert service_config.CALL_TIMEOUT_S == 10.0
    assert service_config.CHANGE_TIMEOUT_S == 30.0


def test_the_channel_gets_all_but_its_timeouts() -> None:
    ours = json.loads(service_config.for_channel())
    shared = json.loads(json.dumps(service_config._CONFIG))
    assert any("timeout" in each for each in shared["methodConfig"])
    for each in shared["methodConfig"]:
        each.pop("timeout", None)
    assert ours == shared
