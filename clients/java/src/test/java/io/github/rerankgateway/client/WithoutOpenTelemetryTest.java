package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.io.File;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Programs that are not traced need nothing of OpenTelemetry. */
final class WithoutOpenTelemetryTest {
  static final class Caller {
    public static void main(String[] args) {
      try (RerankClient client = RerankClient.connect(args[0])) {
        System.out.println(client.rerank("answered", List.of()).getMessage());
      }
    }
  }

  @Test
  void aClientIsMadeAndCalls() throws IOException, InterruptedException {
    String everything = System.getProperty("java.class.path");
    String without =
        Arrays.stream(everything.split(File.pathSeparator))
            .filter(entry -> !entry.contains("opentelemetry"))
            .collect(Collectors.joining(File.pathSeparator));
    assertNotEquals(everything, without);

    try (PlayedGateway gateway = PlayedGateway.start()) {
      assertEquals(
          List.of("answered"), Program.run(without, Caller.class.getName(), gateway.address()));
    }
  }
}
