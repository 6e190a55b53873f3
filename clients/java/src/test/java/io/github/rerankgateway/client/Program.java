package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** A program of its own, as a reader would run it. */
final class Program {
  private Program() {}

  /** Runs it to its end, and gives the lines that it wrote. */
  static List<String> run(String classPath, String main, String argument)
      throws IOException, InterruptedException {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    Process process =
        new ProcessBuilder(java, "-cp", classPath, main, argument)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    List<String> said = new String(process.getInputStream().readAllBytes()).lines().toList();
    assertEquals(0, process.waitFor(), said::toString);
    return said;
  }
}
