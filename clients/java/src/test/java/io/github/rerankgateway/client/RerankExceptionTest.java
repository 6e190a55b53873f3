package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import com.google.protobuf.Any;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.github.rerankgateway.v1.ErrorReason;
import io.github.rerankgateway.v1.Execution;
import io.github.rerankgateway.v1.FieldViolation;
import io.github.rerankgateway.v1.Outcome;
import io.github.rerankgateway.v1.RerankBatchError;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What an error says to programs. */
final class RerankExceptionTest {
  private static final RetryInfo IN_A_SECOND_AND_A_HALF =
      RetryInfo.newBuilder()
          .setRetryDelay(
              com.google.protobuf.Duration.newBuilder().setSeconds(1).setNanos(500_000_000))
          .build();
  private static final Execution EXECUTION =
      Execution.newBuilder().setOutcome(Outcome.OUTCOME_FELL_BACK).build();

  @Test
  void itHasAllDetails() {
    RerankException e =
        failed(
            Status.Code.UNAVAILABLE,
            info("rerank.v1", "RERANK_FAILED", Map.of("backend", "tei")),
            IN_A_SECOND_AND_A_HALF,
            EXECUTION);

    assertEquals("UNAVAILABLE: it failed", e.getMessage());
    assertEquals(Status.Code.UNAVAILABLE, e.code());
    assertEquals(ErrorReason.ERROR_REASON_RERANK_FAILED, e.reason());
    assertEquals(Map.of("backend", "tei"), e.metadata());
    assertEquals(Optional.of(Duration.ofMillis(1500)), e.retryDelay());
    assertEquals(Optional.of(EXECUTION), e.execution());
    assertEquals(List.of(), e.violations());
  }

  @Test
  void itHasEveryViolationInOrder() {
    BadRequest.Builder request = BadRequest.newBuilder();
    request.addFieldViolationsBuilder().setField("query").setDescription("is blank");
    request.addFieldViolationsBuilder().setField("top_n").setDescription("is negative");

    RerankException e = failed(Status.Code.INVALID_ARGUMENT, request.build());

    assertEquals(
        List.of(violation("query", "is blank"), violation("top_n", "is negative")), e.violations());
  }

  @Test
  void aReasonThatIsNotKnownYetIsNoFailure() {
    RerankException e =
        failed(Status.Code.NOT_FOUND, info("rerank.v1", "OUT_OF_COFFEE", Map.of("cups", "0")));
    assertEquals(ErrorReason.UNRECOGNIZED, e.reason());
    assertEquals(Map.of("cups", "0"), e.metadata());
  }

  @Test
  void aReasonOfAnotherDomainIsNone() {
    RerankException e =
        failed(Status.Code.INTERNAL, info("proxy.example", "INTERNAL", Map.of("a", "b")));
    assertEquals(ErrorReason.ERROR_REASON_UNSPECIFIED, e.reason());
    assertEquals(Map.of(), e.metadata());
  }

  @Test
  void anErrorOfGrpcItselfHasNoDetails() {
    RerankException e = RerankException.of(Status.UNAVAILABLE, null);
    assertEquals("UNAVAILABLE", e.getMessage());
    assertEquals(ErrorReason.ERROR_REASON_UNSPECIFIED, e.reason());
    assertEquals(Optional.empty(), e.retryDelay());
    assertEquals(Optional.empty(), e.execution());
    assertEquals(List.of(), e.violations());
  }

  @Test
  void detailsThatCannotBeReadAreNone() {
    Metadata trailers = new Metadata();
    trailers.put(
        Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER),
        new byte[] {(byte) 0xff});
    RerankException e =
        RerankException.of(Status.NOT_FOUND.withDescription("no such route"), trailers);
    assertEquals("NOT_FOUND: no such route", e.getMessage());
    assertEquals(ErrorReason.ERROR_REASON_UNSPECIFIED, e.reason());

    com.google.protobuf.ByteString broken =
        com.google.protobuf.ByteString.copyFrom(new byte[] {(byte) 0xff});
    Any info = Any.pack(ErrorInfo.getDefaultInstance()).toBuilder().setValue(broken).build();
    e =
        RerankException.of(
            StatusProto.toStatusRuntimeException(
                com.google.rpc.Status.newBuilder().setCode(5).addDetails(info).build()));
    assertEquals(ErrorReason.ERROR_REASON_UNSPECIFIED, e.reason());
  }

  @Test
  void anErrorInABatchSaysTheSame() {
    RerankException e =
        RerankException.of(
            RerankBatchError.newBuilder()
                .setCode(Status.Code.UNAVAILABLE.value())
                .setMessage("it failed")
                .setReason(ErrorReason.ERROR_REASON_RERANK_FAILED)
                .putMetadata("backend", "tei")
                .addViolations(violation("query", "is blank"))
                .setRetryDelay(IN_A_SECOND_AND_A_HALF.getRetryDelay())
                .setExecution(EXECUTION)
                .build());

    assertEquals("UNAVAILABLE: it failed", e.getMessage());
    assertEquals(ErrorReason.ERROR_REASON_RERANK_FAILED, e.reason());
    assertEquals(Map.of("backend", "tei"), e.metadata());
    assertEquals(List.of(violation("query", "is blank")), e.violations());
    assertEquals(Optional.of(Duration.ofMillis(1500)), e.retryDelay());
    assertEquals(Optional.of(EXECUTION), e.execution());

    RerankException unknown =
        RerankException.of(RerankBatchError.newBuilder().setCode(3).setReasonValue(4711).build());
    assertEquals(ErrorReason.UNRECOGNIZED, unknown.reason());
  }

  @Test
  void itKeepsItsCause() {
    IOException cause = new IOException("connection reset");
    StatusRuntimeException lost = Status.UNAVAILABLE.withCause(cause).asRuntimeException();
    assertSame(cause, RerankException.of(lost).getCause());
  }

  @Test
  void itCanBeSentToAnotherProcess() throws IOException, ClassNotFoundException {
    RerankException e =
        failed(Status.Code.NOT_FOUND, info("rerank.v1", "ROUTE_NOT_FOUND", Map.of("route", "x")));

    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    new ObjectOutputStream(bytes).writeObject(e);
    RerankException read =
        (RerankException)
            new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray())).readObject();

    assertEquals(ErrorReason.ERROR_REASON_ROUTE_NOT_FOUND, read.reason());
    assertEquals(Map.of("route", "x"), read.metadata());
  }

  private static RerankException failed(Status.Code code, Message... details) {
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder().setCode(code.value()).setMessage("it failed");
    for (Message detail : details) {
      status.addDetails(Any.pack(detail));
    }
    return RerankException.of(StatusProto.toStatusRuntimeException(status.build()));
  }

  private static ErrorInfo info(String domain, String reason, Map<String, String> metadata) {
    return ErrorInfo.newBuilder()
        .setDomain(domain)
        .setReason(reason)
        .putAllMetadata(metadata)
        .build();
  }

  private static FieldViolation violation(String field, String description) {
    return FieldViolation.newBuilder().setField(field).setDescription(description).build();
  }
}
