// Cutting documents into the batches of an import.

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Document, DocumentSchema } from "./gen/rerank/v1/document_pb.js";
import {
  type ImportDocumentsRequest,
  ImportDocumentsRequestSchema,
} from "./gen/rerank/v1/document_service_pb.js";

// Far from the 32 MiB that the gateway takes, and enough that a batch is seldom cut for its bytes.
const MOST_BYTES = 4 * 1024 * 1024;

/** How documents are cut into batches. */
export interface Batching {
  /** Name of the collection. Default: `default`. */
  readonly collection?: string | undefined;
  /** Most documents of one batch: 1 to 1000. Default: 200. */
  readonly size?: number | undefined;
}

/**
 * Requests for `importDocuments` that hold these documents in their order. `batchId` counts the
 * batches from 0. A batch is cut earlier where its message would become larger than 4 MiB.
 */
export async function* inBatches(
  documents:
    | Iterable<MessageInitShape<typeof DocumentSchema>>
    | AsyncIterable<MessageInitShape<typeof DocumentSchema>>,
  { collection = "", size = 200 }: Batching = {},
): AsyncGenerator<ImportDocumentsRequest, void, undefined> {
  let batch: Document[] = [];
  let bytes = 0;
  let count = 0;
  const cut = () => {
    const request = create(ImportDocumentsRequestSchema, {
      collection,
      batchId: String(count++),
      documents: batch,
    });
    batch = [];
    bytes = 0;
    return request;
  };

  for await (const init of documents) {
    const document = create(DocumentSchema, init);
    const more = toBinary(DocumentSchema, document).byteLength;
    if (batch.length > 0 && (batch.length >= size || bytes + more > MOST_BYTES)) yield cut();
    batch.push(document);
    bytes += more;
  }
  if (batch.length > 0) yield cut();
}
