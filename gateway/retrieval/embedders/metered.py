"""Ask an embedder only for what its caller may still use, and write down what it cost."""

from collections.abc import Sequence

from gateway.backends.errors import BackendError
from gateway.backends.facts import Facts
from gateway.backends.scorer import Payer, Usage
from gateway.identity.caller import caller
from gateway.retrieval.embedder import Embedder, Embeddings, Purpose, asking
from gateway.retrieval.embedders.batch import split
from gateway.tenants.metering import Meter


class Metered:
    """Keeps back what a call will cost, and replaces it by what the vendor says.

    As `gateway.layers.metered` does for scorers: of a call that was given up, or whose
    answer was lost, the estimate stands, and what was refused costs nothing.

    Args:
        embedder: Asked for what can be paid.
        meter: Of the embedder.

    """

    def __init__(self, embedder: Embedder, *, meter: Meter) -> None:
        self._embedder = embedder
        self._meter = meter

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        """Ask, or raise `QuotaExceeded` or `LedgerFailed` without having asked."""
        kept = await self._meter.keep_back(_payer(), self._meter.cost_of("", texts))
        usage: Usage | None = None
        costs = True
        try:
            embeddings = await self._embedder.embed(
                texts, purpose=purpose, deadline=deadline
            )
        except BackendError as error:
            costs = error.may_cost
            raise
        else:
            usage = embeddings.usage
            return embeddings
        finally:
            # A cancellation too: the answer may be on its way.
            if costs:
                self._meter.settle(kept, usage)
            else:
                self._meter.release(kept)


class Prepaid:
    """Keeps back what all calls for a list of texts will cost, before the first one is made.

    Otherwise the first ones would be paid for, and the documents be refused all the same.

    Args:
        embedder: Asks in batches.
        facts: How many texts go into one (`max_documents`).
        meter: Of the embedder.

    """

    def __init__(self, embedder: Embedder, *, facts: Facts, meter: Meter) -> None:
        self._embedder = embedder
        self._facts = facts
        self._meter = meter

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        """Ask, or raise `QuotaExceeded` without having asked for any part."""
        batches = split(texts, self._facts.max_documents)
        if len(batches) == 1:
            return await self._embedder.embed(texts, purpose=purpose, deadline=deadline)
        amounts = [self._meter.cost_of("", each) for each in batches]
        async with self._meter.all_kept_back(_payer(), amounts):
            return await self._embedder.embed(texts, purpose=purpose, deadline=deadline)


def _payer() -> Payer | None:
    """Tell whose account it is; None: the gateway's own."""
    said = asking.get()
    return None if said.is_probe else Payer(caller.get().tenant, said.labels)
