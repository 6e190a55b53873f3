"""Vendors that bill: they answer well, and remember what they want to be paid."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tests.e2e.shapes import SHAPES, Shape
from tests.e2e.vendor import Exchange, Received, Vendor, hang, reply


@dataclass
class Bill:
    """What one vendor wants from each tenant, whose name is the first word of a query."""

    calls: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)


class Billing(Vendor):
    """Answers like a vendor of this dialect, and bills like one.

    Cohere and Pinecone count a hundred documents as a unit, Voyage the letters.
    """

    def __init__(self, dialect: str) -> None:
        super().__init__(self._answer)
        self.bill = Bill()
        self.failures = 0
        """So many of the next calls fail, and are not billed."""
        self.hangs = 0
        """So many of the next calls are billed and never answered."""
        self.delay_s = 0.0
        self._dialect = dialect
        self._shape: Shape = SHAPES[dialect][0]

    async def _answer(self, exchange: Exchange) -> None:
        if self.failures:
            self.failures -= 1
            await reply(500, b"{}")(exchange)
            return
        units = self._billed(exchange.received)
        if self.hangs:
            self.hangs -= 1
            await hang(exchange)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        texts = self._shape.texts(exchange.received)
        results = self._shape.results([1 / (1 + len(each)) for each in texts])
        bills: Mapping[str, dict[str, object]] = {
            "cohere-v2": {"meta": {"billed_units": {"search_units": units}}},
            "pinecone": {"usage": {"rerank_units": units}},
            "voyage": {"usage": {"total_tokens": units}},
        }
        await reply(200, self._shape.answer(results, **bills[self._dialect]))(exchange)

    def _billed(self, request: Received) -> int:
        texts = self._shape.texts(request)
        if self._dialect == "voyage":
            units = sum(len(each) for each in texts)
        else:
            units = -(-len(texts) // 100)
        tenant = request.json["query"].partition(" ")[0]
        self.bill.calls[tenant] += 1
        self.bill.units[tenant] += units
        return units


PRICES = {
    "cohere": ("per_1000_search_units", Decimal("2.00"), 1000),
    "pinecone": ("per_1000_search_units", Decimal("1.25"), 1000),
    "voyage": ("per_million_tokens", Decimal("0.05"), 1_000_000),
}
"""By backend: the setting, the price, and of how many units."""


def cost_of(backend: str, units: int) -> Decimal:
    """Give what so many units cost."""
    _, price, of = PRICES[backend]
    return price * units / of
