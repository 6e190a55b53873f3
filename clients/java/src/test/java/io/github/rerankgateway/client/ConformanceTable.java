package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.fail;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.Message;
import io.github.rerankgateway.v1.FieldViolation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;

/** Every case of the table that the clients in all languages are held to. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class ConformanceTable {
  private Gateway gateway;

  /** Makes a call by its full name, through one flavour of the client. */
  abstract List<? extends Message> call(
      RerankClient client, String method, List<JsonElement> requests);

  @BeforeAll
  void start() throws IOException {
    gateway = Gateway.start();
  }

  @AfterAll
  void stop() throws IOException {
    gateway.close();
  }

  @TestFactory
  Stream<DynamicContainer> cases() throws IOException {
    try (Stream<Path> files = Files.list(Gateway.file("clients", "conformance", "cases"))) {
      List<Path> sorted = files.sorted().toList();
      assertFalse(sorted.isEmpty());
      return sorted.stream()
          .map(
              file ->
                  DynamicContainer.dynamicContainer(file.getFileName().toString(), cases(file)));
    }
  }

  private Stream<DynamicTest> cases(Path file) {
    return elements(JsonParser.parseString(Gateway.read(file)).getAsJsonArray())
        .map(JsonElement::getAsJsonObject)
        .map(each -> DynamicTest.dynamicTest(each.get("name").getAsString(), () -> runCase(each)));
  }

  private void runCase(JsonObject each) {
    // A client for each: one that met many failures repeats nothing for a while.
    try (RerankClient client = RerankClient.connect(gateway.address())) {
      elements(each.getAsJsonArray("calls"))
          .map(JsonElement::getAsJsonObject)
          .forEach(call -> runCall(client, call));
    }
  }

  private void runCall(RerankClient client, JsonObject call) {
    List<JsonElement> requests =
        call.has("requests")
            ? call.getAsJsonArray("requests").asList()
            : List.of(call.get("request"));
    RerankClient timed =
        call.has("timeout_s")
            ? client.withDeadline(
                Duration.ofMillis(Math.round(call.get("timeout_s").getAsDouble() * 1000)))
            : client;
    JsonElement got;
    try {
      got = answer(call, call(timed, call.get("method").getAsString(), requests));
    } catch (RerankException e) {
      assertEquals("", differenceOf(call, error(e), call.get("error"), e), () -> "" + e);
      return;
    }
    assertEquals("", differenceOf(call, got, expected(call), null));
  }

  private static JsonElement expected(JsonObject call) {
    if (call.has("error")) {
      return fail("the call should have failed: " + call.get("error"));
    }
    return call.has("responses") ? call.get("responses") : call.get("response");
  }

  private static String differenceOf(
      JsonObject call, JsonElement got, JsonElement expected, RerankException failure) {
    if (expected == null) {
      throw new AssertionError("the call should not have failed", failure);
    }
    Set<String> left = new HashSet<>(Set.of("duration"));
    if (call.has("volatile")) {
      elements(call.getAsJsonArray("volatile")).map(JsonElement::getAsString).forEach(left::add);
    }
    return Comparison.difference(got, expected, left, "$");
  }

  private static JsonElement answer(JsonObject call, List<? extends Message> answers) {
    if (!call.has("responses")) {
      assertEquals(1, answers.size());
      return Json.of(answers.get(0));
    }
    Stream<JsonElement> all = answers.stream().map(Json::of);
    if (call.get("method").getAsString().endsWith("/RerankBatch")) {
      // They come as they are ready.
      all = all.sorted(Comparator.comparing(ConformanceTable::requestId));
    }
    JsonArray array = new JsonArray();
    all.forEach(array::add);
    return array;
  }

  private static String requestId(JsonElement answer) {
    JsonElement id = answer.getAsJsonObject().get("requestId");
    return id == null ? "" : id.getAsString();
  }

  private static JsonObject error(RerankException e) {
    JsonObject error = new JsonObject();
    error.addProperty("code", e.code().name());
    error.addProperty("reason", e.reason().name());
    JsonObject metadata = new JsonObject();
    e.metadata().forEach(metadata::addProperty);
    error.add("metadata", metadata);
    if (!e.violations().isEmpty()) {
      JsonArray violations = new JsonArray();
      for (FieldViolation violation : e.violations()) {
        violations.add(Json.of(violation));
      }
      error.add("violations", violations);
    }
    return error;
  }

  private static Stream<JsonElement> elements(JsonArray array) {
    return StreamSupport.stream(array.spliterator(), false);
  }
}
