package io.github.rerankgateway.client;

import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.Flow;

/** A call with many answers, which come as fast as its subscriber asks for them. */
final class PublishedCall<Q, A> extends ClientCall.Listener<A> implements Flow.Subscription {
  private final ClientCall<Q, A> call;
  private final RequestFeed<Q> feed;
  private final Flow.Subscriber<? super A> subscriber;

  private boolean started;
  private long askedBeforeStart;
  private volatile boolean cancelled;

  PublishedCall(ClientCall<Q, A> call, RequestFeed<Q> feed, Flow.Subscriber<? super A> subscriber) {
    this.call = call;
    this.feed = feed;
    this.subscriber = subscriber;
  }

  void start(Flow.Publisher<? extends Q> requests) {
    // First, so that nothing reaches the subscriber before this does.
    subscriber.onSubscribe(this);
    synchronized (this) {
      if (cancelled) {
        return;
      }
      call.start(this, new Metadata());
      started = true;
      if (askedBeforeStart > 0) {
        ask(askedBeforeStart);
      }
    }
    requests.subscribe(feed);
  }

  @Override
  public synchronized void request(long count) {
    if (cancelled) {
      return;
    }
    if (count <= 0) {
      cancel();
      subscriber.onError(new IllegalArgumentException("asked for " + count + " answers"));
    } else if (started) {
      ask(count);
    } else {
      askedBeforeStart += count;
    }
  }

  private void ask(long count) {
    call.request((int) Math.min(count, Integer.MAX_VALUE));
  }

  @Override
  public synchronized void cancel() {
    cancelled = true;
    feed.stop();
    if (started) {
      call.cancel("the answers are no longer wanted", null);
    }
  }

  @Override
  public void onReady() {
    feed.pull();
  }

  @Override
  public void onMessage(A answer) {
    if (!cancelled) {
      subscriber.onNext(answer);
    }
  }

  @Override
  public void onClose(Status status, Metadata trailers) {
    feed.stop();
    if (cancelled) {
      return;
    }
    if (status.isOk()) {
      subscriber.onComplete();
    } else {
      subscriber.onError(RerankException.of(status, trailers));
    }
  }
}
