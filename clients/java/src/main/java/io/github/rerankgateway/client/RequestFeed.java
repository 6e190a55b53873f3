package io.github.rerankgateway.client;

import io.grpc.ClientCall;
import java.util.concurrent.Flow;

/** Sends what a publisher gives, and asks it for the next request when the connection takes one. */
final class RequestFeed<Q> implements Flow.Subscriber<Q> {
  private final ClientCall<Q, ?> call;
  // gRPC does not tell such calls when it is ready: they may send at once.
  private final boolean sendsOne;

  private Flow.Subscription subscription;
  private boolean asked;
  private boolean over;

  RequestFeed(ClientCall<Q, ?> call, boolean sendsOne) {
    this.call = call;
    this.sendsOne = sendsOne;
  }

  /** Asks for a request where one can be sent. */
  void pull() {
    synchronized (this) {
      if (over || subscription == null || asked || !(sendsOne || call.isReady())) {
        return;
      }
      asked = true;
    }
    subscription.request(1);
  }

  /** Sends nothing more. */
  void stop() {
    Flow.Subscription source;
    synchronized (this) {
      source = over ? null : subscription;
      over = true;
    }
    if (source != null) {
      source.cancel();
    }
  }

  @Override
  public void onSubscribe(Flow.Subscription source) {
    boolean late;
    synchronized (this) {
      late = over || subscription != null;
      if (!late) {
        subscription = source;
      }
    }
    if (late) {
      source.cancel();
    } else {
      pull();
    }
  }

  @Override
  public void onNext(Q request) {
    synchronized (this) {
      if (over) {
        return;
      }
      asked = false;
      call.sendMessage(request);
    }
    pull();
  }

  @Override
  public synchronized void onComplete() {
    if (!over) {
      over = true;
      call.halfClose();
    }
  }

  @Override
  public synchronized void onError(Throwable failure) {
    if (!over) {
      over = true;
      call.cancel("the requests failed", failure);
    }
  }
}
