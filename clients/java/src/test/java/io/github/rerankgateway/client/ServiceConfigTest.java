package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.time.Duration;
import org.junit.jupiter.api.Test;

final class ServiceConfigTest {
  private final ServiceConfig config = ServiceConfig.embedded();

  @Test
  void grpcGetsTheSharedFileWithoutItsTimeouts() {
    JsonObject shared =
        JsonParser.parseString(Gateway.read(Gateway.file("clients", "service_config.json")))
            .getAsJsonObject();
    for (JsonElement methods : shared.getAsJsonArray("methodConfig")) {
      methods.getAsJsonObject().remove("timeout");
    }
    String difference =
        Comparison.difference(
            new Gson().toJsonTree(config.forGrpc()), shared, java.util.Set.of(), "$");
    assertEquals("", difference);
  }

  @Test
  void theTimeoutsAreDefaultDeadlines() {
    assertEquals(Duration.ofSeconds(10), config.timeouts().get("rerank.v1.RerankService/Rerank"));
    assertEquals(Duration.ofSeconds(10), config.timeouts().get("rerank.v1.BackendService"));
    assertEquals(
        Duration.ofSeconds(30),
        config.timeouts().get("rerank.v1.DocumentService/CreateCollection"));
  }
}
