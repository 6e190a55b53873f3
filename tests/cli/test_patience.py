"""A gateway that is away for a moment is called again, and no other."""

import grpc
import grpc.aio
import pytest

from gateway.cli.patience import patiently

_CODES = grpc.StatusCode


def failure(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())


class Played:
    """Fails with each status in turn, and then answers."""

    def __init__(self, *codes: grpc.StatusCode) -> None:
        self.codes = list(codes)
        self.waits_s: list[float] = []

    async def call(self) -> str:
        if self.codes:
            raise failure(self.codes.pop(0))
        return "answer"

    async def sleep(self, seconds: float) -> None:
        self.waits_s.append(seconds)


async def test_it_is_called_until_it_answers() -> None:
    played = Played(_CODES.UNAVAILABLE, _CODES.DEADLINE_EXCEEDED, _CODES.UNAVAILABLE)
    assert await patiently(played.call, sleep=played.sleep) == "answer"
    assert played.waits_s == [0.5, 1.0, 2.0]


async def test_it_is_not_called_for_ever() -> None:
    played = Played(*[_CODES.UNAVAILABLE] * 6)
    with pytest.raises(grpc.aio.AioRpcError):
        await patiently(played.call, sleep=played.sleep)
    assert (len(played.waits_s), played.codes) == (5, [])


async def test_a_refusal_is_final() -> None:
    played = Played(_CODES.NOT_FOUND, _CODES.UNAVAILABLE)
    with pytest.raises(grpc.aio.AioRpcError):
        await patiently(played.call, sleep=played.sleep)
    assert played.waits_s == []
