package io.github.rerankgateway.client;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.Executor;
import java.util.function.Supplier;

/** Sends a token with each call. It is asked for anew each time, so that it can be exchanged. */
final class BearerToken extends CallCredentials {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Supplier<String> token;

  BearerToken(Supplier<String> token) {
    this.token = token;
  }

  @Override
  public void applyRequestMetadata(
      RequestInfo request, Executor executor, MetadataApplier applier) {
    // Elsewhere, since a supplier may wait for somebody who issues tokens.
    executor.execute(() -> apply(applier));
  }

  private void apply(MetadataApplier applier) {
    Metadata headers = new Metadata();
    try {
      headers.put(AUTHORIZATION, "Bearer " + token.get());
    } catch (RuntimeException e) {
      applier.fail(Status.UNAUTHENTICATED.withDescription("there is no token").withCause(e));
      return;
    }
    applier.apply(headers);
  }
}
