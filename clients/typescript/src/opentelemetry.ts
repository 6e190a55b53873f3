// The caller's trace context for the gateway, by way of OpenTelemetry.

import { context, propagation } from "@opentelemetry/api";

/**
 * The metadata that joins the gateway's spans to the active one: `traceparent`, `tracestate`, and
 * whatever else the propagator of this process adds. Empty without an OpenTelemetry SDK.
 *
 *     new RerankClient(address, { metadata: traceContext })
 */
export function traceContext(): Record<string, string> {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier;
}
