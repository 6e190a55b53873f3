"""What goes over the wire to a backend: the trace goes along, and facts come back.

Only to backends that belong to whoever runs this gateway: a vendor has no use for our
ids, and baggage of a caller goes to nobody.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.telemetry import semconv
from gateway.telemetry.spans import (
    Attributes,
    name_here,
    outgoing,
    records_here,
    say_here,
)

# text-embeddings-inference tells how long it took, in milliseconds.
_TIMES = {
    "x-queue-time": semconv.QUEUE_TIME,
    "x-inference-time": semconv.INFERENCE_TIME,
}
_PER_SECOND = 1000.0


class TracedWire:
    """A `Wire` to one endpoint.

    Args:
        url: The endpoint; the path of a `grpc` or `grpcs` url is a method.
        propagate: Whether it takes part in our traces.

    """

    def __init__(self, url: str, *, propagate: bool) -> None:
        parsed = urlsplit(url)
        port = parsed.port or {"https": 443}.get(parsed.scheme, 80)
        self._propagate = propagate
        self._method = ""
        self._status = semconv.HTTP_STATUS
        place: Attributes = {
            semconv.SERVER_ADDRESS: parsed.hostname or "",
            semconv.SERVER_PORT: port,
        }
        if parsed.scheme in ("grpc", "grpcs"):
            self._method = parsed.path.removeprefix("/")
            self._status = semconv.RPC_STATUS
            self._attributes: Attributes = {
                semconv.RPC_SYSTEM: semconv.GRPC,
                semconv.RPC_METHOD: self._method,
                **place,
            }
        else:
            self._attributes = {
                semconv.HTTP_METHOD: "POST",
                **place,
                # A query or a user name could be a key.
                semconv.URL: f"{parsed.scheme}://{parsed.hostname}:{port}{parsed.path}",
            }

    @property
    def listens(self) -> bool:
        """Whether the trace of this call is recorded."""
        return records_here()

    def sending(self) -> Mapping[str, str]:
        """Say where a call goes, and give the headers that go along."""
        if self._method:
            name_here(self._method)
        say_here(self._attributes)
        return outgoing() if self._propagate else {}

    def received(self, status: int | str, headers: Mapping[str, str]) -> None:
        """Say what came back."""
        facts: dict[str, str | int | float] = {self._status: status}
        for header, attribute in _TIMES.items():
            took = headers.get(header, "")
            if took.isascii() and took.isdigit():
                facts[attribute] = int(took) / _PER_SECOND
        say_here(facts)
