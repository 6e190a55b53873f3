//! A client of `rerank-gateway`: one typed API in front of every reranker.
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use rerank_client::Client;
//! use rerank_client::v1::RerankRequest;
//!
//! let client = Client::builder("localhost:50051").build()?;
//! let cities = ["Rome", "Paris"];
//! let answer = client.rerank(RerankRequest::new("capital of France", cities)).await?;
//! for city in answer.order(&cities) {
//!     println!("{city}");
//! }
//! # Ok(()) }
//! ```

mod builder;
mod call;
mod client;
mod codes;
mod error;
mod messages;
#[cfg(feature = "opentelemetry")]
mod trace_context;
mod transport;

/// What is generated from `protos/rerank/v1`. The comments are the specification.
#[allow(clippy::pedantic, missing_docs, reason = "generated")]
pub mod v1 {
    include!("gen/rerank.v1.rs");
}

pub use builder::{BuildError, Builder};
pub use call::{Call, StreamingCall};
pub use client::Client;
pub use error::{Error, Refusal};
pub use transport::Transport;

/// The health of a service: `grpc.health.v1`.
pub use tonic_health::pb as health;
/// The gRPC library under this one, and the protobuf types in its messages.
pub use {prost_types, tonic};
