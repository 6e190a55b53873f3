package io.github.rerankgateway.client;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;

/** How calls are made: each with a deadline, and with an error that tells. */
final class Calls {
  private static final long CLOSING_S = 5;

  private final ManagedChannel channel;
  private final CallOptions options;
  private final Duration deadline;

  Calls(ManagedChannel channel, CallOptions options, Duration deadline) {
    if (deadline.isNegative() || deadline.isZero()) {
      throw new IllegalArgumentException("a deadline is more than 0: " + deadline);
    }
    this.channel = channel;
    this.options = options;
    this.deadline = deadline;
  }

  Calls withDeadline(Duration deadline) {
    return new Calls(channel, options, deadline);
  }

  <Q, A> A answer(MethodDescriptor<Q, A> method, Q request) {
    try {
      return ClientCalls.blockingUnaryCall(channel, method, timed(), request);
    } catch (StatusRuntimeException e) {
      throw RerankException.of(e);
    }
  }

  <Q, A> AnswerStream<A> stream(MethodDescriptor<Q, A> method, Iterator<? extends Q> requests) {
    return PulledCall.start(channel, method, timed(), requests);
  }

  <Q, A> CompletableFuture<A> future(MethodDescriptor<Q, A> method, Q request) {
    ClientCall<Q, A> call = channel.newCall(method, timed());
    CompletableFuture<A> future = new CompletableFuture<>();
    ClientCalls.asyncUnaryCall(call, request, new AnswerObserver<>(future));
    // The caller may be who ends it, by cancel() or orTimeout().
    future.whenComplete(
        (answer, failure) -> {
          if (failure != null) {
            call.cancel("the answer is no longer wanted", failure);
          }
        });
    return future;
  }

  /** A stream that begins anew with every subscriber. */
  <Q, A> Flow.Publisher<A> publisher(
      MethodDescriptor<Q, A> method, Flow.Publisher<? extends Q> requests) {
    return subscriber -> {
      ClientCall<Q, A> call = channel.newCall(method, timed());
      RequestFeed<Q> feed = new RequestFeed<>(call, method.getType().clientSendsOneMessage());
      new PublishedCall<>(call, feed, subscriber).start(requests);
    };
  }

  void close() {
    channel.shutdownNow();
    try {
      channel.awaitTermination(CLOSING_S, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private CallOptions timed() {
    return options.withDeadlineAfter(deadline.toNanos(), TimeUnit.NANOSECONDS);
  }
}
