package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.rerankgateway.v1.CreateCollectionRequest;
import io.github.rerankgateway.v1.ErrorReason;
import io.github.rerankgateway.v1.SearchRequest;
import io.grpc.Status;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Every call has a deadline, and the gateway is told. */
final class DeadlineTest {
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
  void aCallHasTenSeconds() throws InterruptedException {
    client.rerank("q", List.of());
    assertLeft(Duration.ofSeconds(10));
  }

  @Test
  void aCallThatChangesACollectionHasTen() throws InterruptedException {
    client.createCollection(CreateCollectionRequest.getDefaultInstance());
    assertLeft(Duration.ofSeconds(10));
  }

  @Test
  void aStreamHasTenSecondsAsAWhole() throws InterruptedException {
    client.searchProgressive(SearchRequest.getDefaultInstance()).stream().toList();
    assertLeft(Duration.ofSeconds(10));
  }

  @Test
  void aLongerOneCounts() throws InterruptedException {
    client.withDeadline(Duration.ofMinutes(2)).rerank("q", List.of());
    assertLeft(Duration.ofMinutes(2));
  }

  @Test
  void thatOfTheClientCountsForAllMethods() throws InterruptedException {
    try (RerankClient other =
        RerankClient.builder(gateway.address()).deadline(Duration.ofMinutes(1)).build()) {
      other.createCollection(CreateCollectionRequest.getDefaultInstance());
      assertLeft(Duration.ofMinutes(1));
      Collected.get(other.async().withDeadline(Duration.ofMinutes(3)).rerank("q", List.of()));
      assertLeft(Duration.ofMinutes(3));
    }
  }

  @Test
  void aCallThatTakesLongerFailsAndIsCancelled() throws InterruptedException {
    gateway.fallSilent();

    RerankException e =
        assertThrows(
            RerankException.class,
            () -> client.withDeadline(Duration.ofMillis(200)).rerank("q", List.of()));

    assertEquals(Status.Code.DEADLINE_EXCEEDED, e.code());
    assertEquals(ErrorReason.ERROR_REASON_UNSPECIFIED, e.reason());
    assertEquals("Rerank", gateway.nextCancelled());
  }

  @Test
  void aDeadlineIsMoreThanZero() {
    assertThrows(IllegalArgumentException.class, () -> client.withDeadline(Duration.ZERO));
    assertThrows(IllegalArgumentException.class, () -> client.withDeadline(Duration.ofSeconds(-1)));
  }

  private void assertLeft(Duration deadline) throws InterruptedException {
    Duration left = gateway.nextCall().left();
    assertTrue(left.compareTo(deadline) <= 0, () -> left + " are more than " + deadline);
    // Some time has passed, but far less than to the next shorter deadline of these tests.
    assertTrue(left.compareTo(deadline.dividedBy(2)) > 0, () -> left + ", not " + deadline);
  }
}
