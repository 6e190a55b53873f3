package io.github.rerankgateway.client;

import io.github.rerankgateway.v1.BackendServiceGrpc;
import io.github.rerankgateway.v1.CheckBackendRequest;
import io.github.rerankgateway.v1.CheckBackendResponse;
import io.github.rerankgateway.v1.CreateCollectionRequest;
import io.github.rerankgateway.v1.CreateCollectionResponse;
import io.github.rerankgateway.v1.DeleteCollectionRequest;
import io.github.rerankgateway.v1.DeleteCollectionResponse;
import io.github.rerankgateway.v1.DeleteDocumentsRequest;
import io.github.rerankgateway.v1.DeleteDocumentsResponse;
import io.github.rerankgateway.v1.Document;
import io.github.rerankgateway.v1.DocumentServiceGrpc;
import io.github.rerankgateway.v1.GetDocumentRequest;
import io.github.rerankgateway.v1.GetDocumentResponse;
import io.github.rerankgateway.v1.ImportDocumentsRequest;
import io.github.rerankgateway.v1.ImportDocumentsResponse;
import io.github.rerankgateway.v1.ListBackendsRequest;
import io.github.rerankgateway.v1.ListBackendsResponse;
import io.github.rerankgateway.v1.ListCollectionsRequest;
import io.github.rerankgateway.v1.ListCollectionsResponse;
import io.github.rerankgateway.v1.RerankBatchRequest;
import io.github.rerankgateway.v1.RerankBatchResponse;
import io.github.rerankgateway.v1.RerankRequest;
import io.github.rerankgateway.v1.RerankResponse;
import io.github.rerankgateway.v1.RerankServiceGrpc;
import io.github.rerankgateway.v1.SearchProgressiveRequest;
import io.github.rerankgateway.v1.SearchProgressiveResponse;
import io.github.rerankgateway.v1.SearchRequest;
import io.github.rerankgateway.v1.SearchResponse;
import io.github.rerankgateway.v1.SearchServiceGrpc;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthGrpc;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;

/**
 * A connection to a gateway, whose methods wait for their answers.
 *
 * <pre>{@code
 * try (RerankClient client = RerankClient.connect("localhost:50051")) {
 *   RerankResponse answer =
 *       client.rerank("capital of France", Documents.ofTexts("Rome", "Paris"));
 * }
 * }</pre>
 *
 * <p>Safe for use by many threads, and one for a whole program is enough. It connects with the
 * first call. Requests and answers are the messages of the contract, whose comments say what each
 * field means. What was wrong with a request or a call is a {@link RerankException}; that the
 * gateway fell back to the order received is none: see {@link Rankings#fellBack}.
 *
 * <p>Every call has a deadline: 10 seconds, unless {@link RerankClientBuilder#deadline} or {@link
 * #withDeadline} says otherwise; for a stream it is the time of the whole stream. A call ends early
 * when its thread is interrupted or the {@link io.grpc.Context} it is made in is cancelled, and the
 * gateway stops working on it.
 */
public final class RerankClient implements AutoCloseable {
  private final Calls calls;

  RerankClient(Calls calls) {
    this.calls = calls;
  }

  /**
   * Makes a client with all defaults: in plain text, without a token.
   *
   * @param address {@code HOST:PORT}, or any target that gRPC knows
   */
  public static RerankClient connect(String address) {
    return builder(address).build();
  }

  /**
   * Begins a client with TLS, a token, or anything else that is not the default.
   *
   * @param address {@code HOST:PORT}, or any target that gRPC knows
   */
  public static RerankClientBuilder builder(String address) {
    return new RerankClientBuilder(address);
  }

  /**
   * Gives a view of this client whose calls have another deadline. Both use one connection, and
   * closing either closes it.
   *
   * @param deadline time from the start of each call, more than 0
   */
  public RerankClient withDeadline(Duration deadline) {
    return new RerankClient(calls.withDeadline(deadline));
  }

  /** Gives a view of this client whose methods do not wait. Closing either closes both. */
  public AsyncRerankClient async() {
    return new AsyncRerankClient(calls);
  }

  /** Orders documents by how well they answer a query, with the default route. */
  public RerankResponse rerank(String query, List<Document> documents) {
    return rerank(query, documents, request -> {});
  }

  /**
   * Orders documents by how well they answer a query.
   *
   * @param options sets further fields, as in {@code request -> request.setTopN(5)}
   */
  public RerankResponse rerank(
      String query, List<Document> documents, Consumer<RerankRequest.Builder> options) {
    return rerank(Requests.rerank(query, documents, options));
  }

  /** Orders documents by how well they answer a query. */
  public RerankResponse rerank(RerankRequest request) {
    return calls.answer(RerankServiceGrpc.getRerankMethod(), request);
  }

  /**
   * Orders the documents of many independent requests. The answers come as they are ready, so in
   * any order: match them by {@code request_id}. What is wrong with one request is the {@code
   * error} in its answer, and {@link
   * RerankException#of(io.github.rerankgateway.v1.RerankBatchError)} makes an exception of it.
   *
   * <p>The requests are taken one by one, while the answers are read and as fast as the gateway
   * takes them.
   */
  public AnswerStream<RerankBatchResponse> rerankBatch(Iterable<RerankBatchRequest> requests) {
    return rerankBatch(requests.iterator());
  }

  /** The same with requests that are made as they are needed. */
  public AnswerStream<RerankBatchResponse> rerankBatch(Iterator<RerankBatchRequest> requests) {
    return calls.stream(RerankServiceGrpc.getRerankBatchMethod(), requests);
  }

  /** Finds the documents of the default collection that answer a query best. */
  public SearchResponse search(String query) {
    return search(query, request -> {});
  }

  /**
   * Finds the documents that answer a query best.
   *
   * @param options sets further fields, as in {@code request -> request.setCollection("papers")}
   */
  public SearchResponse search(String query, Consumer<SearchRequest.Builder> options) {
    return search(Requests.search(query, options));
  }

  /** Finds the documents that answer a query best. */
  public SearchResponse search(SearchRequest request) {
    return calls.answer(SearchServiceGrpc.getSearchMethod(), request);
  }

  /** Searches and answers twice: at once with the order before reranking, then with the last. */
  public AnswerStream<SearchProgressiveResponse> searchProgressive(SearchRequest request) {
    return searchProgressive(SearchProgressiveRequest.newBuilder().setSearch(request).build());
  }

  /** Searches and answers twice: at once with the order before reranking, then with the last. */
  public AnswerStream<SearchProgressiveResponse> searchProgressive(
      SearchProgressiveRequest request) {
    return calls.stream(
        SearchServiceGrpc.getSearchProgressiveMethod(), List.of(request).iterator());
  }

  /**
   * Stores documents in batches. Each batch is answered in its turn, when it is durable.
   *
   * <p>The batches are taken one by one, while the answers are read and as fast as the gateway
   * takes them: what is not read to its end may not be stored.
   */
  public AnswerStream<ImportDocumentsResponse> importDocuments(
      Iterable<ImportDocumentsRequest> batches) {
    return importDocuments(batches.iterator());
  }

  /** The same with batches that are made as they are needed. */
  public AnswerStream<ImportDocumentsResponse> importDocuments(
      Iterator<ImportDocumentsRequest> batches) {
    return calls.stream(DocumentServiceGrpc.getImportDocumentsMethod(), batches);
  }

  /** Brings one stored document. */
  public GetDocumentResponse getDocument(GetDocumentRequest request) {
    return calls.answer(DocumentServiceGrpc.getGetDocumentMethod(), request);
  }

  /** Removes documents. Ids that are not stored are skipped. */
  public DeleteDocumentsResponse deleteDocuments(DeleteDocumentsRequest request) {
    return calls.answer(DocumentServiceGrpc.getDeleteDocumentsMethod(), request);
  }

  /** Creates an empty collection. */
  public CreateCollectionResponse createCollection(CreateCollectionRequest request) {
    return calls.answer(DocumentServiceGrpc.getCreateCollectionMethod(), request);
  }

  /** Removes a collection and all of its documents. */
  public DeleteCollectionResponse deleteCollection(DeleteCollectionRequest request) {
    return calls.answer(DocumentServiceGrpc.getDeleteCollectionMethod(), request);
  }

  /** Lists a page of the collections. */
  public ListCollectionsResponse listCollections(ListCollectionsRequest request) {
    return calls.answer(DocumentServiceGrpc.getListCollectionsMethod(), request);
  }

  /** Lists a page of what the gateway uses, and what is known about each. */
  public ListBackendsResponse listBackends(ListBackendsRequest request) {
    return calls.answer(BackendServiceGrpc.getListBackendsMethod(), request);
  }

  /** Asks one backend now whether it works. */
  public CheckBackendResponse checkBackend(CheckBackendRequest request) {
    return calls.answer(BackendServiceGrpc.getCheckBackendMethod(), request);
  }

  /** Tells whether the gateway as a whole answers calls. */
  public HealthCheckResponse checkHealth() {
    return checkHealth(HealthCheckRequest.getDefaultInstance());
  }

  /** Tells whether a service, such as {@code rerank.v1.SearchService}, answers calls. */
  public HealthCheckResponse checkHealth(HealthCheckRequest request) {
    return calls.answer(HealthGrpc.getCheckMethod(), request);
  }

  /** Ends the connection, and with it every call that is still open. */
  @Override
  public void close() {
    calls.close();
  }
}
