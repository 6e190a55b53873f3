// The caller's trace goes on in the gateway.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { Metadata, sendUnaryData } from "@grpc/grpc-js";
import { trace } from "@opentelemetry/api";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import {
  RerankClient,
  type RerankResponse,
  RerankResponseSchema,
  RerankService,
} from "@rerank-gateway/client";
import { traceContext } from "@rerank-gateway/client/opentelemetry";
import { play } from "./support/played.js";

const REQUEST = { query: "capital of France", documents: ["Rome", "Paris"] };

describe("the trace context", () => {
  const provider = new NodeTracerProvider();
  const sent: Metadata[] = [];
  const rerank = (call: { metadata: Metadata }, answer: sendUnaryData<RerankResponse>) => {
    sent.push(call.metadata);
    answer(null, create(RerankResponseSchema));
  };

  before(() => provider.register());
  after(async () => {
    await provider.shutdown();
    trace.disable();
  });

  it("of each call is that of the span around it", async () => {
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(gateway.address, { metadata: traceContext });
    const spans = await Promise.all(
      ["one", "other"].map((name) =>
        trace.getTracer("test").startActiveSpan(name, async (span) => {
          await client.rerank(REQUEST, { metadata: { name } });
          span.end();
          return [name, span.spanContext()] as const;
        }),
      ),
    );
    const traceparents = new Map(
      sent.map((metadata) => [metadata.get("name")[0], metadata.get("traceparent")]),
    );
    for (const [name, { traceId, spanId }] of spans) {
      assert.deepEqual(traceparents.get(name), [`00-${traceId}-${spanId}-01`]);
    }
  });

  it("is not sent where there is none", async () => {
    await using gateway = await play(RerankService, { rerank });
    await using client = new RerankClient(gateway.address, { metadata: traceContext });
    await client.rerank(REQUEST);
    assert.deepEqual(sent.at(-1)?.get("traceparent"), []);
  });
});
