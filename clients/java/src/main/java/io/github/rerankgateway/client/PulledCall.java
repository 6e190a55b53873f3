package io.github.rerankgateway.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * A call with many answers, driven by the thread that reads them: between two answers it sends what
 * the connection takes, and while there is nothing to do it waits.
 *
 * <p>What gRPC reports is run by that thread too. So there is nothing to lock, and requests are
 * made where the caller expects it.
 */
final class PulledCall<Q, A> implements AnswerStream<A> {
  private final ReaderExecutor executor;
  private final ClientCall<Q, A> call;
  private final Iterator<? extends Q> requests;
  // gRPC does not tell such calls when it is ready: they may send at once.
  private final boolean sendsOne;

  private boolean sending = true;
  private A received;
  private Status end;
  private Metadata trailers;
  private volatile boolean stopped;

  private PulledCall(
      ReaderExecutor executor,
      ClientCall<Q, A> call,
      Iterator<? extends Q> requests,
      boolean sendsOne) {
    this.executor = executor;
    this.call = call;
    this.requests = requests;
    this.sendsOne = sendsOne;
  }

  static <Q, A> AnswerStream<A> start(
      Channel channel,
      MethodDescriptor<Q, A> method,
      CallOptions options,
      Iterator<? extends Q> requests) {
    ReaderExecutor executor = new ReaderExecutor();
    ClientCall<Q, A> call = channel.newCall(method, options.withExecutor(executor));
    boolean sendsOne = method.getType().clientSendsOneMessage();
    PulledCall<Q, A> pulled = new PulledCall<>(executor, call, requests, sendsOne);
    call.start(pulled.new Listener(), new Metadata());
    call.request(1);
    return pulled;
  }

  @Override
  public boolean hasNext() {
    while (received == null && end == null) {
      if (!executor.runOne() && !send()) {
        await();
      }
    }
    if (received == null && !end.isOk()) {
      throw RerankException.of(end, trailers);
    }
    return received != null;
  }

  @Override
  public A next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    // Also where answers are always there, so that the gateway never runs out of requests.
    send();
    A answer = received;
    received = null;
    call.request(1);
    return answer;
  }

  @Override
  public void close() {
    received = null;
    if (end == null) {
      stop("the answers are no longer wanted", null);
    }
  }

  /** Sends one request, or that there are no more. Tells whether it could. */
  private boolean send() {
    if (!sending || !(sendsOne || call.isReady())) {
      return false;
    }
    try {
      if (requests.hasNext()) {
        call.sendMessage(requests.next());
      } else {
        sending = false;
        call.halfClose();
      }
    } catch (RuntimeException | Error e) {
      stop("the requests failed", e);
      throw e;
    }
    return true;
  }

  private void await() {
    try {
      executor.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      stop("the thread was interrupted", e);
      Status status = Status.CANCELLED.withDescription("the thread was interrupted");
      throw RerankException.of(status.withCause(e), null);
    }
  }

  private void stop(String why, Throwable cause) {
    stopped = true;
    sending = false;
    end = Status.OK;
    call.cancel(why, cause);
    executor.leave();
  }

  private final class Listener extends ClientCall.Listener<A> {
    @Override
    public void onMessage(A answer) {
      if (!stopped) {
        received = answer;
      }
    }

    @Override
    public void onClose(Status status, Metadata metadata) {
      if (!stopped) {
        sending = false;
        trailers = metadata;
        end = status;
        executor.leave();
      }
    }
  }
}
