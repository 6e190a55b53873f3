package io.github.rerankgateway.client;

import io.grpc.CallOptions;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** What is chosen once for a client. Made by {@link RerankClient#builder}. */
public final class RerankClientBuilder {
  private static final Duration DEADLINE = Duration.ofSeconds(10);

  // The greatest request that a gateway takes. gRPC itself would keep 1 MiB for repeating a call,
  // and take 4 MiB of an answer, which one with its documents can exceed.
  private static final int MAX_MESSAGE_BYTES = 32 << 20;

  private final String address;
  private final List<ClientInterceptor> interceptors = new ArrayList<>();
  private ChannelCredentials credentials = InsecureChannelCredentials.create();
  private CallOptions options = CallOptions.DEFAULT;
  private Duration deadline = DEADLINE;
  private int maxAnswerBytes = MAX_MESSAGE_BYTES;

  RerankClientBuilder(String address) {
    this.address = address;
  }

  /** Encrypts, and trusts whom Java trusts. Default: plain text. */
  public RerankClientBuilder tls() {
    return credentials(TlsChannelCredentials.create());
  }

  /**
   * Encrypts as these say, for instance with a certificate of its own or an authority of the house:
   * {@link TlsChannelCredentials#newBuilder}.
   */
  public RerankClientBuilder credentials(ChannelCredentials credentials) {
    this.credentials = credentials;
    return this;
  }

  /** Sends {@code authorization: Bearer TOKEN} with each call. Without TLS others can read it. */
  public RerankClientBuilder bearerToken(String token) {
    return bearerToken(() -> token);
  }

  /** The same with a token that changes: it is asked for with each call. */
  public RerankClientBuilder bearerToken(Supplier<String> token) {
    options = options.withCallCredentials(new BearerToken(token));
    return this;
  }

  /** Bounds each call, and each stream as a whole. More than 0. Default: 10 seconds. */
  public RerankClientBuilder deadline(Duration deadline) {
    this.deadline = deadline;
    return this;
  }

  /**
   * Takes answers up to this size. Default: 32 MiB. A gateway keeps to 4 MiB, unless the request
   * asks for documents or has a {@code max_response_bytes}.
   */
  public RerankClientBuilder maxAnswerBytes(int bytes) {
    this.maxAnswerBytes = bytes;
    return this;
  }

  /** Adds what sees every call, such as {@link TraceContextInterceptor}; the first is outermost. */
  public RerankClientBuilder interceptor(ClientInterceptor interceptor) {
    // gRPC has the last one outermost.
    interceptors.add(0, interceptor);
    return this;
  }

  /** Makes the client. It connects with its first call. */
  public RerankClient build() {
    return new RerankClient(new Calls(channel(ServiceConfig.embedded()), options, deadline));
  }

  private ManagedChannel channel(Map<String, ?> serviceConfig) {
    return Grpc.newChannelBuilder(address, credentials)
        .defaultServiceConfig(serviceConfig)
        .enableRetry()
        .perRpcBufferLimit(MAX_MESSAGE_BYTES)
        .maxInboundMessageSize(maxAnswerBytes)
        .intercept(interceptors)
        .build();
  }
}
