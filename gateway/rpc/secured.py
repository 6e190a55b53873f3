"""TLS as gRPC wants it, with certificates that may change while it listens."""

import grpc

from gateway.identity.certificates import Certificates, Pems


def server_credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Give what a port is secured with; each handshake goes by the newest certificate."""
    known = certificates.pems

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        # From a thread of gRPC's own, before each handshake: nothing is read here.
        nonlocal known
        newest = certificates.pems
        if newest is known:
            return None
        known = newest
        return _as_grpc_has_it(newest)

    return grpc.dynamic_ssl_server_credentials(
        _as_grpc_has_it(known),
        renewed,  # type: ignore[arg-type]  # None says that nothing changed, by its text
        require_client_authentication=certificates.requires_clients,
    )


def _as_grpc_has_it(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(pems.key, pems.certificate)], root_certificates=pems.client_ca
    )
