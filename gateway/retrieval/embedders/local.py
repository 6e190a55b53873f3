"""The bundled encoder as an embedder: no service, one text per inference."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from gateway.backends.errors import Internal
from gateway.backends.local.encoder import Encoder
from gateway.backends.local.features import TextEncoder
from gateway.backends.local.inference import InferenceFailed
from gateway.backends.local.threads import Closed, Threads
from gateway.backends.reading import ContractBrokenError
from gateway.retrieval.embedder import Embeddings, Purpose, refuse_blank
from gateway.retrieval.embedders.vectors import unit_vectors


class LocalEmbedder:
    """Encodes texts in threads of its own, one job each.

    A text's vector depends on nothing but the text; the model embeds questions as it
    does answers, so the purpose is ignored. Only the first 160 word pieces are read.
    The deadline is not watched: a `Timeout` cancels.

    Args:
        name: What it is called in errors.
        encoder: Where vectors come from; may be shared with a `LocalScorer`.
        threads: How many texts are encoded at the same time.

    """

    model: ClassVar = Encoder.model
    dimension: ClassVar = Encoder.dimension

    def __init__(self, *, name: str, encoder: TextEncoder, threads: int) -> None:
        self._name = name
        self._encoder = encoder
        self._threads = Threads(threads)

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        """Encode every text; cancellation drops those that have not begun.

        Raises:
            Internal: The encoder failed, or the embedder is closed.

        """
        del purpose, deadline  # one model for both; a Timeout watches
        refuse_blank(texts)
        try:
            encodings = await self._threads.run_all(
                partial(self._encoder.encode, text) for text in texts
            )
            vectors = unit_vectors([each.sentence for each in encodings])
        except (InferenceFailed, ContractBrokenError) as error:
            raise Internal(self._name, f"the encoder failed: {error}") from error
        except Closed as error:
            raise Internal(self._name, "closed while it was needed") from error
        return Embeddings(vectors=vectors, model=self.model)

    def close(self) -> None:
        """End the threads; what is asked for from now on fails as `Internal`.

        It waits for encodings that have begun, some 30 ms, and drops the others.
        """
        self._threads.close()
