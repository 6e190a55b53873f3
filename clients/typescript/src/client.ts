// The client: one method for each RPC, under its name.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Answers, bidiStream, type Requests, serverStream, unary } from "./calls.js";
import { Channel } from "./channel.js";
import { Health, type HealthCheckResponse_ServingStatus } from "./gen/grpc/health/v1/health_pb.js";
import type { Backend } from "./gen/rerank/v1/backend_pb.js";
import * as backends from "./gen/rerank/v1/backend_service_pb.js";
import type { Collection } from "./gen/rerank/v1/collection_pb.js";
import type { Document } from "./gen/rerank/v1/document_pb.js";
import * as documents from "./gen/rerank/v1/document_service_pb.js";
import * as reranks from "./gen/rerank/v1/rerank_service_pb.js";
import * as searches from "./gen/rerank/v1/search_service_pb.js";
import type { CallOptions, ClientOptions } from "./options.js";
import { batchRequest, type RerankBatchInit, type RerankInit, rerankRequest } from "./requests.js";

const RERANK = reranks.RerankService.method;
const SEARCH = searches.SearchService.method;
const DOCUMENT = documents.DocumentService.method;
const BACKEND = backends.BackendService.method;

/**
 * A client of one gateway, or of several equal ones. Cheap to keep, so make one for the process.
 *
 * Every method takes the request message of its RPC, as a message or as a plain object, and
 * answers the response message; the comments of the `.proto` files, which are those of the types,
 * say what they mean. A failed call throws `RerankError`, one that its caller cancelled throws
 * `signal.reason`, and a request that cannot be encoded throws before anything is sent.
 *
 *     await using client = new RerankClient("localhost:50051");
 *     const answer = await client.rerank({ query, documents: ["Rome", "Paris"] });
 */
export class RerankClient implements AsyncDisposable {
  readonly #channel: Channel;

  /**
   * Connects with the first call.
   *
   * @param address `host:port`, all of whose addresses are used in turn, or another target of
   *   gRPC: `dns:///gateway:50051`, `unix:/run/gateway.sock`, `ipv4:10.0.0.1:50051,10.0.0.2:50051`
   */
  constructor(address: string, options: ClientOptions = {}) {
    this.#channel = new Channel(address, options);
  }

  /** Orders documents by how well they answer a query. */
  async rerank(request: RerankInit, call: CallOptions = {}): Promise<reranks.RerankResponse> {
    return unary(this.#channel, RERANK.rerank, rerankRequest(request), call);
  }

  /**
   * Orders the documents of many requests. The answers come as they are ready, in any order: match
   * them by `requestId`, and read them with `answerOf`. Requests are taken from the iterable as
   * the gateway takes them.
   */
  rerankBatch(
    requests: Requests<RerankBatchInit>,
    call: CallOptions = {},
  ): Answers<reranks.RerankBatchResponse> {
    return bidiStream(this.#channel, RERANK.rerankBatch, requests, call, batchRequest);
  }

  /** Finds documents in a collection and orders them. */
  async search(
    request: MessageInitShape<typeof searches.SearchRequestSchema>,
    call: CallOptions = {},
  ): Promise<searches.SearchResponse> {
    return unary(this.#channel, SEARCH.search, request, call);
  }

  /** The same in two answers: at once as retrieved, then, with `final`, as reranked. */
  searchProgressive(
    request: MessageInitShape<typeof searches.SearchProgressiveRequestSchema>,
    call: CallOptions = {},
  ): Answers<searches.SearchProgressiveResponse> {
    return serverStream(this.#channel, SEARCH.searchProgressive, request, call);
  }

  /**
   * Stores documents, batch by batch; `inBatches` makes batches of documents. Each is answered, in
   * order, when it is durable. Mind the deadline: it is that of the whole import.
   */
  importDocuments(
    batches: Requests<MessageInitShape<typeof documents.ImportDocumentsRequestSchema>>,
    call: CallOptions = {},
  ): Answers<documents.ImportDocumentsResponse> {
    return bidiStream(this.#channel, DOCUMENT.importDocuments, batches, call, (batch) => batch);
  }

  /** Removes documents. */
  async deleteDocuments(
    request: MessageInitShape<typeof documents.DeleteDocumentsRequestSchema>,
    call: CallOptions = {},
  ): Promise<documents.DeleteDocumentsResponse> {
    return unary(this.#channel, DOCUMENT.deleteDocuments, request, call);
  }

  /** Brings one stored document. */
  async getDocument(
    request: MessageInitShape<typeof documents.GetDocumentRequestSchema>,
    call: CallOptions = {},
  ): Promise<documents.GetDocumentResponse> {
    return unary(this.#channel, DOCUMENT.getDocument, request, call);
  }

  /** Lists one page of the documents of a collection; `documents` lists them all. */
  async listDocuments(
    request: MessageInitShape<typeof documents.ListDocumentsRequestSchema> = {},
    call: CallOptions = {},
  ): Promise<documents.ListDocumentsResponse> {
    return unary(this.#channel, DOCUMENT.listDocuments, request, call);
  }

  /**
   * All documents of a collection, from the page on that the request names; asks page by page. The
   * deadline is that of each page.
   */
  async *documents(
    request: MessageInitShape<typeof documents.ListDocumentsRequestSchema> = {},
    call: CallOptions = {},
  ): Answers<Document> {
    for (let pageToken: string | undefined = request.pageToken ?? ""; pageToken !== undefined; ) {
      const page: documents.ListDocumentsResponse = await this.listDocuments(
        { ...request, pageToken },
        call,
      );
      yield* page.documents;
      pageToken = page.nextPageToken || undefined;
    }
  }

  /** Creates an empty collection. Is not repeated when the gateway is not available. */
  async createCollection(
    request: MessageInitShape<typeof documents.CreateCollectionRequestSchema>,
    call: CallOptions = {},
  ): Promise<documents.CreateCollectionResponse> {
    return unary(this.#channel, DOCUMENT.createCollection, request, call);
  }

  /** Removes a collection and all of its documents. */
  async deleteCollection(
    request: MessageInitShape<typeof documents.DeleteCollectionRequestSchema>,
    call: CallOptions = {},
  ): Promise<documents.DeleteCollectionResponse> {
    return unary(this.#channel, DOCUMENT.deleteCollection, request, call);
  }

  /** Lists one page of the collections; `collections` lists them all. */
  async listCollections(
    request: MessageInitShape<typeof documents.ListCollectionsRequestSchema> = {},
    call: CallOptions = {},
  ): Promise<documents.ListCollectionsResponse> {
    return unary(this.#channel, DOCUMENT.listCollections, request, call);
  }

  /** All collections, by name; asks page by page. The deadline is that of each page. */
  async *collections(call: CallOptions = {}): Answers<Collection> {
    for (let pageToken: string | undefined = ""; pageToken !== undefined; ) {
      const page: documents.ListCollectionsResponse = await this.listCollections(
        { pageToken },
        call,
      );
      yield* page.collections;
      pageToken = page.nextPageToken || undefined;
    }
  }

  /** Lists one page of what the gateway uses; `backends` lists it all. */
  async listBackends(
    request: MessageInitShape<typeof backends.ListBackendsRequestSchema> = {},
    call: CallOptions = {},
  ): Promise<backends.ListBackendsResponse> {
    return unary(this.#channel, BACKEND.listBackends, request, call);
  }

  /** All that the gateway uses, by name; asks page by page. The deadline is that of each page. */
  async *backends(call: CallOptions = {}): Answers<Backend> {
    for (let pageToken: string | undefined = ""; pageToken !== undefined; ) {
      const page: backends.ListBackendsResponse = await this.listBackends({ pageToken }, call);
      yield* page.backends;
      pageToken = page.nextPageToken || undefined;
    }
  }

  /** Asks one backend whether it works. */
  async checkBackend(
    request: MessageInitShape<typeof backends.CheckBackendRequestSchema>,
    call: CallOptions = {},
  ): Promise<backends.CheckBackendResponse> {
    return unary(this.#channel, BACKEND.checkBackend, request, call);
  }

  /**
   * Whether the gateway serves. It does with every backend down, because it still answers.
   *
   * @param service name of one service, such as `rerank.v1.SearchService`. Empty: all.
   */
  async health(service = "", call: CallOptions = {}): Promise<HealthCheckResponse_ServingStatus> {
    const answer = await unary(this.#channel, Health.method.check, { service }, call);
    return answer.status;
  }

  /** Cancels the calls that are open, and disconnects. Calls after it throw. */
  close(): void {
    this.#channel.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
