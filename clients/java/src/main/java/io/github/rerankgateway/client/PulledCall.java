package io.github.rerankgateway.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * A call with many answers, driven by the thread that reads them: between two answers it sends what
 * the connection takes, and while there is nothing to do it waits.
 *
 * <p>All that gRPC reports is put into a queue, and is run by that thread too. So there is nothing
 * to lock, and requests are made where the caller expects it.
 */
final class PulledCall<Q, A> implements AnswerStream<A> {
  private final BlockingQueue<Runnable> events;
  private final ClientCall<Q, A> call;
  private final Iterator<? extends Q> requests;
  // gRPC does not tell such calls when it is ready: they may send at once.
  private final boolean sendsOne;

  private boolean sending = true;
  private A received;
  private Status end;
  private Metadata trailers;

  private PulledCall(
      BlockingQueue<Runnable> events,
      ClientCall<Q, A> call,
      Iterator<? extends Q> requests,
      boolean sendsOne) {
    this.events = events;
    this.call = call;
    this.requests = requests;
    this.sendsOne = sendsOne;
  }

  static <Q, A> AnswerStream<A> start(
      Channel channel,
      MethodDescriptor<Q, A> method,
      CallOptions options,
      Iterator<? extends Q> requests) {
    BlockingQueue<Runnable> events = new LinkedBlockingQueue<>();
    ClientCall<Q, A> call = channel.newCall(method, options.withExecutor(events::add));
    boolean sendsOne = method.getType().clientSendsOneMessage();
    PulledCall<Q, A> pulled = new PulledCall<>(events, call, requests, sendsOne);
    call.start(pulled.new Listener(), new Metadata());
    call.request(1);
    return pulled;
  }

  @Override
  public boolean hasNext() {
    while (received == null && end == null) {
      Runnable event = events.poll();
      if (event != null) {
        event.run();
      } else if (!send()) {
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
    if (end == null) {
      stop("the answers are no longer wanted", null);
    }
    received = null;
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
        call.halfClose();
        sending = false;
      }
    } catch (RuntimeException | Error e) {
      stop("the requests failed", e);
      throw e;
    }
    return true;
  }

  private void await() {
    try {
      events.take().run();
    } catch (InterruptedException e) {
      stop("the thread was interrupted", e);
      Thread.currentThread().interrupt();
      Status status = Status.CANCELLED.withDescription("the thread was interrupted");
      throw RerankException.of(status.withCause(e), null);
    }
  }

  private void stop(String why, Throwable cause) {
    sending = false;
    end = Status.OK;
    call.cancel(why, cause);
  }

  private final class Listener extends ClientCall.Listener<A> {
    @Override
    public void onMessage(A answer) {
      received = answer;
    }

    @Override
    public void onClose(Status status, Metadata metadata) {
      sending = false;
      end = status;
      trailers = metadata;
    }
  }
}
