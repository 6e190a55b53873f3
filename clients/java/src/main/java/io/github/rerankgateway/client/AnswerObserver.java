package io.github.rerankgateway.client;

import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;

/** Completes a future with the only answer of a call, when the call has ended well. */
final class AnswerObserver<A> implements StreamObserver<A> {
  private final CompletableFuture<A> future;
  private A answer;

  AnswerObserver(CompletableFuture<A> future) {
    this.future = future;
  }

  @Override
  public void onNext(A message) {
    answer = message;
  }

  @Override
  public void onError(Throwable failure) {
    future.completeExceptionally(RerankException.of(failure));
  }

  @Override
  public void onCompleted() {
    future.complete(answer);
  }
}
