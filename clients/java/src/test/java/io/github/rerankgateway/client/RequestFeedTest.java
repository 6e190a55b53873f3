package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.ClientCall;
import io.grpc.Metadata;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Flow;
import org.junit.jupiter.api.Test;

final class RequestFeedTest {
  private final NotedCall call = new NotedCall();
  private final NotedSubscription source = new NotedSubscription();
  private final RequestFeed<String> feed = new RequestFeed<>(call, false);

  @Test
  void itAsksForOneRequestAtATime() {
    feed.onSubscribe(source);
    feed.pull();
    feed.pull();
    assertEquals(1, source.asked);

    feed.onNext("first");
    assertEquals(List.of("first"), call.sent);
    assertEquals(2, source.asked);
  }

  @Test
  void itAsksForNoneUntilOneCanBeSent() {
    call.ready = false;
    feed.onSubscribe(source);
    assertEquals(0, source.asked);

    call.ready = true;
    feed.pull();
    assertEquals(1, source.asked);
  }

  @Test
  void itSendsNothingOnceItIsStopped() {
    feed.onSubscribe(source);
    feed.stop();
    feed.onNext("late");
    feed.onComplete();
    assertTrue(source.cancelled);
    assertEquals(List.of(), call.sent);
  }

  @Test
  void aSourceThatComesLateIsSentAway() {
    feed.stop();
    feed.onSubscribe(source);
    assertTrue(source.cancelled);
    assertEquals(0, source.asked);
  }

  private static final class NotedSubscription implements Flow.Subscription {
    private long asked;
    private boolean cancelled;

    @Override
    public void request(long count) {
      asked += count;
    }

    @Override
    public void cancel() {
      cancelled = true;
    }
  }

  private static final class NotedCall extends ClientCall<String, String> {
    private final List<String> sent = new ArrayList<>();
    private boolean ready = true;

    @Override
    public boolean isReady() {
      return ready;
    }

    @Override
    public void sendMessage(String message) {
      sent.add(message);
    }

    @Override
    public void halfClose() {
      sent.add("the end");
    }

    @Override
    public void start(Listener<String> listener, Metadata headers) {}

    @Override
    public void request(int count) {}

    @Override
    public void cancel(String why, Throwable cause) {}
  }
}
