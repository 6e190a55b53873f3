// Reranks documents of one's own: with a deadline, and with what to do after a fallback.
//
//     node build/examples/rerank.js [HOST:PORT]

import {
  Code,
  ErrorReason,
  FallbackReason,
  fallbackOf,
  RerankClient,
  RerankError,
  reordered,
} from "@rerank-gateway/client";

const QUERY = "What is the capital of France?";
const PAGES = [
  { url: "/rome", text: "Rome is the capital of Italy." },
  { url: "/wine", text: "France is known for its wine." },
  { url: "/paris", text: "Paris is the capital of France." },
];

await using client = new RerankClient(process.argv[2] ?? "localhost:50051");

try {
  const answer = await client.rerank(
    { query: QUERY, documents: PAGES.map(({ text }) => text) },
    { timeoutMs: 2_000 },
  );

  // A fallback is an answer like any other: the order is then the one received.
  const fallback = fallbackOf(answer);
  if (fallback !== undefined) {
    console.log(`not as wanted (${FallbackReason[fallback.reason]}): ${fallback.message}`);
  }
  console.log(`${answer.searchMethod}, judged by ${answer.execution?.model || "nobody"}`);
  for (const page of reordered(PAGES, answer)) console.log(page.url);
} catch (error) {
  if (!(error instanceof RerankError)) throw error;
  console.error(`${Code[error.code]} (${ErrorReason[error.reason]}): ${error.message}`);
  process.exitCode = 1;
}
