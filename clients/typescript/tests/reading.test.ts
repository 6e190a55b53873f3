// What helps to write requests and to read answers.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  answerOf,
  FallbackReason,
  fallbackOf,
  inBatches,
  RerankBatchResponseSchema,
  RerankResponseSchema,
  reordered,
  SearchResponseSchema,
} from "@rerank-gateway/client";

describe("documents in the new order", () => {
  const answer = create(RerankResponseSchema, { results: [{ index: 2 }, { index: 0 }] });

  it("are the caller's own, without those that were left out", () => {
    const documents = [{ page: 1 }, { page: 2 }, { page: 3 }];
    const [first, second, ...more] = reordered(documents, answer);
    assert.equal(first, documents[2]);
    assert.equal(second, documents[0]);
    assert.deepEqual(more, []);
  });

  it("are those of the request, and no others", () => {
    assert.throws(() => reordered(["one", "two"], answer), RangeError);
  });
});

describe("a fallback", () => {
  it("is none where everything was done", () => {
    assert.equal(fallbackOf(create(RerankResponseSchema, { message: "RRF" })), undefined);
  });

  it("has its reason and says it in words", () => {
    const answer = create(SearchResponseSchema, {
      fallbackTriggered: true,
      message: "RRF only",
      execution: { fallbackReason: FallbackReason.TIMEOUT },
    });
    assert.deepEqual(fallbackOf(answer), { reason: FallbackReason.TIMEOUT, message: "RRF only" });
  });
});

describe("one answer of a batch", () => {
  it("that is neither answer nor error is a mistake", () => {
    assert.throws(() => answerOf(create(RerankBatchResponseSchema)), TypeError);
  });
});

describe("batches of an import", () => {
  async function cut(...args: Parameters<typeof inBatches>) {
    const batches = [];
    for await (const batch of inBatches(...args)) batches.push(batch);
    return batches;
  }
  const documents = (count: number, text = "Rome") =>
    Array.from({ length: count }, (_, at) => ({ id: String(at), text }));

  it("hold every document once, in order", async () => {
    const batches = await cut(documents(5), { collection: "papers", size: 2 });
    assert.deepEqual(
      batches.map((batch) => batch.documents.map(({ id }) => id)),
      [["0", "1"], ["2", "3"], ["4"]],
    );
    assert.deepEqual(
      batches.map(({ collection, batchId }) => [collection, batchId]),
      [
        ["papers", "0"],
        ["papers", "1"],
        ["papers", "2"],
      ],
    );
  });

  it("are cut where they would become too large", async () => {
    const batches = await cut(documents(10, "x".repeat(1024 * 1024)));
    assert.deepEqual(
      batches.map((batch) => batch.documents.length),
      [3, 3, 3, 1],
    );
  });

  it("are none without documents", async () => {
    assert.deepEqual(await cut([]), []);
  });
});
