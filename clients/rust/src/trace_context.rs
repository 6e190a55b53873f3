//! The current OpenTelemetry context, as metadata.

use opentelemetry::propagation::Injector;
use opentelemetry::{Context, global};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};

/// Writes what the global propagator makes of it: with W3C's, `traceparent` and `tracestate`.
pub(crate) fn inject(metadata: &mut MetadataMap) {
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&Context::current(), &mut Carrier(metadata));
    });
}

struct Carrier<'m>(&'m mut MetadataMap);

impl Injector for Carrier<'_> {
    fn set(&mut self, key: &str, value: String) {
        // What no metadata can hold, such as exotic baggage, stays behind.
        if let (Ok(key), Ok(value)) = (
            key.parse::<AsciiMetadataKey>(),
            AsciiMetadataValue::try_from(value),
        ) {
            self.0.insert(key, value);
        }
    }
}
