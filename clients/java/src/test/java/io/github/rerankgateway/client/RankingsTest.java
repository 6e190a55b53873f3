package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.rerankgateway.v1.Document;
import io.github.rerankgateway.v1.Execution;
import io.github.rerankgateway.v1.Outcome;
import io.github.rerankgateway.v1.RankedDocument;
import io.github.rerankgateway.v1.RerankResponse;
import java.util.List;
import org.junit.jupiter.api.Test;

final class RankingsTest {
  private static final RerankResponse ANSWER =
      RerankResponse.newBuilder()
          .addResults(RankedDocument.newBuilder().setIndex(2).setRank(1).setScore(0.9))
          .addResults(RankedDocument.newBuilder().setIndex(0).setRank(2))
          .build();

  private record Passage(String text) {}

  private static final List<Passage> PASSAGES =
      List.of(new Passage("a"), new Passage("b"), new Passage("c"));

  @Test
  void whatTheCallerHasComesIntoTheNewOrder() {
    assertEquals(
        List.of(new Passage("c"), new Passage("a")), Rankings.inNewOrder(PASSAGES, ANSWER));
  }

  @Test
  void eachComesWithItsPlace() {
    List<Ranked<Passage>> ranked = Rankings.ranked(PASSAGES, ANSWER);
    assertEquals(new Ranked<>(new Passage("c"), ANSWER.getResults(0)), ranked.get(0));
    assertEquals(2, ranked.size());
  }

  @Test
  void documentsAreMadeOfWhateverHasAText() {
    List<Document> documents = Documents.ofTexts("a", "b", "c");
    assertEquals(List.of("a", "b", "c"), documents.stream().map(Document::getText).toList());
    assertEquals(documents, Documents.of(PASSAGES, Passage::text));
  }

  @Test
  void itTellsAFallback() {
    assertTrue(fellBack(Outcome.OUTCOME_FELL_BACK));
    assertFalse(fellBack(Outcome.OUTCOME_RERANKED));
    assertFalse(fellBack(Outcome.OUTCOME_PARTIALLY_RERANKED));
    assertFalse(fellBack(Outcome.OUTCOME_NOT_REQUESTED));
    assertFalse(fellBack(Outcome.OUTCOME_PENDING));
  }

  @Test
  void anOutcomeThatIsNotKnownYetIsReadByItsScores() {
    Execution.Builder unknown = Execution.newBuilder().setOutcomeValue(4711);
    assertTrue(Rankings.fellBack(unknown.build()));
    assertFalse(Rankings.fellBack(unknown.setScoredCount(1).build()));
  }

  private static boolean fellBack(Outcome outcome) {
    return Rankings.fellBack(Execution.newBuilder().setOutcome(outcome).build());
  }
}
