// Whether two answers are the same, as the conformance table means it.

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

// Processors differ in the last digits of what a search computes.
const TOLERANCE = 1e-6;

/** Leaves out the members that differ from one run to the next. */
export function steady(value: JsonValue, volatile: ReadonlySet<string>): JsonValue {
  if (Array.isArray(value)) return value.map((each) => steady(each, volatile));
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([key]) => !volatile.has(key));
  return Object.fromEntries(kept.map(([key, each]) => [key, steady(each, volatile)]));
}

/** Says in words where they differ first. Empty: nowhere. */
export function difference(got: JsonValue, expected: JsonValue, path = "$"): string {
  if (Array.isArray(got) && Array.isArray(expected)) {
    if (got.length !== expected.length) {
      return `${path} has ${got.length} elements, not ${expected.length}`;
    }
    return first(got.map((each, at) => difference(each, expected[at] ?? null, `${path}[${at}]`)));
  }
  if (isObject(got) && isObject(expected)) {
    const [has, wants] = [Object.keys(got).sort(), Object.keys(expected).sort()];
    if (String(has) !== String(wants)) return `${path} has ${has}, not ${wants}`;
    return first(
      has.map((key) => difference(got[key] ?? null, expected[key] ?? null, `${path}.${key}`)),
    );
  }
  if (typeof got === "number" && typeof expected === "number") {
    const bound = TOLERANCE * Math.max(1, Math.abs(got), Math.abs(expected));
    if (Math.abs(got - expected) <= bound) return "";
  }
  return got === expected
    ? ""
    : `${path} is ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`;
}

function first(differences: readonly string[]): string {
  return differences.find((each) => each !== "") ?? "";
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
