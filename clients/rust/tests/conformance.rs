//! The table that every client is held to, against a real gateway: see ../../conformance.

mod support {
    pub(crate) mod gateway;
    pub(crate) mod table;
}

use std::time::Duration;

use rerank_client::v1::{ImportDocumentsRequest, RerankBatchRequest, SearchProgressiveRequest};
use rerank_client::{Call, Client, Error, StreamingCall};
use serde_json::{Value, json};
use support::gateway::Gateway;
use support::table::{Json, cases, difference, steady};
use tokio_stream::StreamExt;

#[tokio::test]
async fn every_case_of_the_table_is_answered_as_recorded() {
    let gateway = Gateway::start();
    let mut failures = vec![];
    let mut count = 0;
    for (file, case) in cases() {
        // Each has its own: what one case fails at shall not use up another one's repetitions.
        let client = Client::builder(&gateway.address).build().unwrap();
        for call in case["calls"].as_array().unwrap() {
            count += 1;
            let told = difference(&answered(&client, call).await, &expected(call), "$");
            failures.extend(told.map(|told| format!("{file}: {}: {told}", case["name"])));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(count > 0);
}

/// What a call of the table must bring: one member, `response`, `responses` or `error`.
fn expected(call: &Value) -> Value {
    let known = ["response", "responses", "error"];
    let member = known
        .into_iter()
        .find(|member| call.get(member).is_some())
        .unwrap();
    steady(json!({member: call[member]}), call)
}

/// What it brings.
async fn answered(client: &Client, call: &Value) -> Value {
    let timeout = call["timeout_s"].as_f64().map(Duration::from_secs_f64);
    let answered = ask(client, call, timeout).await;
    steady(
        answered.unwrap_or_else(|error| json!({"error": told(&error)})),
        call,
    )
}

/// Makes a call through the method of the client that is for it.
async fn ask(client: &Client, call: &Value, timeout: Option<Duration>) -> Result<Value, Error> {
    let method = call["method"].as_str().unwrap();
    let json = Json::of(method);
    macro_rules! one {
        ($name:ident) => {
            one(&json, client.$name(json.read(&call["request"])), timeout).await
        };
    }
    match method {
        "rerank.v1.RerankService/Rerank" => one!(rerank),
        "rerank.v1.SearchService/Search" => one!(search),
        "rerank.v1.DocumentService/DeleteDocuments" => one!(delete_documents),
        "rerank.v1.DocumentService/GetDocument" => one!(get_document),
        "rerank.v1.DocumentService/ListDocuments" => one!(list_documents),
        "rerank.v1.DocumentService/CreateCollection" => one!(create_collection),
        "rerank.v1.DocumentService/DeleteCollection" => one!(delete_collection),
        "rerank.v1.DocumentService/ListCollections" => one!(list_collections),
        "rerank.v1.BackendService/ListBackends" => one!(list_backends),
        "rerank.v1.BackendService/CheckBackend" => one!(check_backend),
        "rerank.v1.SearchService/SearchProgressive" => {
            let request = json.read::<SearchProgressiveRequest>(&call["request"]);
            many(&json, client.search_progressive(request), timeout).await
        }
        "rerank.v1.RerankService/RerankBatch" => {
            let requests = json.read_all::<RerankBatchRequest>(&call["requests"]);
            let answers = client.rerank_batch(tokio_stream::iter(requests));
            let mut told = many(&json, answers, timeout).await?;
            let answers = told["responses"].as_array_mut().unwrap();
            answers.sort_by_key(|answer| answer["requestId"].to_string());
            Ok(told)
        }
        "rerank.v1.DocumentService/ImportDocuments" => {
            let requests = json.read_all::<ImportDocumentsRequest>(&call["requests"]);
            let answers = client.import_documents(tokio_stream::iter(requests));
            many(&json, answers, timeout).await
        }
        unknown => panic!("no method of the client is for {unknown}"),
    }
}

async fn one<A: prost::Message + 'static>(
    json: &Json,
    call: Call<A>,
    timeout: Option<Duration>,
) -> Result<Value, Error> {
    let call = match timeout {
        Some(timeout) => call.timeout(timeout),
        None => call,
    };
    Ok(json!({"response": json.write(&call.await?)}))
}

async fn many<A: prost::Message>(
    json: &Json,
    answers: StreamingCall<A>,
    timeout: Option<Duration>,
) -> Result<Value, Error> {
    let answers = match timeout {
        Some(timeout) => answers.timeout(timeout),
        None => answers,
    };
    let answers = answers.map(|answer| Ok(json.write(&answer?)));
    Ok(json!({"responses": answers.collect::<Result<Vec<_>, Error>>().await?}))
}

/// An error as the table writes it.
fn told(error: &Error) -> Value {
    let text = error.to_string();
    let mut told = json!({"code": text.split([' ', ':']).next()});
    if let Some(refusal) = error.refusal() {
        told["reason"] = json!(refusal.reason.as_str_name());
        told["metadata"] = json!(refusal.metadata);
    }
    if !error.violations().is_empty() {
        let violations = error.violations().iter();
        told["violations"] = violations
            .map(
                |violation| json!({"field": violation.field, "description": violation.description}),
            )
            .collect();
    }
    told
}
