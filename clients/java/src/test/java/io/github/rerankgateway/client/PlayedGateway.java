package io.github.rerankgateway.client;

import io.github.rerankgateway.v1.CreateCollectionRequest;
import io.github.rerankgateway.v1.CreateCollectionResponse;
import io.github.rerankgateway.v1.DocumentServiceGrpc;
import io.github.rerankgateway.v1.RerankBatchRequest;
import io.github.rerankgateway.v1.RerankBatchResponse;
import io.github.rerankgateway.v1.RerankRequest;
import io.github.rerankgateway.v1.RerankResponse;
import io.github.rerankgateway.v1.RerankServiceGrpc;
import io.github.rerankgateway.v1.SearchProgressiveRequest;
import io.github.rerankgateway.v1.SearchProgressiveResponse;
import io.github.rerankgateway.v1.SearchServiceGrpc;
import io.grpc.Context;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * A server that keeps to the contract, for what a gateway does only in trouble: it fails as often
 * as it is told, or does not answer at all, and notes what reaches it.
 */
final class PlayedGateway implements AutoCloseable {
  private static final long PATIENCE_S = 30;

  /** What one call brought, or one attempt of it. */
  record Seen(String method, Metadata headers, Duration left) {
    Optional<String> header(String name) {
      return Optional.ofNullable(
          headers.get(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER)));
    }
  }

  private final BlockingQueue<Seen> calls = new LinkedBlockingQueue<>();
  private final BlockingQueue<String> cancelled = new LinkedBlockingQueue<>();
  private final Queue<StatusRuntimeException> failures = new ConcurrentLinkedQueue<>();
  private final Server server;
  private volatile boolean silent;

  private PlayedGateway(int port, ServerCredentials credentials) throws IOException {
    server =
        Grpc.newServerBuilderForPort(port, credentials)
            .addService(new Reranking())
            .addService(new Searching())
            .addService(new Storing())
            .intercept(new Noting())
            .maxInboundMessageSize(32 << 20)
            .build()
            .start();
  }

  static PlayedGateway start() throws IOException {
    return startAt(0);
  }

  static PlayedGateway startAt(int port) throws IOException {
    return new PlayedGateway(port, InsecureServerCredentials.create());
  }

  static PlayedGateway startWith(ServerCredentials credentials) throws IOException {
    return new PlayedGateway(0, credentials);
  }

  /** Fails the next call. */
  void fail(StatusRuntimeException failure) {
    failures.add(failure);
  }

  /** Answers nothing from now on. */
  void fallSilent() {
    silent = true;
  }

  String address() {
    return "localhost:" + server.getPort();
  }

  /** Gives the next call, in the order in which they came, and waits for it. */
  Seen nextCall() throws InterruptedException {
    return present(calls.poll(PATIENCE_S, TimeUnit.SECONDS));
  }

  boolean hasNextCall() {
    return !calls.isEmpty();
  }

  /** Waits until a call is cancelled, and gives its method. */
  String nextCancelled() throws InterruptedException {
    return present(cancelled.poll(PATIENCE_S, TimeUnit.SECONDS));
  }

  private static <T> T present(T thing) {
    if (thing == null) {
      throw new AssertionError("nothing came");
    }
    return thing;
  }

  @Override
  public void close() {
    server.shutdownNow();
  }

  private <A> void answer(StreamObserver<A> answers, A answer) {
    StatusRuntimeException failure = failures.poll();
    if (failure != null) {
      answers.onError(failure);
    } else if (!silent) {
      answers.onNext(answer);
      answers.onCompleted();
    }
  }

  private final class Reranking extends RerankServiceGrpc.RerankServiceImplBase {
    @Override
    public void rerank(RerankRequest request, StreamObserver<RerankResponse> answers) {
      answer(answers, RerankResponse.newBuilder().setMessage(request.getQuery()).build());
    }

    @Override
    public StreamObserver<RerankBatchRequest> rerankBatch(
        StreamObserver<RerankBatchResponse> answers) {
      if (silent) {
        // Nor does it take any request.
        ((ServerCallStreamObserver<RerankBatchResponse>) answers).disableAutoRequest();
      }
      return new StreamObserver<>() {
        @Override
        public void onNext(RerankBatchRequest request) {
          StatusRuntimeException failure = failures.poll();
          if (failure != null) {
            answers.onError(failure);
          } else if (!silent) {
            answers.onNext(
                RerankBatchResponse.newBuilder().setRequestId(request.getRequestId()).build());
          }
        }

        @Override
        public void onError(Throwable failure) {
          // Cancelled: noted above.
        }

        @Override
        public void onCompleted() {
          if (!silent) {
            answers.onCompleted();
          }
        }
      };
    }
  }

  private final class Searching extends SearchServiceGrpc.SearchServiceImplBase {
    @Override
    public void searchProgressive(
        SearchProgressiveRequest request, StreamObserver<SearchProgressiveResponse> answers) {
      answers.onNext(SearchProgressiveResponse.getDefaultInstance());
      answer(answers, SearchProgressiveResponse.newBuilder().setFinal(true).build());
    }
  }

  private final class Storing extends DocumentServiceGrpc.DocumentServiceImplBase {
    @Override
    public void createCollection(
        CreateCollectionRequest request, StreamObserver<CreateCollectionResponse> answers) {
      answer(answers, CreateCollectionResponse.getDefaultInstance());
    }
  }

  private final class Noting implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      long left = Context.current().getDeadline().timeRemaining(TimeUnit.MILLISECONDS);
      String method = call.getMethodDescriptor().getBareMethodName();
      calls.add(new Seen(method, headers, Duration.ofMillis(left)));
      return new SimpleForwardingServerCallListener<>(next.startCall(call, headers)) {
        @Override
        public void onCancel() {
          cancelled.add(method);
          super.onCancel();
        }
      };
    }
  }
}
