//! What every call does: its deadline, its repetitions, its credentials, its end.

mod support {
    pub(crate) mod played;
}

use std::time::{Duration, Instant};

use rerank_client::tonic::{Code, Status};
use rerank_client::v1::{ErrorReason, RerankRequest, RerankResponse, SearchRequest};
use rerank_client::{Builder, Client, Error};
use support::played::{Act, Gateway, Play, a_port};
use tokio::net::TcpStream;
use tokio_stream::StreamExt;
use tonic_types::{ErrorDetails, StatusExt};

const SOON: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(30);

fn builder(gateway: &Gateway) -> Builder {
    Client::builder(&gateway.address)
}

fn cities() -> RerankRequest {
    RerankRequest::new("capital of France", ["Rome", "Paris"])
}

async fn rerank(gateway: &Gateway) -> Result<RerankResponse, Error> {
    builder(gateway)
        .timeout(PATIENCE)
        .build()
        .unwrap()
        .rerank(cities())
        .await
}

#[tokio::test]
async fn a_call_is_answered() {
    let gateway = Play::new([Act::Answer]).start();
    let answer = rerank(&gateway).await.unwrap();
    assert_eq!(
        answer.order(&["Rome", "Paris"]).collect::<Vec<_>>(),
        [&"Rome", &"Paris"]
    );
}

#[tokio::test]
async fn a_call_waits_for_a_gateway_that_comes_late() {
    let (socket, address) = a_port();
    let client = Client::builder(address.to_string())
        .timeout(PATIENCE)
        .build()
        .unwrap();
    let call = tokio::spawn(client.rerank(cities()).into_future());
    // As the call is refused now.
    assert!(TcpStream::connect(address).await.is_err());
    let gateway = Play::new([Act::Answer]).start_at(socket.listen(64).unwrap());
    assert_eq!(call.await.unwrap().unwrap().results.len(), 2);
    assert_eq!(gateway.seen.count(), 1);
}

#[tokio::test]
async fn a_gateway_that_never_comes_is_waited_for_until_the_deadline() {
    let (_socket, address) = a_port();
    let client = Client::builder(address.to_string()).build().unwrap();
    let started = Instant::now();
    let error = client.rerank(cities()).timeout(SOON).await.unwrap_err();
    assert!(started.elapsed() >= SOON);
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.message().contains("Connection refused"), "{error}");
    assert_eq!(error.reason(), None);
}

#[tokio::test]
async fn a_call_that_fails_once_is_repeated() {
    let gateway = Play::new([Act::fail(Code::Unavailable), Act::Answer]).start();
    rerank(&gateway).await.unwrap();
    assert_eq!(gateway.seen.count(), 2);
    assert_eq!(gateway.seen.request(0), gateway.seen.request(1));
    assert_eq!(
        gateway
            .seen
            .metadata(1, "grpc-previous-rpc-attempts")
            .as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn a_call_is_made_four_times_at_most() {
    let gateway = Play::new([Act::fail(Code::Unavailable)]).start();
    let error = rerank(&gateway).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(gateway.seen.count(), 4);
}

#[tokio::test]
async fn what_the_gateway_refuses_is_not_repeated_and_told_in_full() {
    let mut details = ErrorDetails::with_error_info(
        "INVALID_REQUEST",
        "rerank.v1",
        [("field".to_owned(), "query".to_owned())],
    );
    details.add_bad_request_violation("query", "must not be blank");
    details.add_bad_request_violation("top_n", "must not be negative");
    details.set_retry_info(Some(Duration::from_millis(1500)));
    let refusal = Status::with_error_details(Code::InvalidArgument, "2 violations", details);
    let gateway = Play::new([Act::Fail(refusal), Act::Answer]).start();

    let error = rerank(&gateway).await.unwrap_err();

    assert_eq!(gateway.seen.count(), 1);
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(error.reason(), Some(ErrorReason::InvalidRequest));
    let fields: Vec<_> = error
        .violations()
        .iter()
        .map(|violation| &*violation.field)
        .collect();
    assert_eq!(fields, ["query", "top_n"]);
    assert_eq!(error.retry_delay(), Some(Duration::from_millis(1500)));
    assert_eq!(error.refusal().unwrap().metadata["field"], "query");
    assert_eq!(
        error.to_string(),
        "INVALID_ARGUMENT (INVALID_REQUEST): 2 violations; query must not be blank; top_n must not be negative"
    );
}

#[tokio::test]
async fn a_call_that_hangs_ends_at_its_deadline_on_both_sides() {
    let gateway = Play::new([Act::Hang]).start();
    let client = builder(&gateway).build().unwrap();
    let error = client.rerank(cities()).timeout(SOON).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    gateway.seen.caller_left().await;
}

#[tokio::test]
async fn the_gateway_hears_how_long_the_caller_waits() {
    let gateway = Play::new([Act::Answer]).start();
    let client = builder(&gateway).build().unwrap();
    client.rerank(cities()).await.unwrap();
    client
        .rerank(cities())
        .timeout(Duration::from_secs(60))
        .await
        .unwrap();
    for (call, millis) in [(0, 9_000..=10_000), (1, 59_000..=60_000)] {
        let told = gateway.seen.metadata(call, "grpc-timeout").unwrap();
        let told: u32 = told.strip_suffix('m').unwrap().parse().unwrap();
        assert!(millis.contains(&told), "{told}");
    }
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let gateway = Play::new([]).start();
    let client = builder(&gateway).timeout(SOON).build().unwrap();
    let mut answers = client.search_progressive(SearchRequest::new("papers", "b12"));
    answers.next().await.unwrap().unwrap();
    let error = answers.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(answers.next().await.is_none());
    gateway.seen.caller_left().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled() {
    let gateway = Play::new([Act::Hang]).start();
    let client = builder(&gateway).build().unwrap();
    assert!(
        tokio::time::timeout(SOON, client.rerank(cities()))
            .await
            .is_err()
    );
    gateway.seen.caller_left().await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_cancelled() {
    let gateway = Play::new([]).start();
    let client = builder(&gateway).build().unwrap();
    let mut answers = client.search_progressive(SearchRequest::new("papers", "b12"));
    answers.next().await.unwrap().unwrap();
    drop(answers);
    gateway.seen.caller_left().await;
}

#[tokio::test]
async fn a_batch_is_answered_while_it_is_sent() {
    let gateway = Play::new([]).start();
    let client = builder(&gateway).build().unwrap();
    let (send, receive) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receive);
    let mut answers = client.rerank_batch(requests);
    for id in ["a", "b"] {
        send.send(cities().in_batch(id)).await.unwrap();
        let answer = answers.next().await.unwrap().unwrap();
        assert_eq!(answer.request_id, id);
        assert_eq!(answer.into_result().unwrap().results.len(), 2);
    }
    drop(send);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn a_token_and_metadata_go_along() {
    let gateway = Play::new([Act::Answer]).start();
    let client = builder(&gateway)
        .bearer_token("secret")
        .metadata(|metadata| {
            metadata.insert("tracestate", "a=b".parse().unwrap());
        })
        .build()
        .unwrap();
    let call = client
        .rerank(cities())
        .metadata("tenant".parse().unwrap(), "x".parse().unwrap());
    call.await.unwrap();
    let sent = |key| gateway.seen.metadata(0, key);
    assert_eq!(sent("authorization").as_deref(), Some("Bearer secret"));
    assert_eq!(sent("tracestate").as_deref(), Some("a=b"));
    assert_eq!(sent("tenant").as_deref(), Some("x"));
}

#[tokio::test]
async fn what_cannot_be_used_is_told_at_once() {
    let refused = |builder: Builder| builder.build().unwrap_err().to_string();
    assert_eq!(
        refused(Client::builder("no address")),
        "the address no address cannot be used"
    );
    assert_eq!(
        refused(Client::builder("ftp://a:1")),
        "the address ftp://a:1 cannot be used"
    );
    let broken = Client::builder("localhost:1").bearer_token("a\nb");
    assert_eq!(refused(broken), "the token cannot be used");
}
