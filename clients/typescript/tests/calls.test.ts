// Deadlines, cancellation and metadata of calls.

import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import {
  Code,
  RerankClient,
  type RerankRequest,
  type RerankResponse,
  RerankResponseSchema,
  RerankService,
} from "@rerank-gateway/client";
import { play } from "./support/played.js";

type Call = ServerUnaryCall<RerankRequest, RerankResponse>;

const REQUEST = { query: "capital of France", documents: ["Rome", "Paris"] };

/** A method that answers, and keeps the calls that it got. */
function keeping() {
  const calls: Call[] = [];
  return {
    calls,
    rerank(call: Call, answer: sendUnaryData<RerankResponse>): void {
      calls.push(call);
      answer(null, create(RerankResponseSchema));
    },
  };
}

/** A method that never answers; `asked` settles with the first call. */
function hanging() {
  let arrived: (call: Call) => void;
  const asked = new Promise<Call>((resolve) => {
    arrived = resolve;
  });
  return { asked, rerank: (call: Call) => arrived(call) };
}

// Of calls that must be cancelled: their deadline would do it too, and must not come first.
const LONG = { timeoutMs: 600_000 };
const SOON = { timeout: 10_000 };

/** What is left of a call's deadline, in milliseconds. */
function leftOf(call: Call | undefined): number {
  assert(call);
  return Number(call.getDeadline()) - Date.now();
}

describe("a deadline", () => {
  for (const [says, client, call, bound] of [
    ["is 10 seconds unless somebody says otherwise", undefined, undefined, 10_000],
    ["can be the client's", 20_000, undefined, 20_000],
    ["can be the call's, also a longer one", 20_000, 60_000, 60_000],
  ] as const) {
    it(says, async () => {
      const { calls, rerank } = keeping();
      await using gateway = await play(RerankService, { rerank });
      await using asking = new RerankClient(gateway.address, { timeoutMs: client });
      await asking.rerank(REQUEST, { timeoutMs: call });
      const left = leftOf(calls[0]);
      assert.ok(left > bound - 5_000 && left <= bound + 100, `${left} ms are left`);
    });
  }

  it("ends the call, at the gateway too", async () => {
    const { asked, rerank } = hanging();
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(gateway.address);
    const answer = client.rerank(REQUEST, { timeoutMs: 100 });
    await assert.rejects(answer, { name: "RerankError", code: Code.DEADLINE_EXCEEDED });
    const call = await asked;
    if (!call.cancelled) await once(call, "cancelled");
  });

  for (const timeoutMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
    it(`of ${timeoutMs} ms is refused`, async () => {
      await using client = new RerankClient("localhost:1");
      await assert.rejects(client.rerank(REQUEST, { timeoutMs }), RangeError);
    });
  }
});

describe("a signal", () => {
  it("cancels the call, at the gateway too", SOON, async () => {
    const { asked, rerank } = hanging();
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(gateway.address);
    const leaving = new AbortController();
    const answer = client.rerank(REQUEST, { ...LONG, signal: leaving.signal });
    const call = await asked;
    const reason = new Error("the user has left");
    leaving.abort(reason);
    await assert.rejects(answer, (error) => error === reason);
    if (!call.cancelled) await once(call, "cancelled");
  });

  it("that came before the call keeps it from being made", async () => {
    const { calls, rerank } = keeping();
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(gateway.address);
    await assert.rejects(client.rerank(REQUEST, { signal: AbortSignal.abort() }), {
      name: "AbortError",
    });
    await client.rerank(REQUEST);
    assert.equal(calls.length, 1);
  });

  it("that comes after the answer changes nothing", async () => {
    const { rerank } = keeping();
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(gateway.address);
    const leaving = new AbortController();
    await client.rerank(REQUEST, { signal: leaving.signal });
    leaving.abort();
    await client.rerank(REQUEST);
  });
});

describe("closing a client", () => {
  it("cancels its open calls", SOON, async () => {
    const { asked, rerank } = hanging();
    await using gateway = await play(RerankService, { rerank });
    const client = new RerankClient(gateway.address);
    const answer = client.rerank(REQUEST, LONG);
    const call = await asked;
    client.close();
    await assert.rejects(answer, { name: "RerankError", code: Code.CANCELLED });
    if (!call.cancelled) await once(call, "cancelled");
  });

  it("is the end of it", async () => {
    const client = new RerankClient("localhost:1");
    client.close();
    client.close();
    await assert.rejects(client.rerank(REQUEST), /the client is closed/);
  });
});

describe("a request that cannot be encoded", () => {
  it("is refused with the name of the field", async () => {
    await using client = new RerankClient("localhost:1");
    await assert.rejects(client.rerank({ ...REQUEST, topN: 2.5 }), /RerankRequest\.top_n/);
  });
});

describe("metadata", () => {
  it("has the token of the moment", async () => {
    const { calls, rerank } = keeping();
    await using gateway = await play(RerankService, { rerank });
    let turn = 0;
    await using client = new RerankClient(gateway.address, { token: () => `key-${++turn}` });
    await client.rerank(REQUEST);
    await client.rerank(REQUEST);
    const sent = calls.map(({ metadata }) => metadata.get("authorization"));
    assert.deepEqual(sent, [["Bearer key-1"], ["Bearer key-2"]]);
  });

  it("is the client's and the call's, and the call's wins", async () => {
    const { calls, rerank } = keeping();
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(gateway.address, {
      token: "key",
      metadata: () => ({ one: "client", two: "client" }),
    });
    await client.rerank(REQUEST, { metadata: { two: "call", three: "call" } });
    const sent = calls[0]?.metadata.getMap();
    assert.equal(sent?.authorization, "Bearer key");
    assert.deepEqual([sent?.one, sent?.two, sent?.three], ["client", "call", "call"]);
  });
});
