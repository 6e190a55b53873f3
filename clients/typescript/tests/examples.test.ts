// The examples, as a reader runs them, against a real gateway.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Gateway, startGateway } from "./support/gateway.js";
import { refuse } from "./support/played.js";

const run = promisify(execFile);

function example(name: string, address: string) {
  const file = fileURLToPath(new URL(`../examples/${name}.js`, import.meta.url));
  return run(process.execPath, [file, address]);
}

describe("an example", () => {
  let gateway: Gateway;

  before(async () => {
    gateway = await startGateway();
  });
  after(() => gateway.stop());

  it("reranks", async () => {
    const { stdout } = await example("rerank", gateway.address);
    const [method, best] = stdout.split("\n");
    assert.match(method ?? "", /^rerank, judged by \S/);
    assert.equal(best, "/paris");
  });

  it("searches", async () => {
    const { stdout } = await example("search", gateway.address);
    assert.match(stdout, /^trace [0-9a-f]{32}\nstored 3, rejected 0\nat once: /);
    assert.match(stdout, /final: \S+\+rerank\n {2}1\. (Paris|Lyon)\n {2}2\. (Paris|Lyon)\n$/);
  });

  it("says in one line that there is no gateway", async () => {
    await using port = await refuse();
    await assert.rejects(example("rerank", port.address), {
      code: 1,
      stdout: "",
      stderr: /^DEADLINE_EXCEEDED .*\n$/,
    });
  });
});
