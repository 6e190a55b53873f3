"""Remember whole answers as bytes, by the bytes of what was asked.

An answer all of whose scores were remembered is the same every time, but for its
`execution`. Reading a request of a hundred documents and writing its answer takes most of
what such a call costs, and is not needed a second time. Whether the scores are remembered
still is asked each time.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from gateway.contract import Execution, Outcome, Reranked
from gateway.identity.caller import caller
from gateway.parts import gives_way, part_of_each
from gateway.rpc.responses import write_execution
from gateway.rpc.written import Written
from rerank.v1 import execution_pb2, rerank_service_pb2

Counted = Callable[[float, float | None], None]
"""Counts an answer: how long it took, and what remained of the caller's deadline when it was
asked, in seconds; None: there was none."""

# As measured, beside the bytes. Of a score the key; and its entry, of which nobody can say
# whether the memory of scores would keep it anyway: half of it counts here. Of a document
# that has no score, or was cut, its place. A test compares it with what the allocator says.
_BYTES_PER_SCORE = 140
_BYTES_PER_PLACE = 36
_BYTES_PER_ANSWER = 3000

_END_BYTES = 128


class Recalled(Written):
    """An answer that was remembered as a whole; `answer` is without its results."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Known:
    ends: int
    """Of the request (`Key.ends`)."""
    again: Callable[[], bool]
    results: bytes
    """The answer without its `execution`."""
    returned: int
    search_method: str
    message: str
    execution: Execution
    counted: Counted
    tenant: str
    """Whose part of the memory it takes."""

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        said = self.execution
        places = len(said.unscored_indexes) + len(said.truncated_indexes)
        return (
            _BYTES_PER_ANSWER
            + len(self.results)
            + said.scored_count * _BYTES_PER_SCORE
            + places * _BYTES_PER_PLACE
        )


class Key:
    """Names a request; two that differ in anything have different names.

    To look at all of a request takes a while, and most are seen for the first time: that
    can be told by their length and their ends.

    Args:
        request: As it came.
        scope: Who may be given its answer; requests of others are others.

    """

    __slots__ = ("_request", "_scope", "_whole", "ends")

    def __init__(self, request: bytes, scope: bytes = b"") -> None:
        self._request = request
        self._scope = scope
        self._whole = b""
        self.ends = hash(
            (scope, len(request), request[:_END_BYTES], request[-_END_BYTES:])
        )
        """The same for equal requests, and seldom for others."""

    @property
    def whole(self) -> bytes:
        """Its name."""
        if not self._whole:
            # Its length first, or a scope could go on in what is asked.
            whole = sha256(len(self._scope).to_bytes(4, "big") + self._scope)
            whole.update(self._request)
            self._whole = whole.digest()
        return self._whole


class _Answers:
    """Forgets first what was not used for the longest time, of whoever has to give way."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.ends: Counter[int] = Counter()
        """Those of the requests whose answers it knows."""
        self.known: dict[bytes, _Known] = {}
        self.used_bytes = 0
        self._order: dict[str, OrderedDict[bytes, None]] = {}
        """By tenant, none empty: the keys, oldest use first."""
        self._held: Counter[str] = Counter()
        """By tenant: how many bytes."""

    def get(self, key: bytes) -> _Known | None:
        """Give one, which counts as use."""
        known = self.known.get(key)
        if known:
            self._order[known.tenant].move_to_end(key)
        return known

    def put(self, key: bytes, known: _Known) -> None:
        """Remember one, if there is room for it that is not another tenant's part."""
        self.forget(key)
        tenant, more = known.tenant, known.bytes
        lacking = self.used_bytes + more - self.max_bytes
        part = part_of_each(self.max_bytes, self._held, bringing=tenant)
        if lacking > 0 and more > part:
            return
        while self.used_bytes + more > self.max_bytes:
            loser, _ = gives_way(
                self._held, bringing=tenant, more=more, most=self.max_bytes
            )
            self.forget(next(iter(self._order[loser])))
        self.known[key] = known
        self._order.setdefault(tenant, OrderedDict())[key] = None
        self._held[tenant] += more
        self.used_bytes += more
        self.ends[known.ends] += 1

    def forget(self, key: bytes) -> None:
        """Forget one; one that is not known is not missed."""
        known = self.known.pop(key, None)
        if known is None:
            return
        order = self._order[known.tenant]
        del order[key]
        self._held[known.tenant] -= known.bytes
        self.used_bytes -= known.bytes
        if not order:
            del self._order[known.tenant], self._held[known.tenant]
        self.ends[known.ends] -= 1
        if not self.ends[known.ends]:
            del self.ends[known.ends]


class Recollection:
    """Holds the last answers, bounded by bytes, of which each tenant has its part.

    As in the memory of scores: while there is room, nobody has to keep to a part.

    Args:
        max_bytes: About how much memory they may take; 0 remembers none.

    """

    def __init__(self, *, max_bytes: int) -> None:
        self._answers = _Answers(max_bytes)

    def key(self, request: bytes, *, scope: bytes = b"") -> "Key | None":
        """Name a request; None: no answer is remembered.

        Args:
            request: As it came.
            scope: Who may be given the answer, besides whoever asked.

        """
        return Key(request, scope) if self._answers.max_bytes else None

    def recall(
        self,
        key: "Key | None",
        *,
        duration_s: Callable[[], float],
        remaining_s: float | None,
    ) -> Recalled | None:
        """Give the answer, if it would be the same again.

        Args:
            key: Of the request.
            duration_s: Tells how long the call has taken.
            remaining_s: Of the caller's deadline; None: there is none.

        """
        if key is None or key.ends not in self._answers.ends:
            return None
        known = self._answers.get(key.whole)
        if known is None:
            return None
        if not known.again():
            self._answers.forget(key.whole)
            return None
        took_s = duration_s()
        known.counted(took_s, remaining_s)
        stages = tuple(
            replace(each, duration_s=took_s) for each in known.execution.stages
        )
        answer = rerank_service_pb2.RerankResponse(
            search_method=known.search_method,
            message=known.message,
            execution=write_execution(
                replace(known.execution, duration_s=took_s, stages=stages)
            ),
        )
        # What is said twice in a message holds as it is said last; two parts of one
        # message are one.
        return Recalled(
            known.results + answer.SerializeToString(), answer, known.returned
        )

    def remember(
        self,
        key: "Key",
        reranked: Reranked,
        response: rerank_service_pb2.RerankResponse,
        counted: Counted,
    ) -> None:
        """Keep an answer, if it can be given again.

        Args:
            key: Of the request.
            reranked: The answer.
            response: The same as it goes to the caller.
            counted: Counts it when it is given again.

        """
        if reranked.again is None or reranked.execution.outcome is not Outcome.RERANKED:
            return
        # Taken out and put back: to copy a hundred results takes longer than all the rest.
        execution = execution_pb2.Execution()
        execution.CopyFrom(response.execution)
        response.ClearField("execution")
        results = response.SerializeToString()
        response.execution.MergeFrom(execution)
        known = _Known(
            ends=key.ends,
            again=reranked.again,
            results=results,
            returned=len(response.results),
            search_method=response.search_method,
            message=response.message,
            execution=reranked.execution,
            counted=counted,
            tenant=caller.get().tenant,
        )
        self._answers.put(key.whole, known)
