package io.github.rerankgateway.client;

import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.github.rerankgateway.v1.ErrorReason;
import io.github.rerankgateway.v1.FieldViolation;
import io.github.rerankgateway.v1.RerankBatchError;

/** An error in a batch as the status that a single call would have ended with. */
final class BatchErrors {
  private static final String PREFIX = "ERROR_REASON_";

  private BatchErrors() {}

  static Status status(RerankBatchError error) {
    Status.Builder status =
        Status.newBuilder()
            .setCode(error.getCode())
            .setMessage(error.getMessage())
            .addDetails(Any.pack(info(error)));
    if (error.getViolationsCount() > 0) {
      status.addDetails(Any.pack(badRequest(error)));
    }
    if (error.hasRetryDelay()) {
      status.addDetails(
          Any.pack(RetryInfo.newBuilder().setRetryDelay(error.getRetryDelay()).build()));
    }
    if (error.hasExecution()) {
      status.addDetails(Any.pack(error.getExecution()));
    }
    return status.build();
  }

  private static ErrorInfo info(RerankBatchError error) {
    ErrorReason reason = error.getReason();
    String name =
        reason == ErrorReason.UNRECOGNIZED
            ? reason.name()
            : reason.name().substring(PREFIX.length());
    return ErrorInfo.newBuilder()
        .setDomain("rerank.v1")
        .setReason(name)
        .putAllMetadata(error.getMetadataMap())
        .build();
  }

  private static BadRequest badRequest(RerankBatchError error) {
    BadRequest.Builder request = BadRequest.newBuilder();
    for (FieldViolation violation : error.getViolationsList()) {
      request
          .addFieldViolationsBuilder()
          .setField(violation.getField())
          .setDescription(violation.getDescription());
    }
    return request.build();
  }
}
