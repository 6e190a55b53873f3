// What a failed call throws.

import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyUnpack, type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { status as Code, type Metadata, type StatusObject } from "@grpc/grpc-js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";
import { ErrorReason } from "./gen/rerank/v1/error_reason_pb.js";
import { type Execution, ExecutionSchema } from "./gen/rerank/v1/execution_pb.js";
import type { RerankBatchError } from "./gen/rerank/v1/rerank_service_pb.js";

const DOMAIN = "rerank.v1";

/** One fault of a request. */
export interface Violation {
  /** Path of the field, as the `.proto` files name it: `documents[3].text`. */
  readonly field: string;
  /** One sentence for people. */
  readonly description: string;
}

/** What a server says about an error beside its code and message. */
export interface ErrorDetails {
  /** Why, for programs. UNSPECIFIED: gRPC made the error, or a newer server has a newer reason. */
  readonly reason: ErrorReason;
  /** The changing parts of the message, as `ErrorReason` describes them. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Every fault of the request, in its order. Only with INVALID_ARGUMENT. */
  readonly violations: readonly Violation[];
  /** How long to wait before the call is repeated. Undefined: useless, or no wait is needed. */
  readonly retryDelayMs: number | undefined;
  /** How it came about. Only with `ErrorReason.RERANK_FAILED`. */
  readonly execution: Execution | undefined;
}

/** A call that failed. A fallback is none: see `fallbackOf`. */
export class RerankError extends Error implements ErrorDetails {
  override readonly name = "RerankError";
  readonly reason: ErrorReason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
  readonly retryDelayMs: number | undefined;
  readonly execution: Execution | undefined;

  constructor(
    /** The status of gRPC. */
    readonly code: Code,
    message: string,
    details: Partial<ErrorDetails> = {},
  ) {
    super(`${Code[code] ?? code}: ${message}`);
    this.reason = details.reason ?? ErrorReason.UNSPECIFIED;
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
    this.retryDelayMs = details.retryDelayMs;
    this.execution = details.execution;
  }

  /** The error of a call that ended with this status. */
  static fromStatus(status: StatusObject): RerankError {
    return new RerankError(status.code, status.details, detailsIn(status.metadata));
  }

  /** The error of one request of a batch. */
  static fromBatch(error: RerankBatchError): RerankError {
    return new RerankError(error.code, error.message, {
      reason: error.reason,
      metadata: error.metadata,
      violations: violationsOf(error.violations),
      retryDelayMs: inMs(error.retryDelay),
      execution: error.execution,
    });
  }
}

function detailsIn(trailers: Metadata): Partial<ErrorDetails> {
  const [encoded] = trailers.get("grpc-status-details-bin");
  if (!(encoded instanceof Buffer)) return {};
  try {
    const { details } = fromBinary(StatusSchema, encoded);
    const info = firstOf(details, ErrorInfoSchema);
    // Something on the way, such as a proxy, may have made the error, with reasons of its own.
    const ours = info?.domain === DOMAIN ? info : undefined;
    return {
      reason: reasonOf(ours?.reason),
      metadata: ours?.metadata ?? {},
      violations: violationsOf(firstOf(details, BadRequestSchema)?.fieldViolations),
      retryDelayMs: inMs(firstOf(details, RetryInfoSchema)?.retryDelay),
      execution: firstOf(details, ExecutionSchema),
    };
  } catch {
    // Details that nobody can read must not hide the error that they belong to.
    return {};
  }
}

function firstOf<Desc extends DescMessage>(
  details: readonly Any[],
  schema: Desc,
): MessageShape<Desc> | undefined {
  for (const detail of details) {
    const message = anyUnpack(detail, schema);
    if (message !== undefined) return message;
  }
  return undefined;
}

function violationsOf(violations: readonly Violation[] = []): Violation[] {
  return violations.map(({ field, description }) => ({ field, description }));
}

function reasonOf(name: string | undefined): ErrorReason {
  const reason = ErrorReason[name as keyof typeof ErrorReason];
  return typeof reason === "number" ? reason : ErrorReason.UNSPECIFIED;
}

function inMs(duration: Duration | undefined): number | undefined {
  return duration && durationMs(duration);
}
