package io.github.rerankgateway.client;

import io.github.rerankgateway.v1.Document;
import io.github.rerankgateway.v1.RerankRequest;
import io.github.rerankgateway.v1.SearchRequest;
import java.util.List;
import java.util.function.Consumer;

/** Requests from what nearly every caller says. */
final class Requests {
  private Requests() {}

  static RerankRequest rerank(
      String query, List<Document> documents, Consumer<RerankRequest.Builder> options) {
    RerankRequest.Builder request =
        RerankRequest.newBuilder().setQuery(query).addAllDocuments(documents);
    options.accept(request);
    return request.build();
  }

  static SearchRequest search(String query, Consumer<SearchRequest.Builder> options) {
    SearchRequest.Builder request = SearchRequest.newBuilder().setQuery(query);
    options.accept(request);
    return request.build();
  }
}
