package io.github.rerankgateway.client;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * How calls are repeated, spread and timed: the file that the clients in all languages share.
 *
 * <p>gRPC takes the lesser of a timeout in it and the deadline of a call, so that a caller could
 * never have more time. That is why the timeouts are taken out, and are default deadlines instead.
 *
 * @param forGrpc the config without the timeouts
 * @param timeouts by name of a method or of a service as a whole, as in {@link Deadlines}
 */
record ServiceConfig(Map<String, ?> forGrpc, Map<String, Duration> timeouts) {
  private static final String FILE = "service_config.json";

  static ServiceConfig embedded() {
    try (InputStream file = ServiceConfig.class.getResourceAsStream(FILE)) {
      return of(new InputStreamReader(file, StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ServiceConfig of(InputStreamReader json) {
    Map<String, Object> config = new Gson().fromJson(json, new TypeToken<>() {});
    Map<String, Duration> timeouts = new HashMap<>();
    for (Map<String, ?> methods : maps(config.get("methodConfig"))) {
      if (methods.remove("timeout") instanceof String timeout) {
        maps(methods.get("name")).forEach(name -> timeouts.put(fullName(name), seconds(timeout)));
      }
    }
    return new ServiceConfig(config, Map.copyOf(timeouts));
  }

  @SuppressWarnings("unchecked") // a list of JSON objects, by the specification of the format
  private static List<Map<String, ?>> maps(Object list) {
    return (List<Map<String, ?>>) list;
  }

  private static String fullName(Map<String, ?> name) {
    Object method = name.get("method");
    return method == null ? "" + name.get("service") : name.get("service") + "/" + method;
  }

  /** Reads a duration as protobuf writes it in JSON, such as {@code 1.5s}. */
  private static Duration seconds(String duration) {
    BigDecimal seconds = new BigDecimal(duration.substring(0, duration.length() - 1));
    return Duration.ofNanos(seconds.movePointRight(9).longValueExact());
  }
}
