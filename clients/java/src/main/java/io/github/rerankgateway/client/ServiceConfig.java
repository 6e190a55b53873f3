package io.github.rerankgateway.client;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** How calls are repeated and spread: the file that the clients in all languages share. */
final class ServiceConfig {
  private static final String FILE = "service_config.json";

  private ServiceConfig() {}

  /** Gives the one in this jar, as gRPC takes it. */
  static Map<String, ?> embedded() {
    try (InputStream file = ServiceConfig.class.getResourceAsStream(FILE)) {
      InputStreamReader json = new InputStreamReader(file, StandardCharsets.UTF_8);
      return new Gson().fromJson(json, new TypeToken<Map<String, ?>>() {});
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
