package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The examples as their readers run them, against a real gateway. */
final class ExamplesTest {
  private static Gateway gateway;

  @BeforeAll
  static void start() throws IOException {
    gateway = Gateway.start();
  }

  @AfterAll
  static void stop() throws IOException {
    gateway.close();
  }

  @Test
  void rerankExample() throws IOException, InterruptedException {
    assertEquals(
        List.of(
            "1. Paris is the capital of France. (history.txt)",
            "2. Rome has been the capital of Italy since 1871. (geography.txt)"),
        run("RerankExample"));
  }

  @Test
  void searchExample() throws IOException, InterruptedException {
    List<String> said = run("SearchExample");
    assertEquals("at once:", said.get(0));
    assertTrue(said.contains("reranked:"), said::toString);
    assertEquals("  1. Paris is the capital of France.", said.get(said.indexOf("reranked:") + 1));
  }

  private static List<String> run(String example) throws IOException, InterruptedException {
    return Program.run(System.getProperty("java.class.path"), example, gateway.address());
  }
}
