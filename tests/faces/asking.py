"""Run a gateway with its HTTP faces, and ask it as a vendor's tools would."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from anyio.from_thread import start_blocking_portal

from gateway.events import Emit
from tests.e2e.running import Running, running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Play, Vendor

PATIENCE_S = 30.0

# Its numbers are probabilities, so that they come back as they are.
(COHERE,) = SHAPES["cohere-v2"]
(LLAMACPP,) = SHAPES["llamacpp"]

CAPITAL = "What is the capital of the United States?"
CAPITALS = {
    "Carson City is the capital city of the American state of Nevada.": 0.32713068,
    "The Commonwealth of the Northern Mariana Islands is a group of islands.": 0.1,
    "Capitalization is the use of a capital letter at the start of a word.": 0.05,
    "Washington, D.C. is the capital of the United States.": 0.999071,
    "Capital punishment has existed in the United States since before it was.": 0.7867867,
}
"""Documents and scores of Cohere's own example."""
DOCUMENTS = list(CAPITALS)
ORDER = [3, 4, 0, 1, 2]
"""The places of these documents, best first."""
SCORES = [CAPITALS[DOCUMENTS[place]] for place in ORDER]


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway, the vendor behind it, and a client of its HTTP faces."""

    client: httpx.AsyncClient
    gateway: Running
    vendor: Vendor

    async def post(
        self, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send JSON."""
        return await self.client.post(path, json=body, headers=headers)


@asynccontextmanager
async def facing(
    play: Play | None = None,
    *,
    shape: Any = COHERE,
    backend: Mapping[str, Any] | None = None,
    emit: Emit | None = None,
    environ: Mapping[str, str] | None = None,
    **sections: Mapping[str, Any],
) -> AsyncIterator[Scene]:
    """Run a gateway whose only backend answers as it is told.

    Args:
        play: What the backend does; None: it scores the documents of the example.
        shape: Of its answers.
        backend: More of its settings.
        emit: Told what happened.
        environ: More variables.
        sections: More of the configuration.

    """
    async with Vendor(play or shape.scored(CAPITALS.__getitem__)) as vendor:
        settings: dict[str, Any] = {
            "backends": {
                "behind": {
                    "dialect": shape.dialect,
                    "url": vendor.url,
                    **shape.settings,
                    **(backend or {}),
                }
            },
            "routes": {"default": {"backends": ["behind"]}},
            **sections,
            "http": {"address": "127.0.0.1:0", **sections.get("http", {})},
        }
        async with (
            running(settings, emit=emit, environ=environ) as gateway,
            httpx.AsyncClient(
                base_url=f"http://{gateway.server.http_address}", timeout=PATIENCE_S
            ) as client,
        ):
            yield Scene(client, gateway, vendor)


@contextmanager
def facing_from_a_thread(
    folder: Path, *, retrieval: Mapping[str, Any], server: Mapping[str, Any]
) -> Iterator[Scene]:
    """Run one with collections in a thread: whoever asks from this one, and waits, may.

    Args:
        folder: For its collections.
        retrieval: More of that section.
        server: The section.

    """
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            facing(
                COHERE.scored(lambda _: 0.5),
                retrieval={"engine": "embedded", "path": str(folder), **retrieval},
                embedder={"dialect": "none"},
                server=server,
            )
        ) as scene,
    ):
        yield scene
