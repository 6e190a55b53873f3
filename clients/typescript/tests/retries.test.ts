// What happens while the gateway is away, and how calls are spread over several.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { create, type DescService } from "@bufbuild/protobuf";
import type { sendUnaryData, UntypedServiceImplementation } from "@grpc/grpc-js";
import {
  Code,
  type CreateCollectionResponse,
  CreateCollectionResponseSchema,
  DocumentService,
  RerankClient,
  type RerankResponse,
  RerankResponseSchema,
  RerankService,
} from "@rerank-gateway/client";
import { serviceConfig } from "#gen/service_config.js";
import { ROOT } from "./support/gateway.js";
import { failing, play, refuse } from "./support/played.js";

const REQUEST = { query: "capital of France", documents: ["Rome", "Paris"] };

/** A method that counts its calls, and fails the first ones with these codes. */
function counting(...codes: readonly Code[]) {
  let asked = 0;
  return {
    asked: () => asked,
    rerank(_: unknown, answer: sendUnaryData<RerankResponse>): void {
      const code = codes[asked++];
      if (code === undefined) answer(null, create(RerankResponseSchema));
      else answer(failing(code));
    },
  };
}

describe("the service config", () => {
  it("is the one that all clients share", () => {
    const shared = JSON.parse(readFileSync(`${ROOT}clients/service_config.json`, "utf-8"));
    assert.deepEqual(serviceConfig, shared);
  });
});

describe("a call", () => {
  /** Makes a call, and serves it when its first connection has been refused. */
  async function late(
    service: DescService,
    implementation: UntypedServiceImplementation,
    ask: (client: RerankClient) => Promise<unknown>,
  ): Promise<void> {
    await using port = await refuse();
    await using client = new RerankClient(port.address, {
      channel: { "grpc.initial_reconnect_backoff_ms": 10 },
    });
    const answer = ask(client);
    await port.refused;
    await port[Symbol.asyncDispose]();
    await using _ = await play(service, implementation, { address: port.address });
    await answer;
  }

  it("waits for a gateway that comes up late", async () => {
    const { rerank, asked } = counting();
    await late(RerankService, { rerank }, (client) => client.rerank(REQUEST));
    assert.equal(asked(), 1);
  });

  it("waits for it too where it would not be repeated", async () => {
    const createCollection = (_: unknown, answer: sendUnaryData<CreateCollectionResponse>) =>
      answer(null, create(CreateCollectionResponseSchema));
    await late(DocumentService, { createCollection }, (client) =>
      client.createCollection({ name: "papers" }),
    );
  });

  it("fails at once where its caller does not want to wait", async () => {
    await using port = await refuse();
    await using client = new RerankClient(port.address);
    const answer = client.rerank(REQUEST, { waitForReady: false });
    await assert.rejects(answer, { name: "RerankError", code: Code.UNAVAILABLE });
  });

  it("is repeated after UNAVAILABLE", async () => {
    const { rerank, asked } = counting(Code.UNAVAILABLE);
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(gateway.address);
    await client.rerank(REQUEST);
    assert.equal(asked(), 2);
  });

  it("is repeated three times at most", async () => {
    const { rerank, asked } = counting(...Array(4).fill(Code.UNAVAILABLE));
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(gateway.address);
    await assert.rejects(client.rerank(REQUEST), { code: Code.UNAVAILABLE });
    assert.equal(asked(), 4);
  });

  it("is repeated however long its documents are", async () => {
    const { rerank, asked } = counting(Code.UNAVAILABLE);
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(gateway.address);
    const documents = Array(3).fill("x".repeat(1024 * 1024));
    await client.rerank({ query: "long", documents });
    assert.equal(asked(), 2);
  });

  for (const code of [Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED, Code.INTERNAL]) {
    it(`is not repeated after ${Code[code]}`, async () => {
      const { rerank, asked } = counting(code);
      await using gateway = await play(RerankService, { rerank });
      await using client = new RerankClient(gateway.address);
      await assert.rejects(client.rerank(REQUEST), { code });
      assert.equal(asked(), 1);
    });
  }

  it("that would not be the same the second time is not repeated", async () => {
    const { rerank: createCollection, asked } = counting(Code.UNAVAILABLE);
    await using gateway = await play(DocumentService, { createCollection });
    await using client = new RerankClient(gateway.address);
    const answer = client.createCollection({ name: "papers" });
    await assert.rejects(answer, { code: Code.UNAVAILABLE });
    assert.equal(asked(), 1);
  });
});

describe("several gateways", () => {
  it("are asked in turn", async () => {
    const [one, other] = [counting(), counting()];
    await using first = await play(RerankService, { rerank: one.rerank });
    await using second = await play(RerankService, { rerank: other.rerank });
    await using client = new RerankClient(`ipv4:${first.address},${second.address}`);
    // Until both are connected, the one that is gets every call.
    while (one.asked() === 0 || other.asked() === 0) await client.rerank(REQUEST);
    const before = [one.asked(), other.asked()] as const;
    for (let call = 0; call < 10; call++) await client.rerank(REQUEST);
    assert.deepEqual([one.asked() - before[0], other.asked() - before[1]], [5, 5]);
  });

  it("stand in for one another", async () => {
    const { rerank, asked } = counting();
    await using away = await refuse();
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(`ipv4:${away.address},${gateway.address}`);
    for (let call = 0; call < 10; call++) await client.rerank(REQUEST);
    assert.equal(asked(), 10);
  });
});
