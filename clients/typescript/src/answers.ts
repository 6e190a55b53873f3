// Reading answers.

import { RerankError } from "./errors.js";
import { FallbackReason } from "./gen/rerank/v1/execution_pb.js";
import type { RerankBatchResponse, RerankResponse } from "./gen/rerank/v1/rerank_service_pb.js";
import type { SearchResponse } from "./gen/rerank/v1/search_service_pb.js";

/** Why an answer is less than what was asked for. */
export interface Fallback {
  /** Why the last backend asked gave no scores. UNSPECIFIED: another stage did less. */
  readonly reason: FallbackReason;
  /** The same in words, for people. */
  readonly message: string;
}

/** Why the answer is less than what was asked for. Undefined: it is not. */
export function fallbackOf(answer: RerankResponse | SearchResponse): Fallback | undefined {
  if (!answer.fallbackTriggered) return undefined;
  return {
    reason: answer.execution?.fallbackReason ?? FallbackReason.UNSPECIFIED,
    message: answer.message,
  };
}

/**
 * The caller's own documents, of whatever type, in the new order. Those that the answer left out
 * are left out.
 *
 * @param documents those of the request, in its order
 */
export function reordered<Document>(
  documents: readonly Document[],
  answer: RerankResponse,
): Document[] {
  return answer.results.map(({ index }) => {
    if (index >= documents.length) {
      throw new RangeError(`the answer ranks document ${index} of ${documents.length}`);
    }
    return documents[index] as Document;
  });
}

/** The answer to one request of a batch. Throws `RerankError` if there is an error instead. */
export function answerOf({ result }: RerankBatchResponse): RerankResponse {
  switch (result.case) {
    case "response":
      return result.value;
    case "error":
      throw RerankError.fromBatch(result.value);
    default:
      throw new TypeError("the gateway answered with neither a response nor an error");
  }
}
