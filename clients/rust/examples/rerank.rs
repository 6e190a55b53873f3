//! Reranks three texts: `cargo run --example rerank [ADDRESS]`.
//!
//! With a deadline, an eye on fallbacks, and the trace that the environment names, if it does:
//! `TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.

use std::error::Error;
use std::time::Duration;

use rerank_client::Client;
use rerank_client::tonic::metadata::AsciiMetadataValue;
use rerank_client::v1::{ErrorReason, RerankRequest};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    rerank(
        &std::env::args()
            .nth(1)
            .unwrap_or("localhost:50051".to_owned()),
    )
    .await
}

/// Asks the gateway at an address, and prints what it answers.
pub(crate) async fn rerank(address: &str) -> Result<(), Box<dyn Error>> {
    let parent = std::env::var("TRACEPARENT").ok();
    let parent = parent.and_then(|parent| parent.parse::<AsciiMetadataValue>().ok());
    let client = Client::builder(address)
        .metadata(move |metadata| {
            if let Some(parent) = &parent {
                metadata.insert("traceparent", parent.clone());
            }
        })
        .build()?;

    let texts = [
        "Rome is the capital of Italy.",
        "Paris is the capital of France.",
        "France is known for its cheese.",
    ];
    let request = RerankRequest {
        top_n: 2,
        ..RerankRequest::new("capital of France", texts)
    };

    // Whatever happens, there is an answer or an error within this time.
    let answer = match client
        .rerank(request)
        .timeout(Duration::from_millis(800))
        .await
    {
        Ok(answer) => answer,
        Err(error) if error.reason() == Some(ErrorReason::QuotaExceeded) => {
            println!("come again in {:?}", error.retry_delay());
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };

    // A fallback is an answer, too: in the order that was sent.
    if answer.fell_back() {
        println!(
            "not reranked: {} ({:?})",
            answer.message,
            answer.fallback_reason()
        );
    }
    for (result, text) in answer.results.iter().zip(answer.order(&texts)) {
        println!("{}. {text} {:?}", result.rank, result.rerank_score);
    }
    Ok(())
}
