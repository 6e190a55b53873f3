// What is committed beside the code.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

describe("the lock file", () => {
  const lock = JSON.parse(
    readFileSync(new URL("../../package-lock.json", import.meta.url), "utf-8"),
  );
  const packages = Object.entries<Record<string, string>>(lock.packages).filter(
    ([at]) => at !== "",
  );

  it("pins every package by its hash, and names no registry", () => {
    assert.ok(packages.length > 10);
    for (const [at, { integrity, resolved }] of packages) {
      assert.match(integrity ?? "", /^sha512-/, at);
      assert.equal(resolved, undefined, at);
    }
  });
});
