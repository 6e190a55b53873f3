//! Stores documents and searches them:
//! `cargo run --features opentelemetry --example search [ADDRESS]`.
//!
//! Each call is part of a trace: with the feature `opentelemetry`, the current context goes along.

use std::error::Error;
use std::time::Duration;

use opentelemetry::context::FutureExt;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rerank_client::Client;
use rerank_client::v1::{
    CreateCollectionRequest, Document, ErrorReason, ImportDocumentsRequest, SearchRequest,
};
use tokio_stream::StreamExt;

const COLLECTION: &str = "cities";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    search(
        &std::env::args()
            .nth(1)
            .unwrap_or("localhost:50051".to_owned()),
    )
    .await
}

/// Stores documents at an address, searches them, and prints both answers.
pub(crate) async fn search(address: &str) -> Result<(), Box<dyn Error>> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    // Your own would have an exporter.
    let provider = SdkTracerProvider::builder().build();
    let span = provider.tracer("example").start("store and search");
    let trace = Context::current_with_span(span);

    let client = Client::builder(address)
        .timeout(Duration::from_secs(5))
        .build()?;
    let version = store(&client).with_context(trace.clone()).await?;
    // Reads what was just written.
    let request = SearchRequest {
        min_version: version,
        ..SearchRequest::new(COLLECTION, "capital of France")
    };
    show(&client, request).with_context(trace).await
}

/// Gives the version of the collection that has the documents.
async fn store(client: &Client) -> Result<i64, Box<dyn Error>> {
    let create = CreateCollectionRequest {
        name: COLLECTION.to_owned(),
        ..Default::default()
    };
    match client.create_collection(create).await {
        Err(error) if error.reason() != Some(ErrorReason::CollectionAlreadyExists) => {
            return Err(error.into());
        }
        _ => {}
    }
    let documents = [
        Document::new("rome", "Rome is the capital of Italy."),
        Document::new("paris", "Paris is the capital of France."),
    ];
    let batches = ImportDocumentsRequest::batches(COLLECTION, documents);
    let mut answers = client.import_documents(tokio_stream::iter(batches.collect::<Vec<_>>()));
    let mut version = 0;
    while let Some(answer) = answers.next().await {
        let answer = answer?;
        version = answer.version;
        println!(
            "stored {}, rejected {:?}",
            answer.accepted_count, answer.rejected
        );
    }
    Ok(version)
}

/// Prints the order before reranking, which comes at once, and the final one.
async fn show(client: &Client, request: SearchRequest) -> Result<(), Box<dyn Error>> {
    let mut answers = client
        .search_progressive(request)
        .timeout(Duration::from_secs(2));
    while let Some(answer) = answers.next().await {
        let answer = answer?;
        let response = answer.search_response.unwrap_or_default();
        println!(
            "{}: {}",
            if answer.r#final { "final" } else { "first" },
            response.message
        );
        if response.fell_back() {
            println!("not reranked: {:?}", response.fallback_reason());
        }
        for result in response.results {
            println!(
                "{}. {}",
                result.rank,
                result.document.unwrap_or_default().text
            );
        }
    }
    Ok(())
}
