package io.github.rerankgateway.client;

import io.grpc.MethodDescriptor;
import java.time.Duration;
import java.util.Map;

/**
 * How long calls may take.
 *
 * @param byName of methods ({@code rerank.v1.RerankService/Rerank}) and of services as a whole
 *     ({@code rerank.v1.BackendService})
 * @param otherwise of all others
 */
record Deadlines(Map<String, Duration> byName, Duration otherwise) {
  Deadlines {
    if (otherwise.isNegative() || otherwise.isZero()) {
      throw new IllegalArgumentException("a deadline is more than 0: " + otherwise);
    }
  }

  /** Gives every method the same deadline. */
  Deadlines withAll(Duration deadline) {
    return new Deadlines(Map.of(), deadline);
  }

  Duration of(MethodDescriptor<?, ?> method) {
    Duration ofService = byName.getOrDefault(method.getServiceName(), otherwise);
    return byName.getOrDefault(method.getFullMethodName(), ofService);
  }
}
