package io.github.rerankgateway.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.github.rerankgateway.v1.ErrorReason;
import io.github.rerankgateway.v1.Execution;
import io.github.rerankgateway.v1.FieldViolation;
import io.github.rerankgateway.v1.RerankBatchError;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A call failed. {@link #code} says what to do, {@link #reason} why it failed. The message is for
 * people and may change: never parse it.
 */
public final class RerankException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final String DOMAIN = "rerank.v1";

  private final com.google.rpc.Status status;

  private RerankException(com.google.rpc.Status status, Throwable cause) {
    super(text(status), cause);
    this.status = status;
  }

  /** Reads what gRPC threw. */
  static RerankException of(Throwable failure) {
    return of(Status.fromThrowable(failure), Status.trailersFromThrowable(failure));
  }

  /** Reads how a call ended. */
  static RerankException of(Status status, Metadata trailers) {
    return new RerankException(detailed(status, trailers), status.getCause());
  }

  /** Makes the exception that a single call would have thrown of an error in a batch. */
  public static RerankException of(RerankBatchError error) {
    return new RerankException(BatchErrors.status(error), null);
  }

  private static com.google.rpc.Status detailed(Status status, Metadata trailers) {
    try {
      return StatusProto.fromStatusAndTrailers(status, trailers);
    } catch (IllegalArgumentException e) {
      // Somebody on the way wrote details that cannot be read, or are of another status.
      return StatusProto.fromStatusAndTrailers(status, null);
    }
  }

  private static String text(com.google.rpc.Status status) {
    Status.Code code = Status.fromCodeValue(status.getCode()).getCode();
    return status.getMessage().isEmpty() ? code.name() : code + ": " + status.getMessage();
  }

  /** The status code. Only {@link Status.Code#UNAVAILABLE} is worth the same call again. */
  public Status.Code code() {
    return Status.fromCodeValue(status.getCode()).getCode();
  }

  /**
   * Why, for programs. {@link ErrorReason#ERROR_REASON_UNSPECIFIED} where the gateway said none, as
   * with errors of gRPC itself: a lost connection, a deadline that passed here. {@link
   * ErrorReason#UNRECOGNIZED} where this client does not know it yet.
   */
  public ErrorReason reason() {
    String reason = info().getReason();
    if (reason.isEmpty()) {
      return ErrorReason.ERROR_REASON_UNSPECIFIED;
    }
    try {
      return ErrorReason.valueOf("ERROR_REASON_" + reason);
    } catch (IllegalArgumentException e) {
      return ErrorReason.UNRECOGNIZED;
    }
  }

  /** The changing parts of the message, as at each {@link ErrorReason}. */
  public Map<String, String> metadata() {
    return info().getMetadataMap();
  }

  /** Everything that is wrong with the request, in its order. Empty for other errors. */
  public List<FieldViolation> violations() {
    return detail(BadRequest.class).stream()
        .flatMap(request -> request.getFieldViolationsList().stream())
        .map(
            violation ->
                FieldViolation.newBuilder()
                    .setField(violation.getField())
                    .setDescription(violation.getDescription())
                    .build())
        .toList();
  }

  /** How long to wait before the same call. Empty: repeating is useless, or needs no wait. */
  public Optional<Duration> retryDelay() {
    return detail(RetryInfo.class)
        .map(RetryInfo::getRetryDelay)
        .map(delay -> Duration.ofSeconds(delay.getSeconds(), delay.getNanos()));
  }

  /** What was tried, where {@link #reason} is {@link ErrorReason#ERROR_REASON_RERANK_FAILED}. */
  public Optional<Execution> execution() {
    return detail(Execution.class);
  }

  private ErrorInfo info() {
    return detail(ErrorInfo.class)
        .filter(info -> info.getDomain().equals(DOMAIN))
        .orElse(ErrorInfo.getDefaultInstance());
  }

  private <D extends Message> Optional<D> detail(Class<D> type) {
    for (Any detail : status.getDetailsList()) {
      if (detail.is(type)) {
        try {
          return Optional.of(detail.unpack(type));
        } catch (InvalidProtocolBufferException e) {
          return Optional.empty();
        }
      }
    }
    return Optional.empty();
  }
}
