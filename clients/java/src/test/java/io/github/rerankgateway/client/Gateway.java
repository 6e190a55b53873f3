package io.github.rerankgateway.client;

import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** A real gateway, with played rerankers and the collection of the conformance table. */
final class Gateway implements AutoCloseable {
  private static final Path ROOT = Path.of("..", "..").toAbsolutePath().normalize();
  private static final long STOP_S = 30;

  private final Process process;
  private final String address;

  private Gateway(Process process, String address) {
    this.process = process;
    this.address = address;
  }

  static Path file(String... path) {
    return ROOT.resolve(Path.of("", path));
  }

  static Gateway start() throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(file(".venv", "bin", "python").toString(), "-m", "clients.conformance")
            .directory(ROOT.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().put("PYTHONPATH", ".:protos");
    Process process = builder.start();
    // Not closed here: reading goes on at the process' end.
    BufferedReader lines = process.inputReader();
    String line = lines.readLine();
    if (line == null) {
      throw new IOException("the gateway did not start");
    }
    String address = JsonParser.parseString(line).getAsJsonObject().get("address").getAsString();
    return new Gateway(process, address);
  }

  String address() {
    return address;
  }

  static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() throws IOException {
    process.outputWriter().close();
    try {
      if (!process.waitFor(STOP_S, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
