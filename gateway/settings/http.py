"""The HTTP faces: whether they listen, and what they do when nobody scores."""

from typing import Literal

from gateway.settings.section import Seconds, Section


class HttpSettings(Section):
    """One more listener, for tools that speak a vendor's API."""

    address: str = ""
    """HOST:PORT, beside that of gRPC and with the same limits; unset: none. Port 0 takes a
    free one."""
    on_fallback: Literal["keep_order", "error"] = "keep_order"
    """When no backend scored: `keep_order` answers with the order received and null for
    each score; `error` with the vendor's own error. A caller chooses by the header
    `x-failure-policy`."""
    body_timeout_s: Seconds = 30.0
    """How long a request's body may take to arrive."""
    idle_timeout_s: Seconds = 75.0
    """How long a connection may be without a complete request; longer than those of load
    balancers, which are 60 seconds."""
