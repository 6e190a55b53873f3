package io.github.rerankgateway.client;

import java.util.Iterator;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Answers as they come. {@link #hasNext} waits for one, or for the end; an error comes, as a {@link
 * RerankException}, after all answers before it.
 *
 * <p>Close it unless it was read to its end: the gateway then stops working on it. For use by one
 * thread at a time.
 */
public interface AnswerStream<A> extends Iterator<A>, AutoCloseable {
  /** Ends the call. There are no more answers then. */
  @Override
  void close();

  /** Gives what is still to come as a stream, which closes this when it is closed. */
  default Stream<A> stream() {
    int kind = Spliterator.ORDERED | Spliterator.NONNULL;
    return StreamSupport.stream(Spliterators.spliteratorUnknownSize(this, kind), false)
        .onClose(this::close);
  }
}
