// What callers import: the client, what it throws, what reads its answers, and the messages.

export { durationFromMs, durationMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
export { status as Code } from "@grpc/grpc-js";
export { answerOf, type Fallback, fallbackOf, reordered } from "./answers.js";
export { type Batching, inBatches } from "./batches.js";
export type { Answers, Requests } from "./calls.js";
export { RerankClient } from "./client.js";
export { type ErrorDetails, RerankError, type Violation } from "./errors.js";
export { HealthCheckResponse_ServingStatus as ServingStatus } from "./gen/grpc/health/v1/health_pb.js";
export * from "./gen/rerank/v1/backend_pb.js";
export * from "./gen/rerank/v1/backend_service_pb.js";
export * from "./gen/rerank/v1/collection_pb.js";
export * from "./gen/rerank/v1/document_pb.js";
export * from "./gen/rerank/v1/document_service_pb.js";
export * from "./gen/rerank/v1/error_reason_pb.js";
export * from "./gen/rerank/v1/execution_pb.js";
export * from "./gen/rerank/v1/filter_pb.js";
export * from "./gen/rerank/v1/options_pb.js";
export * from "./gen/rerank/v1/ranking_pb.js";
export * from "./gen/rerank/v1/rerank_service_pb.js";
export * from "./gen/rerank/v1/search_service_pb.js";
export type { CallOptions, ClientOptions, TlsOptions } from "./options.js";
export type { DocumentInit, RerankBatchInit, RerankInit } from "./requests.js";
