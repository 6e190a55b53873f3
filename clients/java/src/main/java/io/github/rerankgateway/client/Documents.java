package io.github.rerankgateway.client;

import io.github.rerankgateway.v1.Document;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/** Documents of requests, from what a caller has. */
public final class Documents {
  private Documents() {}

  /** Makes one document of each text, in their order. */
  public static List<Document> ofTexts(String... texts) {
    return ofTexts(Arrays.asList(texts));
  }

  /** Makes one document of each text, in their order. */
  public static List<Document> ofTexts(List<String> texts) {
    return of(texts, Function.identity());
  }

  /**
   * Makes one document of each thing that has a text, in their order.
   *
   * @param text gives the text, as in {@code Passage::text}
   */
  public static <D> List<Document> of(List<D> things, Function<? super D, String> text) {
    return things.stream()
        .map(thing -> Document.newBuilder().setText(text.apply(thing)).build())
        .toList();
  }
}
