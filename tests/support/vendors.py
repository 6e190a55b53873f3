"""Vendors played behind a transport that has no sockets."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import httpx
from pydantic import SecretStr

from gateway.backends.dialects import DIALECTS
from gateway.backends.endpoint import locate
from gateway.backends.facts import Facts
from gateway.backends.http import HttpScorer
from gateway.backends.scorer import Scorer, ScoreRequest
from gateway.backends.transport import Reply
from gateway.compose import NO_MEMORIES, Surroundings
from gateway.compose.http_backend import http_backend
from gateway.ranking.normalize import Scale
from gateway.settings import checked
from tests.support.scorers import asking

Handler = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


def reply(
    body: bytes | str | object,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Make an answer; what is neither bytes nor text is written as JSON."""
    if isinstance(body, str):
        body = body.encode()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def parts() -> AsyncIterator[bytes]:
        yield content

    encoded = [
        (key.encode(), value.encode("latin-1"))
        for key, value in (headers or {}).items()
    ]
    return httpx.Response(status, headers=encoded, content=parts())


class Played:
    """A transport without sockets: a function answers."""

    def __init__(self, vendor: Handler) -> None:
        self._vendor = vendor

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        max_answer_bytes: int,
    ) -> Reply:
        request = httpx.Request(method, url, headers=dict(headers), content=body)
        response = await self._vendor(request)
        content = b""
        try:
            async for part in response.aiter_raw():
                content += part
                if len(content) > max_answer_bytes:
                    break
        finally:
            await response.aclose()
        named = {key.lower(): value for key, value in response.headers.items()}
        return Reply(
            response.status_code,
            named,
            content if len(content) <= max_answer_bytes else None,
        )

    async def aclose(self) -> None:
        """Close nothing."""


class Vendor:
    """A server that gives one answer to everything, and remembers what it was sent."""

    def __init__(self, *answers: Callable[[], httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = answers

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        return answer()

    @property
    def sent(self) -> Any:
        """The body of the last request."""
        return json.loads(self.requests[-1].content)


def says(
    body: bytes | str | object,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Vendor:
    """Play a vendor that always says the same."""
    return Vendor(lambda: reply(body, status, headers))


def over(
    vendor: Handler,
    dialect: str,
    *,
    name: str = "v",
    model: str = "",
    scale: Scale = Scale.LOGIT,
    key: str = "",
    url: str = "http://vendor.test",
) -> HttpScorer:
    """Build the scorer for a dialect, as the product does, over a played vendor."""
    spelling = DIALECTS[dialect]
    return HttpScorer(
        name=name,
        dialect=spelling,
        url=locate(url, spelling.path).rerank,
        headers={**spelling.headers, **(spelling.credentials(key) if key else {})},
        transport=Played(vendor),
        scale=spelling.scale or scale,
        facts=Facts(max_documents=spelling.max_documents, model=model, fixed=True),
        model=model,
    )


@asynccontextmanager
async def composed(
    vendor: Handler, dialect: str, *, key: str = "", **settings: object
) -> AsyncIterator[Scorer]:
    """Build a backend with all its layers from its settings, over a played vendor."""
    section = {"dialect": dialect, **settings}
    checked_settings = checked({"backends": {"v": section}}).backends["v"]
    if key:
        secret = {"api_key": SecretStr(key)}
        checked_settings = checked_settings.model_copy(update=secret)
    async with AsyncExitStack() as parts:
        transport = Played(vendor)
        around = Surroundings(NO_MEMORIES, Random(7), lambda _: None)
        built = await http_backend(
            "v", checked_settings, around, parts, transport=transport
        )
        yield built.scorer


def asking_for(count: int, query: str = "q") -> ScoreRequest:
    """Ask about so many documents."""
    return asking(*(f"document {number}" for number in range(count)), query=query)


class Watched:
    """Another vendor, and what it was sent with each POST."""

    def __init__(self, vendor: Handler) -> None:
        self.requests: list[httpx.Request] = []
        self.sent: list[Any] = []
        self._vendor = vendor

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.requests.append(request)
            self.sent.append(json.loads(request.content))
        return await self._vendor(request)

    @property
    def sizes(self) -> list[int]:
        """How many documents each call brought, the largest call first."""
        lists = [body.get("documents") or body.get("passages") for body in self.sent]
        return sorted(map(len, lists), reverse=True)


# Well-behaved vendors, one per dialect: each takes what it documents and nothing else, and
# judges a document by the length of its text.


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How a vendor that keeps to its documentation is asked, and how it answers."""

    takes: frozenset[str]
    """The members that a request may have."""
    texts: str = "documents"
    objects: bool = False
    """Whether a document is an object with a text."""
    how_many: str = ""
    """The member that says how many results are wanted; empty: there is none."""
    results: str
    """The member with the list of results; empty: the answer is that list."""
    score: str
    """What a result calls its number; empty: it is one."""
    more: Mapping[str, object] = field(default_factory=dict)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":  # about itself: it keeps that to itself
            return reply({"detail": "Not Found"}, 404)
        asked = json.loads(request.content)
        assert set(asked) <= self.takes
        documents = asked[self.texts]
        if self.how_many:
            assert asked[self.how_many] == len(documents)
        texts = [each["text"] if self.objects else each for each in documents]
        assert all(isinstance(text, str) and text.strip() for text in texts)
        numbers = [len(text) / 1000 for text in texts]
        results = self._results(numbers)
        return reply({**self.more, self.results: results} if self.results else results)

    def _results(self, numbers: list[float]) -> list[Any]:
        if not self.score:
            return list(numbers)
        best_first = sorted(range(len(numbers)), key=lambda index: -numbers[index])
        return [{"index": index, self.score: numbers[index]} for index in best_first]


_COHERE = Manners(
    takes=frozenset({"model", "query", "documents", "top_n", "return_documents"}),
    how_many="top_n",
    results="results",
    score="relevance_score",
    more={"id": "8bc745a3", "meta": {"billed_units": {"search_units": 1}}},
)

WELL_BEHAVED: Mapping[str, Manners] = {
    "cohere-v1": _COHERE,
    "cohere-v2": replace(_COHERE, takes=_COHERE.takes - {"return_documents"}),
    "infinity": replace(_COHERE, takes=_COHERE.takes | {"raw_scores"}),
    "jina": _COHERE,
    "llamacpp": replace(
        _COHERE,
        takes=_COHERE.takes - {"return_documents"},
        more={"model": "m.gguf", "usage": {"prompt_tokens": 9, "total_tokens": 9}},
    ),
    "nim": Manners(
        takes=frozenset({"model", "query", "passages", "truncate"}),
        texts="passages",
        objects=True,
        results="rankings",
        score="logit",
    ),
    "pinecone": Manners(
        takes=_COHERE.takes | {"rank_fields", "parameters"},
        objects=True,
        how_many="top_n",
        results="data",
        score="score",
    ),
    "simple": replace(_COHERE, results="scores", score="", more={}),
    "tei": Manners(
        takes=frozenset({"query", "texts", "truncate", "raw_scores"}),
        texts="texts",
        results="",
        score="score",
    ),
    "vllm": replace(
        _COHERE,
        takes=_COHERE.takes
        | {"truncate_prompt_tokens", "instruction", "use_activation", "activation"},
    ),
    "voyage": Manners(
        takes=frozenset(
            {
                "model",
                "query",
                "documents",
                "top_k",
                "return_documents",
                "truncation",
            }
        ),
        how_many="top_k",
        results="data",
        score="relevance_score",
    ),
}
