package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Status;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.context.Context;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What goes along with each call: who the caller is, and its trace. */
final class HeadersTest {
  private PlayedGateway gateway;

  @BeforeEach
  void start() throws IOException {
    gateway = PlayedGateway.start();
  }

  @AfterEach
  void stop() {
    gateway.close();
  }

  @Test
  void aTokenIsSentWithEachCall() throws InterruptedException {
    try (RerankClient client =
        RerankClient.builder(gateway.address()).bearerToken("secret").build()) {
      client.rerank("q", List.of());
      assertEquals(Optional.of("Bearer secret"), gateway.nextCall().header("authorization"));
      assertFalse(client.rerankBatch(List.of()).hasNext());
      assertEquals(Optional.of("Bearer secret"), gateway.nextCall().header("authorization"));
    }
  }

  @Test
  void aTokenMayChange() throws InterruptedException {
    Iterator<String> tokens = List.of("old", "new").iterator();
    try (RerankClient client =
        RerankClient.builder(gateway.address()).bearerToken(tokens::next).build()) {
      client.rerank("q", List.of());
      client.rerank("q", List.of());
      assertEquals(Optional.of("Bearer old"), gateway.nextCall().header("authorization"));
      assertEquals(Optional.of("Bearer new"), gateway.nextCall().header("authorization"));

      // And may fail to come.
      RerankException e = assertThrows(RerankException.class, () -> client.rerank("q", List.of()));
      assertEquals(Status.Code.UNAUTHENTICATED, e.code());
      assertFalse(gateway.hasNextCall());
    }
  }

  @Test
  void withoutATokenThereIsNone() throws InterruptedException {
    try (RerankClient client = RerankClient.connect(gateway.address())) {
      client.rerank("q", List.of());
      assertEquals(Optional.empty(), gateway.nextCall().header("authorization"));
    }
  }

  @Test
  void theCallersSpanIsSentAlong() throws InterruptedException {
    Context traced =
        Context.root()
            .with(
                Span.wrap(
                    SpanContext.create(
                        "4bf92f3577b34da6a3ce929d0e0e4736",
                        "00f067aa0ba902b7",
                        TraceFlags.getSampled(),
                        TraceState.builder().put("vendor", "value").build())));
    try (RerankClient client =
        RerankClient.builder(gateway.address())
            .interceptor(new TraceContextInterceptor())
            .build()) {
      traced
          .wrap(
              () -> {
                client.rerank("q", List.of());
              })
          .run();
      PlayedGateway.Seen seen = gateway.nextCall();
      assertEquals(
          Optional.of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
          seen.header("traceparent"));
      assertEquals(Optional.of("vendor=value"), seen.header("tracestate"));

      client.rerank("outside of it", List.of());
      assertEquals(Optional.empty(), gateway.nextCall().header("traceparent"));
    }
  }
}
