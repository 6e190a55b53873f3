package io.github.rerankgateway.client;

import com.google.gson.JsonElement;
import com.google.protobuf.Message;
import io.github.rerankgateway.v1.CheckBackendRequest;
import io.github.rerankgateway.v1.CreateCollectionRequest;
import io.github.rerankgateway.v1.DeleteCollectionRequest;
import io.github.rerankgateway.v1.DeleteDocumentsRequest;
import io.github.rerankgateway.v1.GetDocumentRequest;
import io.github.rerankgateway.v1.ImportDocumentsRequest;
import io.github.rerankgateway.v1.ListBackendsRequest;
import io.github.rerankgateway.v1.ListCollectionsRequest;
import io.github.rerankgateway.v1.ListDocumentsRequest;
import io.github.rerankgateway.v1.RerankBatchRequest;
import io.github.rerankgateway.v1.RerankRequest;
import io.github.rerankgateway.v1.SearchProgressiveRequest;
import io.github.rerankgateway.v1.SearchRequest;
import io.grpc.health.v1.HealthCheckRequest;
import java.util.List;

/** The table through the methods that wait. */
final class BlockingConformanceTest extends ConformanceTable {
  @Override
  List<? extends Message> call(RerankClient client, String method, List<JsonElement> requests) {
    return switch (method) {
      case "rerank.v1.RerankService/Rerank" ->
          List.of(client.rerank(Json.only(requests, RerankRequest.newBuilder()).build()));
      case "rerank.v1.SearchService/Search" ->
          List.of(client.search(Json.only(requests, SearchRequest.newBuilder()).build()));
      case "rerank.v1.DocumentService/GetDocument" ->
          List.of(client.getDocument(Json.only(requests, GetDocumentRequest.newBuilder()).build()));
      case "rerank.v1.DocumentService/ListDocuments" ->
          List.of(
              client.listDocuments(Json.only(requests, ListDocumentsRequest.newBuilder()).build()));
      case "rerank.v1.DocumentService/DeleteDocuments" ->
          List.of(
              client.deleteDocuments(
                  Json.only(requests, DeleteDocumentsRequest.newBuilder()).build()));
      case "rerank.v1.DocumentService/CreateCollection" ->
          List.of(
              client.createCollection(
                  Json.only(requests, CreateCollectionRequest.newBuilder()).build()));
      case "rerank.v1.DocumentService/DeleteCollection" ->
          List.of(
              client.deleteCollection(
                  Json.only(requests, DeleteCollectionRequest.newBuilder()).build()));
      case "rerank.v1.DocumentService/ListCollections" ->
          List.of(
              client.listCollections(
                  Json.only(requests, ListCollectionsRequest.newBuilder()).build()));
      case "rerank.v1.BackendService/ListBackends" ->
          List.of(
              client.listBackends(Json.only(requests, ListBackendsRequest.newBuilder()).build()));
      case "rerank.v1.BackendService/CheckBackend" ->
          List.of(
              client.checkBackend(Json.only(requests, CheckBackendRequest.newBuilder()).build()));
      case "grpc.health.v1.Health/Check" ->
          List.of(client.checkHealth(Json.only(requests, HealthCheckRequest.newBuilder()).build()));
      case "rerank.v1.SearchService/SearchProgressive" ->
          all(
              client.searchProgressive(
                  Json.only(requests, SearchProgressiveRequest.newBuilder()).build()));
      case "rerank.v1.RerankService/RerankBatch" ->
          all(
              client.rerankBatch(
                  requests.stream()
                      .map(json -> Json.read(json, RerankBatchRequest.newBuilder()).build())
                      .toList()));
      case "rerank.v1.DocumentService/ImportDocuments" ->
          all(
              client.importDocuments(
                  requests.stream()
                      .map(json -> Json.read(json, ImportDocumentsRequest.newBuilder()).build())
                      .toList()));
      default -> throw new AssertionError("no such method: " + method);
    };
  }

  private static <A> List<A> all(AnswerStream<A> answers) {
    try (answers) {
      return answers.stream().toList();
    }
  }
}
