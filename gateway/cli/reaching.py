"""Which gateway a command asks, whom it trusts there, and what it shows."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.cli.failing import MISTAKE, fail
from gateway.cli.options import Options
from gateway.settings import ClientSettings, Settings, with_token
from gateway.settings.identity_checks import is_loopback

_SECURE: Final = "grpcs://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The way to a gateway that runs."""

    place: str
    """HOST:PORT."""
    tls: bool = False
    authorities: bytes | None = None
    """Certificates to trust, in PEM; None: those that gRPC trusts."""
    is_pinned: bool = False
    """They are of the very gateway that is asked: whatever its name, it is that one."""
    certificate: Path | None = None
    """What is shown to a listener that wants to see one."""
    key: Path | None = None
    server_name: str = ""
    """What the certificate must be for; empty: the host."""
    token: str = field(default="", repr=False)
    """Shown with each call; empty: none."""

    @property
    def host(self) -> str:
        """The host of the place, an IPv6 one without its brackets."""
        return _host(self.place)


def reach_of(
    options: Options, settings: Settings, *, own: str = "", open_to_all: bool = False
) -> Reach:
    """Say how a gateway is reached, or end the command with what is wrong.

    Args:
        options: What the user said; it goes before what the configuration says.
        settings: The configuration.
        own: HOST:PORT where this configuration serves; it is asked where the user names
            no other address.
        open_to_all: What is asked may need no key: a configured one may be missing.

    """
    address = options.address or own
    place = address.removeprefix(_SECURE)
    client = _client(options, settings.client, open_to_all=open_to_all)
    tls = place != address or options.wants_tls
    if not options.address:
        tls = tls or settings.tls.serves("grpc")
    host = _host(place)
    token = client.token.get_secret_value() if client.token else ""
    if token and not tls and not is_loopback(host):
        fail(f"a key is sent over TLS alone: {_SECURE}{place}", MISTAKE)
    authorities = client.ca
    # On this machine it can be none but that of the same configuration.
    is_pinned = not authorities and bool(settings.tls.certificate) and is_loopback(host)
    if is_pinned:
        authorities = settings.tls.certificate
    if bool(client.certificate) != bool(client.key):
        fail("--cert-file and --key-file: one is of no use without the other", MISTAKE)
    return Reach(
        place=place,
        tls=tls,
        authorities=_read("--ca-file", authorities) if tls and authorities else None,
        is_pinned=is_pinned and not client.server_name,
        certificate=Path(client.certificate) if client.certificate else None,
        key=Path(client.key) if client.key else None,
        server_name=client.server_name,
        token=token,
    )


def _host(place: str) -> str:
    # As gRPC has it where a name leads to several.
    return place.removeprefix("dns:///").rpartition(":")[0].strip("[]")


def _client(
    options: Options, client: ClientSettings, *, open_to_all: bool
) -> ClientSettings:
    """Put what the user said before what is configured."""
    said = {
        "ca": options.ca_file,
        "certificate": options.cert_file,
        "key": options.key_file,
        "server_name": options.server_name,
    }
    client = client.model_copy(
        update={name: str(value) for name, value in said.items() if value}
    )
    if options.token_env:
        named = {"token_env": options.token_env, "token_file": ""}
        client = with_token(client.model_copy(update=named))
        if client.problem:
            fail(f"--token-env: {client.problem}", MISTAKE)
    if client.problem and not open_to_all:
        setting = "token_file" if client.token_file else "token_env"
        fail(f"client.{setting}: {client.problem}", MISTAKE)
    return client


def _read(flag: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        fail(f"{flag}: cannot read {file}: {error.strerror}", MISTAKE)
