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
import io.github.rerankgateway.v1.ListDocumentsRequest;
import io.github.rerankgateway.v1.ListDocumentsResponse;
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
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.function.Consumer;

/**
 * A connection to a gateway, whose methods do not wait: {@link RerankClient#async}. What each does
 * is said there.
 *
 * <p>A failure is a {@link RerankException}; {@link CompletableFuture#join} wraps it. A future that
 * the caller ends, by {@code cancel} or {@code orTimeout}, ends its call. What is chained to a
 * future runs on gRPC's threads, and should not wait there.
 *
 * <p>A publisher makes a call for each subscriber, answers as fast as the subscriber asks, and ends
 * the call when it cancels.
 */
public final class AsyncRerankClient implements AutoCloseable {
  private final Calls calls;

  AsyncRerankClient(Calls calls) {
    this.calls = calls;
  }

  /** As {@link RerankClient#withDeadline}. */
  public AsyncRerankClient withDeadline(Duration deadline) {
    return new AsyncRerankClient(calls.withDeadline(deadline));
  }

  /** As {@link RerankClient#rerank(String, List)}. */
  public CompletableFuture<RerankResponse> rerank(String query, List<Document> documents) {
    return rerank(query, documents, request -> {});
  }

  /** As {@link RerankClient#rerank(String, List, Consumer)}. */
  public CompletableFuture<RerankResponse> rerank(
      String query, List<Document> documents, Consumer<RerankRequest.Builder> options) {
    return rerank(Requests.rerank(query, documents, options));
  }

  /** As {@link RerankClient#rerank(RerankRequest)}. */
  public CompletableFuture<RerankResponse> rerank(RerankRequest request) {
    return calls.future(RerankServiceGrpc.getRerankMethod(), request);
  }

  /** As {@link RerankClient#rerankBatch(Iterable)}. */
  public Flow.Publisher<RerankBatchResponse> rerankBatch(Iterable<RerankBatchRequest> requests) {
    return rerankBatch(new IterablePublisher<>(requests));
  }

  /** The same with requests that are asked for as the gateway takes them. */
  public Flow.Publisher<RerankBatchResponse> rerankBatch(
      Flow.Publisher<RerankBatchRequest> requests) {
    return calls.publisher(RerankServiceGrpc.getRerankBatchMethod(), requests);
  }

  /** As {@link RerankClient#search(String)}. */
  public CompletableFuture<SearchResponse> search(String query) {
    return search(query, request -> {});
  }

  /** As {@link RerankClient#search(String, Consumer)}. */
  public CompletableFuture<SearchResponse> search(
      String query, Consumer<SearchRequest.Builder> options) {
    return search(Requests.search(query, options));
  }

  /** As {@link RerankClient#search(SearchRequest)}. */
  public CompletableFuture<SearchResponse> search(SearchRequest request) {
    return calls.future(SearchServiceGrpc.getSearchMethod(), request);
  }

  /** As {@link RerankClient#searchProgressive(SearchRequest)}. */
  public Flow.Publisher<SearchProgressiveResponse> searchProgressive(SearchRequest request) {
    return searchProgressive(SearchProgressiveRequest.newBuilder().setSearch(request).build());
  }

  /** As {@link RerankClient#searchProgressive(SearchProgressiveRequest)}. */
  public Flow.Publisher<SearchProgressiveResponse> searchProgressive(
      SearchProgressiveRequest request) {
    return calls.publisher(
        SearchServiceGrpc.getSearchProgressiveMethod(), new IterablePublisher<>(List.of(request)));
  }

  /** As {@link RerankClient#importDocuments(Iterable)}. */
  public Flow.Publisher<ImportDocumentsResponse> importDocuments(
      Iterable<ImportDocumentsRequest> batches) {
    return importDocuments(new IterablePublisher<>(batches));
  }

  /** The same with batches that are asked for as the gateway takes them. */
  public Flow.Publisher<ImportDocumentsResponse> importDocuments(
      Flow.Publisher<ImportDocumentsRequest> batches) {
    return calls.publisher(DocumentServiceGrpc.getImportDocumentsMethod(), batches);
  }

  /** As {@link RerankClient#getDocument}. */
  public CompletableFuture<GetDocumentResponse> getDocument(GetDocumentRequest request) {
    return calls.future(DocumentServiceGrpc.getGetDocumentMethod(), request);
  }

  /** As {@link RerankClient#listDocuments}. */
  public CompletableFuture<ListDocumentsResponse> listDocuments(ListDocumentsRequest request) {
    return calls.future(DocumentServiceGrpc.getListDocumentsMethod(), request);
  }

  /** As {@link RerankClient#deleteDocuments}. */
  public CompletableFuture<DeleteDocumentsResponse> deleteDocuments(
      DeleteDocumentsRequest request) {
    return calls.future(DocumentServiceGrpc.getDeleteDocumentsMethod(), request);
  }

  /** As {@link RerankClient#createCollection}. */
  public CompletableFuture<CreateCollectionResponse> createCollection(
      CreateCollectionRequest request) {
    return calls.future(DocumentServiceGrpc.getCreateCollectionMethod(), request);
  }

  /** As {@link RerankClient#deleteCollection}. */
  public CompletableFuture<DeleteCollectionResponse> deleteCollection(
      DeleteCollectionRequest request) {
    return calls.future(DocumentServiceGrpc.getDeleteCollectionMethod(), request);
  }

  /** As {@link RerankClient#listCollections}. */
  public CompletableFuture<ListCollectionsResponse> listCollections(
      ListCollectionsRequest request) {
    return calls.future(DocumentServiceGrpc.getListCollectionsMethod(), request);
  }

  /** As {@link RerankClient#listBackends}. */
  public CompletableFuture<ListBackendsResponse> listBackends(ListBackendsRequest request) {
    return calls.future(BackendServiceGrpc.getListBackendsMethod(), request);
  }

  /** As {@link RerankClient#checkBackend}. */
  public CompletableFuture<CheckBackendResponse> checkBackend(CheckBackendRequest request) {
    return calls.future(BackendServiceGrpc.getCheckBackendMethod(), request);
  }

  /** As {@link RerankClient#checkHealth()}. */
  public CompletableFuture<HealthCheckResponse> checkHealth() {
    return checkHealth(HealthCheckRequest.getDefaultInstance());
  }

  /** As {@link RerankClient#checkHealth(HealthCheckRequest)}. */
  public CompletableFuture<HealthCheckResponse> checkHealth(HealthCheckRequest request) {
    return calls.future(HealthGrpc.getCheckMethod(), request);
  }

  /** Ends the connection, and with it every call that is still open. */
  @Override
  public void close() {
    calls.close();
  }
}
