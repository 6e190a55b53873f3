//! The examples, against a real gateway.

mod support {
    pub(crate) mod gateway;
}
#[allow(dead_code, reason = "its main")]
#[path = "../examples/rerank.rs"]
mod rerank;
#[allow(dead_code, reason = "its main")]
#[path = "../examples/search.rs"]
mod search;

use support::gateway::Gateway;

#[tokio::test]
async fn they_run() {
    let gateway = Gateway::start();
    rerank::rerank(&gateway.address).await.unwrap();
    search::search(&gateway.address).await.unwrap();
}
