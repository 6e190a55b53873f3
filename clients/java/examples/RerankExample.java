import io.github.rerankgateway.client.Documents;
import io.github.rerankgateway.client.Ranked;
import io.github.rerankgateway.client.Rankings;
import io.github.rerankgateway.client.RerankClient;
import io.github.rerankgateway.client.RerankException;
import io.github.rerankgateway.client.TraceContextInterceptor;
import io.github.rerankgateway.v1.RerankResponse;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.context.Context;
import java.time.Duration;
import java.util.List;

/** Orders passages of one's own, with a deadline and within a trace. */
final class RerankExample {
  record Passage(String source, String text) {}

  private static final List<Passage> PASSAGES =
      List.of(
          new Passage("geography.txt", "Rome has been the capital of Italy since 1871."),
          new Passage("cooking.txt", "Bread is baked from flour, water and salt."),
          new Passage("history.txt", "Paris is the capital of France."));

  public static void main(String[] args) {
    String address = args.length > 0 ? args[0] : "localhost:50051";
    try (RerankClient client =
        RerankClient.builder(address)
            .interceptor(new TraceContextInterceptor())
            .deadline(Duration.ofSeconds(2))
            .build()) {
      withinTrace().wrap(() -> rerank(client)).run();
    } catch (RerankException e) {
      System.err.println(e.getMessage());
      e.violations().forEach(v -> System.err.println(v.getField() + " " + v.getDescription()));
      System.exit(1);
    }
  }

  private static void rerank(RerankClient client) {
    RerankResponse answer =
        client.rerank(
            "What is the capital of France?",
            Documents.of(PASSAGES, Passage::text),
            request -> request.setTopN(2).putLabels("app", "example"));

    if (Rankings.fellBack(answer.getExecution())) {
      // No error: these are the passages in the order they were given.
      System.out.println("not reranked: " + answer.getExecution().getFallbackReason());
    }
    for (Ranked<Passage> ranked : Rankings.ranked(PASSAGES, answer)) {
      System.out.printf(
          "%d. %s (%s)%n",
          ranked.place().getRank(), ranked.document().text(), ranked.document().source());
    }
  }

  /** In a program that is traced, this is already the current context. */
  private static Context withinTrace() {
    SpanContext caller =
        SpanContext.create(
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00f067aa0ba902b7",
            TraceFlags.getSampled(),
            TraceState.getDefault());
    return Context.current().with(Span.wrap(caller));
  }
}
