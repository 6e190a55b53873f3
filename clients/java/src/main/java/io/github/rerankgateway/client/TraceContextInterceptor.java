package io.github.rerankgateway.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapSetter;

/**
 * Tells the gateway the caller's span, as {@code traceparent} and {@code tracestate}, so that the
 * gateway's spans are in the caller's trace. The span is that of OpenTelemetry's current context.
 *
 * <p>Needs {@code io.opentelemetry:opentelemetry-api}, which this client does not bring along. A
 * program whose OpenTelemetry agent instruments gRPC does not need this.
 */
public final class TraceContextInterceptor implements ClientInterceptor {
  private static final TextMapSetter<Metadata> PUT =
      (headers, key, value) ->
          headers.put(Metadata.Key.of(key, Metadata.ASCII_STRING_MARSHALLER), value);

  /** Makes one; it has no state. */
  public TraceContextInterceptor() {}

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(
      MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    Context context = Context.current();
    return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
      @Override
      public void start(Listener<A> listener, Metadata headers) {
        W3CTraceContextPropagator.getInstance().inject(context, headers, PUT);
        super.start(listener, headers);
      }
    };
  }
}
