"""The shared configuration, as this client uses it."""

import json

from rerank_client import service_config


def test_it_bounds_no_call() -> None:
    methods = json.loads(service_config.SERVICE_CONFIG)["methodConfig"]
    assert methods
    assert not any("timeout" in each for each in methods)
