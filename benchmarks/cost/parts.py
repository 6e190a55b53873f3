"""What the parts of a miss cost when they are warm: `python -m benchmarks.cost.parts`.

Each part runs alone, again and again, so that everything it needs is in the caches: in a
call it takes up to twice as long. What is written down of it is in `benchmarks/profile.md`.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import orjson
import uvloop

from benchmarks.cost.payloads import Payload, rerank_request, tei_request
from benchmarks.cost.servers import Backend, Servers
from gateway import report
from gateway.backends.dialect import Call
from gateway.backends.dialects import tei, tei_grpc
from gateway.backends.scorer import Candidate, ScoreRequest, Scores
from gateway.backends.transport import Pool
from gateway.contract import Reranked
from gateway.layers.memory import Judge, entries_of
from gateway.layers.pair_keys import PairKeys
from gateway.layers.process_memory import ProcessMemory
from gateway.ranking.normalize import Scale
from gateway.rpc.requests import Limits, read_rerank
from gateway.rpc.responses import write_rerank
from rerank.v1 import rerank_service_pb2

_PAYLOAD = Payload()
_LIMITS = Limits(1000, 1 << 20, 1 << 14)
_JUDGE = Judge("model", "")
_SCALE = Scale.LOGIT
_LARGEST = 1 << 24
_TIMES = 200
_ROUNDS = 9


async def main(backend: Backend) -> None:
    data = rerank_request(_PAYLOAD).SerializeToString()
    request = rerank_service_pb2.RerankRequest.FromString(data)
    documents = tuple(
        Candidate(text, rank) for rank, text in enumerate(_PAYLOAD.texts, 1)
    )
    asked = ScoreRequest(query=_PAYLOAD.query, documents=documents, deadline=0.0)
    call = Call(
        query=asked.query,
        texts=_PAYLOAD.texts,
        model="",
        scale=_SCALE,
        instruction="",
    )
    keys = PairKeys(secret=b"", backend="tei", configured=(), scale=_SCALE)
    raw = tuple(4 - 8 * place / len(documents) for place in range(len(documents)))
    scores = Scores(raw=raw, scale=_SCALE, backend="tei", model="model")
    answer = orjson.dumps(
        [{"index": place, "score": score} for place, score in enumerate(raw)]
    )
    ask = read_rerank(request, _LIMITS, now=0.0, remaining_s=None)
    places = range(len(documents))
    named = keys.of_pairs(asked, _JUDGE)
    memory = ProcessMemory(max_bytes=1 << 26)

    def read() -> object:
        message = rerank_service_pb2.RerankRequest.FromString(data)
        return read_rerank(message, _LIMITS, now=0.0, remaining_s=None)

    def ranked() -> Reranked:
        return report.scored(ask, scores, places, min_score=None, duration_s=0.0)

    reranked = ranked()
    await _show("read the request", _at_once(read))
    await _show("name the pairs", _at_once(lambda: keys.of_pairs(asked, _JUDGE)))

    async def remember() -> None:
        entries = entries_of(named, scores, now=0.0, ttl_s=1e9)
        await memory.put(entries, name=keys.judge, judge=_JUDGE)

    await _show("remember the scores", remember)
    await _show("look them up", lambda: memory.get(named))
    await _show("encode for TEI", _at_once(lambda: orjson.dumps(tei.encode(call))))
    await _show(
        "decode TEI's answer",
        _at_once(lambda: tei.decode(orjson.loads(answer), len(raw))),
    )
    await _show("encode for TEI, gRPC", _at_once(lambda: tei_grpc.encode(call)))
    await _show("order and report", _at_once(ranked))
    await _show(
        "write the answer",
        _at_once(lambda: write_rerank(request, reranked).SerializeToString()),
    )
    await _upstream(backend, tei_grpc.encode(call))


async def _upstream(backend: Backend, message: bytes) -> None:
    body, pool = tei_request(_PAYLOAD), Pool()
    url = f"http://{backend.http}/rerank"
    await _show(
        "call over HTTP",
        lambda: pool.send(
            "POST", url, headers={}, body=body, max_answer_bytes=_LARGEST
        ),
    )
    await pool.aclose()
    if backend.grpc:
        async with grpc.aio.insecure_channel(backend.grpc) as channel:
            method: Any = channel.unary_unary("/tei.v1.Rerank/Rerank")

            async def asks() -> None:
                await method(message, timeout=10)

            await _show("call over gRPC", asks)


def _at_once(work: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def working() -> object:
        return work()

    return working


async def _show(what: str, work: Callable[[], Awaitable[object]]) -> None:
    rounds = []
    for _ in range(_ROUNDS):
        before = time.thread_time_ns()
        for _ in range(_TIMES):
            await work()
        rounds.append((time.thread_time_ns() - before) / _TIMES / 1000)
    print(f"{min(rounds):7.1f} µs  {what}", flush=True)


if __name__ == "__main__":
    with Servers() as servers:
        uvloop.run(main(servers.backend))
