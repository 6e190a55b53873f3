//! A gateway behind TLS.

mod support {
    pub(crate) mod played;
}

use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rerank_client::v1::RerankRequest;
use rerank_client::{Client, tonic};
use support::played::{Act, Gateway, Play, a_port};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, Server, ServerTlsConfig};

/// Starts one, and gives the certificate to trust.
fn a_gateway() -> (Gateway, Certificate) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let identity = Identity::from_pem(cert.pem(), signing_key.serialize_pem());
    let server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .unwrap();
    let gateway = Play::new([Act::Answer]).serve(server, a_port().0.listen(64).unwrap());
    (gateway, Certificate::from_pem(cert.pem()))
}

fn url(gateway: &Gateway) -> String {
    format!("https://{}", gateway.address)
}

fn request() -> RerankRequest {
    RerankRequest::new("capital of France", ["Rome", "Paris"])
}

#[tokio::test]
async fn a_gateway_of_a_trusted_authority_is_called() {
    let (gateway, certificate) = a_gateway();
    let tls = ClientTlsConfig::new()
        .ca_certificate(certificate)
        .domain_name("localhost");
    let client = Client::builder(url(&gateway)).tls(tls).build().unwrap();
    client
        .rerank(request())
        .timeout(Duration::from_secs(30))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_gateway_that_nobody_vouches_for_is_not_called() {
    let (gateway, _) = a_gateway();
    let client = Client::builder(url(&gateway)).build().unwrap();
    let error = client
        .rerank(request())
        .timeout(Duration::from_millis(300))
        .await
        .unwrap_err();
    assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
    assert!(error.message().contains("certificate"), "{error}");
    assert_eq!(gateway.seen.count(), 0);
}
