//! A gateway with several addresses.

mod support {
    pub(crate) mod played;
}

use std::time::Duration;

use rerank_client::Client;
use rerank_client::v1::RerankRequest;
use support::played::{Act, Play, a_port};

const PATIENCE: Duration = Duration::from_secs(30);

async fn call(client: &Client, times: usize) {
    for _ in 0..times {
        client
            .rerank(RerankRequest::new("capital of France", ["Rome"]))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn every_address_gets_its_turn() {
    let gateways = [
        Play::new([Act::Answer]).start(),
        Play::new([Act::Answer]).start(),
    ];
    let [one, other] = &gateways;
    let builder = Client::builder(&one.address).address(&other.address);
    call(&builder.timeout(PATIENCE).build().unwrap(), 10).await;
    assert_eq!(gateways.map(|gateway| gateway.seen.count()), [5, 5]);
}

#[tokio::test]
async fn an_address_that_nobody_listens_at_fails_no_call() {
    let gateway = Play::new([Act::Answer]).start();
    let (_socket, nobody) = a_port();
    let builder = Client::builder(nobody.to_string()).address(&gateway.address);
    call(&builder.timeout(PATIENCE).build().unwrap(), 10).await;
    assert_eq!(gateway.seen.count(), 10);
}

#[tokio::test]
async fn an_address_that_fails_a_call_fails_it_alone() {
    let down = Play::new([Act::fail(tonic::Code::Unavailable)]).start();
    let gateway = Play::new([Act::Answer]).start();
    let builder = Client::builder(&down.address).address(&gateway.address);
    call(&builder.timeout(PATIENCE).build().unwrap(), 2).await;
    assert_eq!(gateway.seen.count(), 2);
}
