"""How commands reach a gateway that runs, and what they show it."""

from pydantic import Field, SecretStr

from gateway.settings.section import Section

TOKEN_VARIABLE = "RERANK_GATEWAY_KEY"  # noqa: S105 - the name of a variable


class ClientSettings(Section):
    """What `health`, `backends` and the other commands speak TLS and prove themselves by.

    It is of no concern to `serve`. Flags of a command go before it.
    """

    ca: str = ""
    """PEM file: the authorities to trust. Unset: on this machine the certificate of `[tls]`
    itself, whatever its name; otherwise those that gRPC trusts."""
    certificate: str = ""
    """PEM file: what a listener with `client_auth = "require"` wants to see."""
    key: str = ""
    """PEM file: its key."""
    server_name: str = ""
    """What the gateway's certificate must be for; unset: the host that is asked."""
    token_env: str = TOKEN_VARIABLE
    """The variable with the key or token to show."""
    token_file: str = ""
    """Instead: a file with it."""

    token: SecretStr | None = Field(default=None, exclude=True)
    """Filled in from one of these."""
    problem: str = ""
    """Why there is none, though one was named."""
