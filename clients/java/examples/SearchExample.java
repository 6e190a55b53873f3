import io.github.rerankgateway.client.AnswerStream;
import io.github.rerankgateway.client.Rankings;
import io.github.rerankgateway.client.RerankClient;
import io.github.rerankgateway.client.RerankException;
import io.github.rerankgateway.client.TraceContextInterceptor;
import io.github.rerankgateway.v1.CreateCollectionRequest;
import io.github.rerankgateway.v1.DeleteCollectionRequest;
import io.github.rerankgateway.v1.Document;
import io.github.rerankgateway.v1.ImportDocumentsRequest;
import io.github.rerankgateway.v1.ImportDocumentsResponse;
import io.github.rerankgateway.v1.RankedDocument;
import io.github.rerankgateway.v1.SearchProgressiveResponse;
import io.github.rerankgateway.v1.SearchRequest;
import io.github.rerankgateway.v1.SearchResponse;
import java.time.Duration;
import java.util.List;

/** Stores a few documents, and searches them: the order at once, and then the reranked one. */
final class SearchExample {
  private static final String COLLECTION = "java_example";

  public static void main(String[] args) {
    String address = args.length > 0 ? args[0] : "localhost:50051";
    try (RerankClient client =
        RerankClient.builder(address).interceptor(new TraceContextInterceptor()).build()) {
      client.createCollection(CreateCollectionRequest.newBuilder().setName(COLLECTION).build());
      try {
        search(client, store(client));
      } finally {
        client.deleteCollection(DeleteCollectionRequest.newBuilder().setName(COLLECTION).build());
      }
    } catch (RerankException e) {
      System.err.println(
          e.getMessage() + e.retryDelay().map(t -> ", try again in " + t).orElse(""));
      System.exit(1);
    }
  }

  /** Gives the version of the collection that has all documents in it. */
  private static long store(RerankClient client) {
    List<ImportDocumentsRequest> batches =
        List.of(
            batch(document("rome", "Rome has been the capital of Italy since 1871.")),
            batch(
                document("bread", "Bread is baked from flour, water and salt."),
                document("paris", "Paris is the capital of France.")));
    long version = 0;
    // An import as a whole may take longer than a call.
    try (AnswerStream<ImportDocumentsResponse> stored =
        client.withDeadline(Duration.ofMinutes(5)).importDocuments(batches)) {
      while (stored.hasNext()) {
        ImportDocumentsResponse batch = stored.next();
        batch.getRejectedList().forEach(r -> System.err.println(r.getId() + ": " + r.getMessage()));
        version = batch.getVersion();
      }
    }
    return version;
  }

  private static void search(RerankClient client, long version) {
    SearchRequest request =
        SearchRequest.newBuilder()
            .setQuery("capital of France")
            .setCollection(COLLECTION)
            .setLimit(2)
            .setMinVersion(version)
            .build();
    try (AnswerStream<SearchProgressiveResponse> answers =
        client.withDeadline(Duration.ofSeconds(2)).searchProgressive(request)) {
      while (answers.hasNext()) {
        SearchProgressiveResponse next = answers.next();
        print(next.getFinal() ? "reranked" : "at once", next.getSearchResponse());
      }
    }
  }

  private static void print(String when, SearchResponse answer) {
    if (Rankings.fellBack(answer.getExecution())) {
      when = "not reranked, " + answer.getExecution().getFallbackReason();
    }
    System.out.println(when + ":");
    for (RankedDocument result : answer.getResultsList()) {
      System.out.printf("  %d. %s%n", result.getRank(), result.getDocument().getText());
    }
  }

  private static ImportDocumentsRequest batch(Document... documents) {
    return ImportDocumentsRequest.newBuilder()
        .setCollection(COLLECTION)
        .addAllDocuments(List.of(documents))
        .build();
  }

  private static Document document(String id, String text) {
    return Document.newBuilder().setId(id).setText(text).build();
  }
}
