// What a caller learns from a call that failed.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, type sendUnaryData } from "@grpc/grpc-js";
import {
  Code,
  ErrorReason,
  ExecutionSchema,
  FallbackReason,
  Outcome,
  RerankClient,
  RerankError,
  RerankService,
} from "@rerank-gateway/client";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "#gen/google/rpc/status_pb.js";
import { failing, play } from "./support/played.js";

/** A detail of a status. */
function detail<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init) as MessageShape<Desc>);
}

/** What a call throws that fails with these trailers. */
async function thrown(code: Code, trailers: Metadata): Promise<RerankError> {
  const rerank = (_: unknown, answer: sendUnaryData<never>) =>
    answer(failing(code, "in words", trailers));
  await using gateway = await play(RerankService, { rerank });
  await using client = new RerankClient(gateway.address);
  const call = client.rerank({ query: "q", documents: ["Rome"] });
  const error = await call.then(
    () => assert.fail("it did not fail"),
    (error: unknown) => error,
  );
  assert(error instanceof RerankError);
  return error;
}

function trailersOf(...details: Any[]): Metadata {
  const status = create(StatusSchema, { details });
  const trailers = new Metadata();
  trailers.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  return trailers;
}

describe("an error", () => {
  it("has what the gateway says about it", async () => {
    const error = await thrown(
      Code.FAILED_PRECONDITION,
      trailersOf(
        detail(ErrorInfoSchema, {
          domain: "rerank.v1",
          reason: "RERANK_FAILED",
          metadata: { backend: "tei" },
        }),
        detail(RetryInfoSchema, { retryDelay: { seconds: 1n, nanos: 500_000_000 } }),
        detail(ExecutionSchema, {
          outcome: Outcome.FELL_BACK,
          fallbackReason: FallbackReason.TIMEOUT,
        }),
      ),
    );
    assert.equal(error.code, Code.FAILED_PRECONDITION);
    assert.equal(error.message, "FAILED_PRECONDITION: in words");
    assert.equal(error.reason, ErrorReason.RERANK_FAILED);
    assert.deepEqual({ ...error.metadata }, { backend: "tei" });
    assert.equal(error.retryDelayMs, 1500);
    assert.equal(error.execution?.fallbackReason, FallbackReason.TIMEOUT);
  });

  it("has every violation", async () => {
    const violations = [
      { field: "query", description: "must not be blank" },
      { field: "top_k", description: "must be at least 1 when set" },
    ];
    const error = await thrown(
      Code.INVALID_ARGUMENT,
      trailersOf(
        detail(ErrorInfoSchema, { domain: "rerank.v1", reason: "INVALID_REQUEST" }),
        detail(BadRequestSchema, { fieldViolations: violations }),
      ),
    );
    assert.deepEqual(error.violations, violations);
  });

  for (const [says, trailers] of [
    ["of gRPC itself", new Metadata()],
    [
      "with a reason of a newer gateway",
      trailersOf(detail(ErrorInfoSchema, { domain: "rerank.v1", reason: "SOMETHING_NEW" })),
    ],
    [
      "with a reason that is a name of something else",
      trailersOf(detail(ErrorInfoSchema, { domain: "rerank.v1", reason: "1" })),
    ],
    [
      "of somebody on the way",
      trailersOf(detail(ErrorInfoSchema, { domain: "proxy.example", reason: "INTERNAL" })),
    ],
    [
      "with details that nobody can read",
      (() => {
        const garbage = new Metadata();
        garbage.set("grpc-status-details-bin", Buffer.from([0xff, 0xff, 0xff]));
        return garbage;
      })(),
    ],
  ] as const) {
    it(`${says} has its code and no reason`, async () => {
      const error = await thrown(Code.INTERNAL, trailers);
      assert.equal(error.code, Code.INTERNAL);
      assert.equal(error.reason, ErrorReason.UNSPECIFIED);
      assert.deepEqual(error.violations, []);
      assert.equal(error.retryDelayMs, undefined);
    });
  }

  it("says where it was called", async () => {
    const error = await thrown(Code.INTERNAL, new Metadata());
    assert.match(error.stack ?? "", /errors\.test/);
  });
});
