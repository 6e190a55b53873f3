package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.rerankgateway.v1.RerankBatchRequest;
import io.github.rerankgateway.v1.RerankBatchResponse;
import io.github.rerankgateway.v1.RerankRequest;
import io.github.rerankgateway.v1.SearchProgressiveResponse;
import io.github.rerankgateway.v1.SearchRequest;
import io.grpc.Status;
import java.io.IOException;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.Flow;
import java.util.concurrent.SubmissionPublisher;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Streams in both directions, and who waits for whom. */
final class StreamingTest {
  private static final int MANY = 2000;
  private static final RerankRequest LARGE =
      RerankRequest.newBuilder().setQuery("x".repeat(1 << 18)).build();

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
  void eachRequestOfABatchIsAnswered() {
    try (Stream<RerankBatchResponse> answers = client.rerankBatch(requests(MANY)).stream()) {
      assertEquals(names(MANY), answers.map(RerankBatchResponse::getRequestId).toList());
    }
  }

  @Test
  void eachRequestOfAPublisherIsAnswered() {
    Collected<RerankBatchResponse> answers = new Collected<>();
    try (SubmissionPublisher<RerankBatchRequest> requests = new SubmissionPublisher<>()) {
      client.async().rerankBatch(requests).subscribe(answers);
      requests(MANY).forEach(requests::submit);
    }
    assertEquals(names(MANY), namesOf(Collected.get(answers.end)));
  }

  @Test
  void anEmptyBatchHasNoAnswers() {
    assertFalse(client.rerankBatch(List.of()).hasNext());
    assertEquals(List.of(), Collected.all(client.async().rerankBatch(List.of())));
  }

  @Test
  void thereIsNothingAfterTheLastAnswer() {
    AnswerStream<SearchProgressiveResponse> answers =
        client.searchProgressive(SearchRequest.getDefaultInstance());
    assertFalse(answers.next().getFinal());
    assertTrue(answers.next().getFinal());
    assertThrows(NoSuchElementException.class, answers::next);
  }

  @Test
  void requestsAreMadeAsTheGatewayTakesThem() {
    gateway.fallSilent();
    AtomicInteger made = new AtomicInteger();

    AnswerStream<RerankBatchResponse> answers = hurried().rerankBatch(endless(made));
    assertThrows(RerankException.class, answers::hasNext);

    // What the windows of a connection hold is far less.
    assertTrue(made.get() > 0 && made.get() < 100, () -> "made " + made);
  }

  @Test
  void requestsAreAskedForAsTheGatewayTakesThem() {
    gateway.fallSilent();
    AtomicInteger made = new AtomicInteger();

    Flow.Publisher<RerankBatchResponse> answers = hurried().async().rerankBatch(endless(made));
    assertThrows(RerankException.class, () -> Collected.all(answers));

    assertTrue(made.get() > 0 && made.get() < 100, () -> "made " + made);
  }

  private RerankClient hurried() {
    return client.withDeadline(Duration.ofMillis(500));
  }

  /** More than a connection holds; an end of it only for a client that does not wait. */
  private static Iterable<RerankBatchRequest> endless(AtomicInteger made) {
    return () -> Stream.generate(() -> large(made.incrementAndGet())).limit(1_000).iterator();
  }

  @Test
  void answersComeAsTheyAreAskedFor() {
    AtomicInteger came = new AtomicInteger();
    Collected<RerankBatchResponse> slow =
        new Collected<>() {
          @Override
          public void onNext(RerankBatchResponse answer) {
            came.incrementAndGet();
            first.complete(answer);
            // And asks for no other.
          }
        };
    client.async().rerankBatch(requests(10)).subscribe(slow);
    Collected.get(slow.first);
    client.rerank("q", List.of());
    assertEquals(1, came.get());
    slow.cancel();
  }

  @Test
  void theErrorOfAStreamComesAfterItsAnswers() {
    gateway.fail(Status.RESOURCE_EXHAUSTED.asRuntimeException());
    SearchRequest request = SearchRequest.getDefaultInstance();

    AnswerStream<SearchProgressiveResponse> answers = client.searchProgressive(request);
    assertFalse(answers.next().getFinal());
    RerankException e = assertThrows(RerankException.class, answers::hasNext);
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, e.code());

    gateway.fail(Status.RESOURCE_EXHAUSTED.asRuntimeException());
    Collected<SearchProgressiveResponse> collected = new Collected<>();
    client.async().searchProgressive(request).subscribe(collected);
    e = assertThrows(RerankException.class, () -> Collected.get(collected.end));
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, e.code());
    assertEquals(1, collected.things.size());
  }

  @Test
  void whatIsWrongWithTheRequestsEndsTheCall() throws InterruptedException {
    IllegalStateException wrong = new IllegalStateException("the file ended early");
    Iterator<RerankBatchRequest> failing =
        Stream.concat(
                Stream.of(named("1")),
                Stream.<RerankBatchRequest>generate(
                    () -> {
                      throw wrong;
                    }))
            .iterator();

    try (AnswerStream<RerankBatchResponse> answers = client.rerankBatch(failing)) {
      assertSame(
          wrong,
          assertThrows(IllegalStateException.class, () -> answers.forEachRemaining(a -> {})));
    }
    assertEquals("RerankBatch", gateway.nextCancelled());
  }

  @Test
  void aPublisherThatFailsEndsTheCall() throws InterruptedException {
    IllegalStateException wrong = new IllegalStateException("the file ended early");
    try (SubmissionPublisher<RerankBatchRequest> requests = new SubmissionPublisher<>()) {
      Collected<RerankBatchResponse> answers = new Collected<>();
      client.async().rerankBatch(requests).subscribe(answers);
      requests.submit(named("1"));
      Collected.get(answers.first);

      requests.closeExceptionally(wrong);

      RerankException e = assertThrows(RerankException.class, () -> Collected.get(answers.end));
      assertSame(wrong, e.getCause());
      assertEquals("RerankBatch", gateway.nextCancelled());
    }
  }

  @Test
  void aStreamBeginsAnewWithEachSubscriber() {
    Flow.Publisher<RerankBatchResponse> answers = client.async().rerankBatch(requests(3));
    assertEquals(names(3), namesOf(Collected.all(answers)));
    assertEquals(names(3), namesOf(Collected.all(answers)));
  }

  @Test
  void askingForNoAnswersIsAMistake() {
    Collected<RerankBatchResponse> wrong =
        new Collected<>() {
          @Override
          public void onSubscribe(Flow.Subscription subscription) {
            subscription.request(0);
          }
        };
    client.async().rerankBatch(requests(1)).subscribe(wrong);
    Throwable failure = assertThrows(Exception.class, () -> Collected.get(wrong.end)).getCause();
    assertInstanceOf(IllegalArgumentException.class, failure);
  }

  private static List<RerankBatchRequest> requests(int count) {
    return names(count).stream().map(StreamingTest::named).toList();
  }

  private static List<String> names(int count) {
    return IntStream.range(0, count).mapToObj(Integer::toString).toList();
  }

  private static List<String> namesOf(List<RerankBatchResponse> answers) {
    return answers.stream().map(RerankBatchResponse::getRequestId).toList();
  }

  private static RerankBatchRequest named(String id) {
    return RerankBatchRequest.newBuilder().setRequestId(id).build();
  }

  private static RerankBatchRequest large(int id) {
    return named("" + id).toBuilder().setRequest(LARGE).build();
  }
}
