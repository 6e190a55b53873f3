package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.rerankgateway.v1.RerankBatchRequest;
import io.github.rerankgateway.v1.RerankResponse;
import io.github.rerankgateway.v1.SearchProgressiveResponse;
import io.github.rerankgateway.v1.SearchRequest;
import io.grpc.Context;
import io.grpc.Status;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Whoever leaves takes the call along: the gateway stops working on it. */
final class CancellingTest {
  private PlayedGateway gateway;
  private RerankClient client;

  @BeforeEach
  void start() throws IOException {
    gateway = PlayedGateway.start();
    gateway.fallSilent();
    client = RerankClient.builder(gateway.address()).deadline(Duration.ofHours(1)).build();
  }

  @AfterEach
  void stop() {
    client.close();
    gateway.close();
  }

  @Test
  void byCancellingAFuture() throws InterruptedException {
    CompletableFuture<RerankResponse> answer = client.async().rerank("q", List.of());
    gateway.nextCall();

    answer.cancel(true);

    assertEquals("Rerank", gateway.nextCancelled());
  }

  @Test
  void byTheTimeoutOfAFuture() throws InterruptedException {
    CompletableFuture<RerankResponse> answer = client.async().rerank("q", List.of());
    gateway.nextCall();

    assertThrows(
        CompletionException.class, () -> answer.orTimeout(1, TimeUnit.MILLISECONDS).join());

    assertEquals("Rerank", gateway.nextCancelled());
  }

  @Test
  void byInterruptingAThreadThatWaitsForAnAnswer() throws InterruptedException {
    assertInterrupted(() -> client.rerank("q", List.of()), "Rerank");
  }

  @Test
  void byInterruptingAThreadThatReadsAStream() throws InterruptedException {
    RerankBatchRequest request = RerankBatchRequest.getDefaultInstance();
    assertInterrupted(() -> client.rerankBatch(List.of(request)).next(), "RerankBatch");
  }

  private void assertInterrupted(Runnable call, String method) throws InterruptedException {
    CompletableFuture<Boolean> staysInterrupted = new CompletableFuture<>();
    CompletableFuture<RerankException> failure = new CompletableFuture<>();
    Thread caller =
        new Thread(
            () -> {
              failure.complete(assertThrows(RerankException.class, call::run));
              staysInterrupted.complete(Thread.currentThread().isInterrupted());
            });
    caller.start();
    gateway.nextCall();

    caller.interrupt();

    assertEquals(Status.Code.CANCELLED, Collected.get(failure).code());
    assertTrue(Collected.get(staysInterrupted));
    assertEquals(method, gateway.nextCancelled());
    caller.join();
  }

  @Test
  void byClosingAStreamThatWasNotReadToItsEnd() throws InterruptedException {
    AnswerStream<SearchProgressiveResponse> answers =
        client.searchProgressive(SearchRequest.getDefaultInstance());
    assertFalse(answers.next().getFinal());

    answers.close();

    assertEquals("SearchProgressive", gateway.nextCancelled());
    assertFalse(answers.hasNext());
  }

  @Test
  void byCancellingASubscription() throws InterruptedException {
    Collected<SearchProgressiveResponse> collected = new Collected<>();
    client.async().searchProgressive(SearchRequest.getDefaultInstance()).subscribe(collected);
    assertNotNull(Collected.get(collected.first));

    collected.cancel();

    assertEquals("SearchProgressive", gateway.nextCancelled());
    assertFalse(collected.end.isDone());
  }

  @Test
  void byCancellingTheContextOfGrpc() throws InterruptedException {
    Context.CancellableContext context = Context.current().withCancellation();
    CompletableFuture<RerankResponse> answer =
        CompletableFuture.supplyAsync(
            () -> callIn(context), task -> new Thread(task, "in a context").start());
    gateway.nextCall();

    context.cancel(null);

    assertEquals("Rerank", gateway.nextCancelled());
    RerankException e = assertThrows(RerankException.class, () -> Collected.get(answer));
    assertEquals(Status.Code.CANCELLED, e.code());
  }

  private RerankResponse callIn(Context context) {
    try {
      return context.call(() -> client.rerank("q", List.of()));
    } catch (RerankException e) {
      throw e;
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void byClosingTheClient() throws InterruptedException {
    CompletableFuture<RerankResponse> answer = client.async().rerank("q", List.of());
    gateway.nextCall();

    client.close();

    assertEquals("Rerank", gateway.nextCancelled());
    RerankException e = assertThrows(RerankException.class, () -> Collected.get(answer));
    assertEquals(Status.Code.UNAVAILABLE, e.code());
  }
}
