// Stores documents, finds them as soon as they are stored, and removes them, in one trace.
//
//     node build/examples/search.js [HOST:PORT]

import { trace } from "@opentelemetry/api";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { fallbackOf, inBatches, RerankClient } from "@rerank-gateway/client";
import { traceContext } from "@rerank-gateway/client/opentelemetry";

const DOCUMENTS = [
  { id: "rome", title: "Rome", text: "The capital of Italy, on the Tiber." },
  { id: "paris", title: "Paris", text: "The capital of France, on the Seine." },
  { id: "lyon", title: "Lyon", text: "A city of France, where Rhône and Saône meet." },
];

// Without an exporter it goes nowhere; the gateway's spans join it nevertheless.
const provider = new NodeTracerProvider();
provider.register();

await using client = new RerankClient(process.argv[2] ?? "localhost:50051", {
  metadata: traceContext,
});
const collection = `example_${process.pid}`;

await trace.getTracer("example").startActiveSpan("search", async (span) => {
  console.log(`trace ${span.spanContext().traceId}`);
  await client.createCollection({ name: collection });
  try {
    let minVersion = 0n;
    const batches = inBatches(DOCUMENTS, { collection });
    for await (const batch of client.importDocuments(batches, { timeoutMs: 60_000 })) {
      console.log(`stored ${batch.acceptedCount}, rejected ${batch.rejected.length}`);
      minVersion = batch.version;
    }

    const search = { query: "cities of France", collection, limit: 2, minVersion };
    for await (const { final, searchResponse } of client.searchProgressive({ search })) {
      if (searchResponse === undefined) continue;
      console.log(`${final ? "final" : "at once"}: ${searchResponse.searchMethod}`);
      for (const { rank, document } of searchResponse.results) {
        console.log(`  ${rank}. ${document?.title}`);
      }
      const fallback = final && fallbackOf(searchResponse);
      if (fallback) console.log(`  not as wanted: ${fallback.message}`);
    }
  } finally {
    await client.deleteCollection({ name: collection });
    span.end();
  }
});
await provider.shutdown();
