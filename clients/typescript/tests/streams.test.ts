// Calls that send or answer more than once.

import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { ServerDuplexStream, ServerWritableStream } from "@grpc/grpc-js";
import {
  answerOf,
  Code,
  DocumentService,
  ErrorReason,
  type ImportDocumentsRequest,
  type ImportDocumentsResponse,
  ImportDocumentsResponseSchema,
  type RerankBatchRequest,
  type RerankBatchResponse,
  RerankBatchResponseSchema,
  RerankClient,
  RerankError,
  RerankService,
  type SearchProgressiveRequest,
  type SearchProgressiveResponse,
  SearchProgressiveResponseSchema,
  SearchService,
} from "@rerank-gateway/client";
import { failing, play } from "./support/played.js";

type Batch = ServerDuplexStream<RerankBatchRequest, RerankBatchResponse>;
type Import = ServerDuplexStream<ImportDocumentsRequest, ImportDocumentsResponse>;
type Progressive = ServerWritableStream<SearchProgressiveRequest, SearchProgressiveResponse>;

/** Answers each request with its query as the message; a blank one with an error. */
function rerankBatch(call: Batch): void {
  call.on("data", ({ requestId, request }: RerankBatchRequest) => {
    const result = request?.query
      ? { case: "response" as const, value: { message: request.query } }
      : {
          case: "error" as const,
          value: {
            code: Code.INVALID_ARGUMENT,
            message: "query: must not be blank",
            reason: ErrorReason.INVALID_REQUEST,
            violations: [{ field: "query", description: "must not be blank" }],
            retryDelay: { nanos: 5_000_000 },
          },
        };
    call.write(create(RerankBatchResponseSchema, { requestId, result }));
  });
  call.on("end", () => call.end());
}

/** A stream that is left open; `opened` settles with it. */
function hanging<Call>() {
  let arrived: (call: Call) => void;
  const opened = new Promise<Call>((resolve) => {
    arrived = resolve;
  });
  return { opened, hang: (call: Call) => arrived(call) };
}

// Of calls that must be cancelled: their deadline would do it too, and must not come first.
const LONG = { timeoutMs: 600_000 };
const SOON = { timeout: 10_000 };

async function cancelled(call: Progressive | Batch | Import): Promise<void> {
  if (!call.cancelled) await once(call, "cancelled");
}

describe("a batch", () => {
  it("has an answer for each request, and an error is that of one request", async () => {
    await using gateway = await play(RerankService, { rerankBatch });
    await using client = new RerankClient(gateway.address);
    async function* requests() {
      for (const query of ["Rome", "", "Paris"]) {
        yield { requestId: `id of ${query}`, request: { query, documents: ["a text"] } };
      }
    }
    const told: string[] = [];
    for await (const answer of client.rerankBatch(requests())) {
      try {
        told.push(`${answer.requestId}: ${answerOf(answer).message}`);
      } catch (error) {
        assert(error instanceof RerankError);
        assert.equal(error.reason, ErrorReason.INVALID_REQUEST);
        assert.equal(error.retryDelayMs, 5);
        assert.deepEqual(error.violations, [{ field: "query", description: "must not be blank" }]);
        told.push(`${answer.requestId}: ${error}`);
      }
    }
    assert.deepEqual(told, [
      "id of Rome: Rome",
      "id of : RerankError: INVALID_ARGUMENT: query: must not be blank",
      "id of Paris: Paris",
    ]);
  });

  it("takes texts and messages for documents", async () => {
    const got: RerankBatchRequest[] = [];
    const keep = (call: Batch) => {
      call.on("data", (request: RerankBatchRequest) => got.push(request));
      call.on("end", () => call.end());
    };
    await using gateway = await play(RerankService, { rerankBatch: keep });
    await using client = new RerankClient(gateway.address);
    const answers = client.rerankBatch([
      { requestId: "1", request: { query: "q", documents: ["Rome", { id: "p", text: "Paris" }] } },
      { requestId: "2" },
    ]);
    assert.equal((await answers.next()).done, true);
    assert.deepEqual(
      got[0]?.request?.documents.map(({ id, text }) => [id, text]),
      [
        ["", "Rome"],
        ["p", "Paris"],
      ],
    );
    assert.equal(got[1]?.request, undefined);
  });

  it("ends with the error of its own requests", SOON, async () => {
    const { opened, hang } = hanging<Batch>();
    await using gateway = await play(RerankService, { rerankBatch: hang });
    await using client = new RerankClient(gateway.address);
    const broken = new Error("the file ends too early");
    async function* requests() {
      yield { requestId: "1", request: { query: "q", documents: ["Rome"] } };
      await opened;
      throw broken;
    }
    await assert.rejects(client.rerankBatch(requests(), LONG).next(), (error) => error === broken);
    await cancelled(await opened);
  });

  it("takes no more requests than the gateway", { timeout: 30_000 }, async () => {
    const { hang } = hanging<Batch>();
    await using gateway = await play(RerankService, { rerankBatch: hang });
    await using client = new RerankClient(gateway.address);
    const documents = ["x".repeat(1024 * 1024)];
    let taken = 0;
    let left = false;
    async function* requests() {
      try {
        for (;;) yield { requestId: String(taken++), request: { query: "q", documents } };
      } finally {
        left = true;
      }
    }
    // There is no end but the deadline: what is taken until then is what is on the way.
    const answers = client.rerankBatch(requests(), { timeoutMs: 1_000 });
    await assert.rejects(answers.next(), { code: Code.DEADLINE_EXCEEDED });
    assert.ok(taken < 50, `${taken} MiB were taken`);
    assert.equal(left, true);
  });

  it("does not wait for requests that nobody needs any more", async () => {
    const { opened, hang } = hanging<Batch>();
    await using gateway = await play(RerankService, { rerankBatch: hang });
    await using client = new RerankClient(gateway.address);
    async function* requests() {
      await new Promise<never>(() => {});
      yield { requestId: "never" };
    }
    const answer = client.rerankBatch(requests()).next();
    const call = await opened;
    call.emit("error", failing(Code.INTERNAL));
    await assert.rejects(answer, { code: Code.INTERNAL });
  });
});

describe("a progressive search", () => {
  const answer = (final: boolean) => create(SearchProgressiveResponseSchema, { final });

  it("answers twice", async () => {
    const searchProgressive = (call: Progressive) => {
      call.write(answer(false));
      call.write(answer(true));
      call.end();
    };
    await using gateway = await play(SearchService, { searchProgressive });
    await using client = new RerankClient(gateway.address);
    const finals: boolean[] = [];
    for await (const { final } of client.searchProgressive({ search: { query: "q" } })) {
      finals.push(final);
    }
    assert.deepEqual(finals, [false, true]);
  });

  it("that fails in the end has answered before", async () => {
    const searchProgressive = (call: Progressive) => {
      call.write(answer(false));
      call.emit("error", failing(Code.UNAVAILABLE));
    };
    await using gateway = await play(SearchService, { searchProgressive });
    await using client = new RerankClient(gateway.address);
    const answers = client.searchProgressive({ search: { query: "q" } });
    assert.equal((await answers.next()).done, false);
    await assert.rejects(answers.next(), { name: "RerankError", code: Code.UNAVAILABLE });
  });

  it("is cancelled when nobody reads on", SOON, async () => {
    const { opened, hang } = hanging<Progressive>();
    const searchProgressive = (call: Progressive) => {
      call.write(answer(false));
      hang(call);
    };
    await using gateway = await play(SearchService, { searchProgressive });
    await using client = new RerankClient(gateway.address);
    for await (const { final } of client.searchProgressive({ search: { query: "q" } }, LONG)) {
      assert.equal(final, false);
      break;
    }
    await cancelled(await opened);
  });

  it("is cancelled by a signal", SOON, async () => {
    const { opened, hang } = hanging<Progressive>();
    await using gateway = await play(SearchService, { searchProgressive: hang });
    await using client = new RerankClient(gateway.address);
    const leaving = new AbortController();
    const answers = client.searchProgressive({ search: {} }, { ...LONG, signal: leaving.signal });
    const next = answers.next();
    const call = await opened;
    leaving.abort();
    await assert.rejects(next, { name: "AbortError" });
    await cancelled(call);
  });

  it("is cancelled when the client is closed", SOON, async () => {
    const { opened, hang } = hanging<Progressive>();
    await using gateway = await play(SearchService, { searchProgressive: hang });
    const client = new RerankClient(gateway.address);
    const next = client.searchProgressive({ search: {} }, LONG).next();
    await opened;
    client.close();
    await assert.rejects(next, { code: Code.CANCELLED });
  });

  it("has a deadline", async () => {
    const { hang } = hanging<Progressive>();
    await using gateway = await play(SearchService, { searchProgressive: hang });
    await using client = new RerankClient(gateway.address, { timeoutMs: 100 });
    const next = client.searchProgressive({ search: {} }).next();
    await assert.rejects(next, { code: Code.DEADLINE_EXCEEDED });
  });
});

describe("an import", () => {
  it("is answered batch by batch, while it goes on", async () => {
    const importDocuments = (call: Import) => {
      call.on("data", ({ batchId, documents }: ImportDocumentsRequest) => {
        call.write(
          create(ImportDocumentsResponseSchema, { batchId, acceptedCount: documents.length }),
        );
      });
      call.on("end", () => call.end());
    };
    await using gateway = await play(DocumentService, { importDocuments });
    await using client = new RerankClient(gateway.address);
    let answered = () => {};
    async function* batches() {
      for (const batchId of ["1", "2", "3"]) {
        const before = new Promise<void>((resolve) => {
          answered = resolve;
        });
        yield { batchId, documents: [{ id: "a", text: "Rome" }] };
        // The next one is made only when this one is durable.
        await before;
      }
    }
    const told: string[] = [];
    for await (const { batchId } of client.importDocuments(batches())) {
      told.push(batchId);
      answered();
    }
    assert.deepEqual(told, ["1", "2", "3"]);
  });
});
