package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class ServiceConfigTest {
  private final JsonObject shared =
      JsonParser.parseString(Gateway.read(Gateway.file("clients", "service_config.json")))
          .getAsJsonObject();

  @Test
  void grpcGetsTheSharedFile() {
    JsonElement embedded = new Gson().toJsonTree(ServiceConfig.embedded());
    assertEquals("", Comparison.difference(embedded, shared, Set.of(), "$"));
  }

  @Test
  void itBoundsNoCall() {
    // gRPC would take the lesser of its bound and the deadline that a caller gives.
    for (JsonElement methods : shared.getAsJsonArray("methodConfig")) {
      assertFalse(methods.getAsJsonObject().has("timeout"));
    }
  }
}
