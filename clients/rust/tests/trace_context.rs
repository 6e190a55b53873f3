//! The context of a trace, over OpenTelemetry's API.

mod support {
    pub(crate) mod played;
}

use opentelemetry::context::FutureExt;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use rerank_client::Client;
use rerank_client::v1::RerankRequest;
use support::played::{Act, Play};

#[tokio::test]
async fn the_callers_span_is_the_parent() {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let gateway = Play::new([Act::Answer]).start();
    let client = Client::builder(&gateway.address).build().unwrap();
    let call = client.rerank(RerankRequest::new("capital of France", ["Rome"]));
    let span = SpanContext::new(
        TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap(),
        SpanId::from_hex("b7ad6b7169203331").unwrap(),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value([("a", "b")]).unwrap(),
    );

    let context = Context::new().with_remote_span_context(span);
    call.into_future().with_context(context).await.unwrap();

    let sent = |key| gateway.seen.metadata(0, key);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(sent("traceparent").as_deref(), Some(parent));
    assert_eq!(sent("tracestate").as_deref(), Some("a=b"));
}
