package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.rerankgateway.v1.CreateCollectionRequest;
import io.github.rerankgateway.v1.RerankRequest;
import io.grpc.Status;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What the shared service config asks for, seen from the server. */
final class RepeatingTest {
  private PlayedGateway gateway;
  private RerankClient client;

  @BeforeEach
  void start() throws IOException {
    gateway = PlayedGateway.start();
    client = RerankClient.connect(gateway.address());
  }

  @AfterEach
  void stop() {
    client.close();
    gateway.close();
  }

  @Test
  void aCallThatFailsOnceWithUnavailableSucceeds() throws InterruptedException {
    gateway.fail(Status.UNAVAILABLE.asRuntimeException());

    assertEquals("again", client.rerank("again", List.of()).getMessage());

    assertEquals("Rerank", gateway.nextCall().method());
    assertEquals("Rerank", gateway.nextCall().method());
    assertFalse(gateway.hasNextCall());
  }

  @Test
  void aCallIsMadeFourTimesAtMost() throws InterruptedException {
    for (int i = 0; i < 4; i++) {
      gateway.fail(Status.UNAVAILABLE.asRuntimeException());
    }

    assertEquals(Status.Code.UNAVAILABLE, failureOf(() -> client.rerank("q", List.of())).code());

    for (int i = 0; i < 4; i++) {
      gateway.nextCall();
    }
    assertFalse(gateway.hasNextCall());
  }

  @Test
  void aRequestBeyondOneMebibyteIsRepeatedToo() {
    gateway.fail(Status.UNAVAILABLE.asRuntimeException());
    List<String> long3 = List.of("x".repeat(1 << 20), "y".repeat(1 << 20), "z".repeat(1 << 20));

    assertEquals("long", client.rerank("long", Documents.ofTexts(long3)).getMessage());
  }

  @Test
  void aMistakeIsNotRepeated() throws InterruptedException {
    gateway.fail(Status.INVALID_ARGUMENT.asRuntimeException());

    RerankException e = failureOf(() -> client.rerank("q", List.of()));

    assertEquals(Status.Code.INVALID_ARGUMENT, e.code());
    gateway.nextCall();
    assertFalse(gateway.hasNextCall());
  }

  @Test
  void aCallThatChangesSomethingIsNotRepeated() throws InterruptedException {
    gateway.fail(Status.UNAVAILABLE.asRuntimeException());

    RerankException e =
        failureOf(() -> client.createCollection(CreateCollectionRequest.getDefaultInstance()));

    assertEquals(Status.Code.UNAVAILABLE, e.code());
    gateway.nextCall();
    assertFalse(gateway.hasNextCall());
  }

  @Test
  void aCallWaitsForAGatewayThatComesUpLate() throws IOException {
    CompletableFuture<String> answer;
    int port;
    RerankClient early;
    try (ServerSocket tooEarly = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = tooEarly.getLocalPort();
      early = RerankClient.connect("127.0.0.1:" + port);
      RerankRequest request = RerankRequest.newBuilder().setQuery("late").build();
      answer = early.async().rerank(request).thenApply(a -> a.getMessage());
      // The client has come, and is turned away.
      tooEarly.accept().close();
    }
    try (early;
        PlayedGateway late = PlayedGateway.startAt(port)) {
      assertEquals("late", Collected.get(answer));
      assertFalse(late.address().isEmpty());
    }
  }

  private static RerankException failureOf(Runnable call) {
    return assertThrows(RerankException.class, call::run);
  }
}
