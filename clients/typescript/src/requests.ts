// Requests as callers may write them: plain objects, or messages, and texts for documents.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Document, DocumentSchema } from "./gen/rerank/v1/document_pb.js";
import type {
  RerankBatchRequestSchema,
  RerankRequestSchema,
} from "./gen/rerank/v1/rerank_service_pb.js";

/** A document, or only its text. */
export type DocumentInit = string | MessageInitShape<typeof DocumentSchema>;

/** A `RerankRequest` whose documents may be texts. */
export type RerankInit = Omit<
  MessageInitShape<typeof RerankRequestSchema>,
  "documents" | "$typeName"
> & {
  readonly documents: readonly DocumentInit[];
};

/** A `RerankBatchRequest` whose documents may be texts. */
export type RerankBatchInit = Omit<
  MessageInitShape<typeof RerankBatchRequestSchema>,
  "request" | "$typeName"
> & {
  readonly request?: RerankInit;
};

/** The request with its texts made documents. */
export function rerankRequest(init: RerankInit): MessageInitShape<typeof RerankRequestSchema> {
  return { ...init, documents: init.documents.map(asDocument) };
}

/** The request with its texts made documents. */
export function batchRequest(
  init: RerankBatchInit,
): MessageInitShape<typeof RerankBatchRequestSchema> {
  const { request, ...rest } = init;
  // A missing request is the gateway's to refuse.
  return request === undefined ? rest : { ...rest, request: rerankRequest(request) };
}

function asDocument(init: DocumentInit): Document {
  return create(DocumentSchema, typeof init === "string" ? { text: init } : init);
}
