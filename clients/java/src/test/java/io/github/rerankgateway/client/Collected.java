package io.github.rerankgateway.client;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;

/** A subscriber that keeps what it gets, and asks for one after the other. */
class Collected<T> implements Flow.Subscriber<T> {
  private static final long PATIENCE_S = 60;

  final List<T> things = new CopyOnWriteArrayList<>();
  final CompletableFuture<T> first = new CompletableFuture<>();
  final CompletableFuture<List<T>> end = new CompletableFuture<>();
  private volatile Flow.Subscription subscription;

  static <T> List<T> all(Flow.Publisher<T> publisher) {
    Collected<T> collected = new Collected<>();
    publisher.subscribe(collected);
    return get(collected.end);
  }

  /** Waits for a future, and throws what it failed with. */
  static <T> T get(CompletableFuture<T> future) {
    try {
      return future.orTimeout(PATIENCE_S, TimeUnit.SECONDS).join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RerankException failure) {
        throw failure;
      }
      throw e;
    }
  }

  @Override
  public void onSubscribe(Flow.Subscription given) {
    subscription = given;
    given.request(1);
  }

  @Override
  public void onNext(T thing) {
    things.add(thing);
    first.complete(thing);
    subscription.request(1);
  }

  @Override
  public void onError(Throwable failure) {
    end.completeExceptionally(failure);
  }

  @Override
  public void onComplete() {
    end.complete(List.copyOf(things));
  }

  void cancel() {
    subscription.cancel();
  }
}
