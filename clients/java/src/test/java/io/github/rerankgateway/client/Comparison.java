package io.github.rerankgateway.client;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.Set;

/** Whether two answers are the same, as the conformance table means it. */
final class Comparison {
  private static final double TOLERANCE = 1e-6;

  private Comparison() {}

  /** Says where they differ first, leaving out these members; empty: nowhere. */
  static String difference(JsonElement got, JsonElement expected, Set<String> left, String path) {
    if (got.isJsonObject() && expected.isJsonObject()) {
      return ofObjects(got.getAsJsonObject(), expected.getAsJsonObject(), left, path);
    }
    if (got.isJsonArray() && expected.isJsonArray()) {
      return ofArrays(got.getAsJsonArray(), expected.getAsJsonArray(), left, path);
    }
    boolean same =
        isNumber(got) && isNumber(expected)
            ? near(got.getAsDouble(), expected.getAsDouble())
            : got.equals(expected);
    return same ? "" : path + " is " + got + ", not " + expected;
  }

  private static String ofObjects(
      JsonObject got, JsonObject expected, Set<String> left, String path) {
    JsonObject steadyGot = without(got, left);
    JsonObject steadyExpected = without(expected, left);
    if (!steadyGot.keySet().equals(steadyExpected.keySet())) {
      return path + " has " + steadyGot.keySet() + ", not " + steadyExpected.keySet();
    }
    for (String name : steadyExpected.keySet()) {
      String told =
          difference(steadyGot.get(name), steadyExpected.get(name), left, path + "." + name);
      if (!told.isEmpty()) {
        return told;
      }
    }
    return "";
  }

  private static String ofArrays(JsonArray got, JsonArray expected, Set<String> left, String path) {
    if (got.size() != expected.size()) {
      return path + " has " + got.size() + " elements, not " + expected.size();
    }
    for (int at = 0; at < expected.size(); at++) {
      String told = difference(got.get(at), expected.get(at), left, path + "[" + at + "]");
      if (!told.isEmpty()) {
        return told;
      }
    }
    return "";
  }

  private static JsonObject without(JsonObject whole, Set<String> left) {
    JsonObject rest = new JsonObject();
    whole
        .asMap()
        .forEach(
            (name, value) -> {
              if (!left.contains(name)) {
                rest.add(name, value);
              }
            });
    return rest;
  }

  private static boolean isNumber(JsonElement json) {
    return json.isJsonPrimitive() && json.getAsJsonPrimitive().isNumber();
  }

  private static boolean near(double got, double expected) {
    double greatest = Math.max(Math.abs(got), Math.abs(expected));
    return Math.abs(got - expected) <= TOLERANCE * Math.max(1, greatest);
  }
}
