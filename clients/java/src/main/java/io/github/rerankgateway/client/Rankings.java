package io.github.rerankgateway.client;

import io.github.rerankgateway.v1.Execution;
import io.github.rerankgateway.v1.FallbackReason;
import io.github.rerankgateway.v1.Outcome;
import io.github.rerankgateway.v1.RerankResponse;
import java.util.List;

/** What answers say, in terms of what was asked. */
public final class Rankings {
  private Rankings() {}

  /**
   * Brings what the caller gave into the new order, best first. What the request removed, by {@code
   * top_n} for instance, is not in it.
   *
   * @param given as many things as the request had documents, in the order of the request
   */
  public static <D> List<D> inNewOrder(List<D> given, RerankResponse answer) {
    return ranked(given, answer).stream().map(Ranked::document).toList();
  }

  /**
   * Brings what the caller gave into the new order, best first, each with its rank and its scores.
   *
   * @param given as many things as the request had documents, in the order of the request
   */
  public static <D> List<Ranked<D>> ranked(List<D> given, RerankResponse answer) {
    return answer.getResultsList().stream()
        .map(place -> new Ranked<>(given.get(place.getIndex()), place))
        .toList();
  }

  /**
   * Tells whether no backend gave a score, so that the order received was kept. {@link
   * Execution#getFallbackReason} says why: {@link FallbackReason}. An outcome that this client does
   * not know yet is read as the contract says.
   */
  public static boolean fellBack(Execution execution) {
    return execution.getOutcome() == Outcome.OUTCOME_FELL_BACK
        || (execution.getOutcome() == Outcome.UNRECOGNIZED && execution.getScoredCount() == 0);
  }
}
