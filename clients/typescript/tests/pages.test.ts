// What a gateway answers page by page, as one sequence.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import {
  Code,
  DocumentService,
  type ListDocumentsRequest,
  ListDocumentsRequestSchema,
  type ListDocumentsResponse,
  ListDocumentsResponseSchema,
  RerankClient,
  RerankError,
} from "@rerank-gateway/client";
import { failing, play } from "./support/played.js";

const PAGES: Record<string, { documents: { id: string }[]; nextPageToken?: string }> = {
  "": { documents: [{ id: "a" }, { id: "b" }], nextPageToken: "2" },
  "2": { documents: [], nextPageToken: "3" },
  "3": { documents: [{ id: "c" }] },
};

/** A method that answers those pages, and keeps what it was asked. */
function paged(pages = PAGES) {
  const asked: ListDocumentsRequest[] = [];
  return {
    asked,
    listDocuments(
      { request }: ServerUnaryCall<ListDocumentsRequest, ListDocumentsResponse>,
      answer: sendUnaryData<ListDocumentsResponse>,
    ): void {
      asked.push(request);
      const page = pages[request.pageToken];
      if (page) answer(null, create(ListDocumentsResponseSchema, page));
      else answer(failing(Code.INVALID_ARGUMENT));
    },
  };
}

describe("the documents of a collection", () => {
  it("are those of all pages, each asked for when it is its turn", async () => {
    const { asked, listDocuments } = paged();
    await using gateway = await play(DocumentService, { listDocuments });
    await using client = new RerankClient(gateway.address);

    const documents = client.documents({ collection: "papers", returnEmbeddings: true });
    assert.equal((await documents.next()).value?.id, "a");
    assert.equal(asked.length, 1);
    const rest = [];
    for await (const { id } of documents) rest.push(id);

    assert.deepEqual(rest, ["b", "c"]);
    assert.deepEqual(
      asked.map(({ pageToken }) => pageToken),
      ["", "2", "3"],
    );
    assert(asked.every((each) => each.collection === "papers" && each.returnEmbeddings));
  });

  it("begin with the page that is asked for, by a message too", async () => {
    const { asked, listDocuments } = paged();
    await using gateway = await play(DocumentService, { listDocuments });
    await using client = new RerankClient(gateway.address);
    const request = create(ListDocumentsRequestSchema, { collection: "papers", pageToken: "2" });

    const ids = [];
    for await (const { id } of client.documents(request)) ids.push(id);

    assert.deepEqual(ids, ["c"]);
    assert.deepEqual(
      asked.map(({ collection, pageToken }) => [collection, pageToken]),
      [
        ["papers", "2"],
        ["papers", "3"],
      ],
    );
    assert.equal(request.pageToken, "2");
  });

  it("end with the error of a page", async () => {
    const { listDocuments } = paged({ "": { documents: [{ id: "a" }], nextPageToken: "gone" } });
    await using gateway = await play(DocumentService, { listDocuments });
    await using client = new RerankClient(gateway.address);

    const documents = client.documents();
    assert.equal((await documents.next()).value?.id, "a");
    await assert.rejects(
      documents.next(),
      (error) => error instanceof RerankError && error.code === Code.INVALID_ARGUMENT,
    );
  });
});
