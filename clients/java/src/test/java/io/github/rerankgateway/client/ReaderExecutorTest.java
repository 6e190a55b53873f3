package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class ReaderExecutorTest {
  private final ReaderExecutor executor = new ReaderExecutor();
  private final List<String> done = new ArrayList<>();

  @Test
  void tasksAreLeftToTheReader() {
    executor.execute(() -> done.add("first"));
    executor.execute(() -> done.add("second"));
    assertEquals(List.of(), done);

    assertTrue(executor.runOne());
    assertEquals(List.of("first"), done);
    assertTrue(executor.runOne());
    assertFalse(executor.runOne());
    assertEquals(List.of("first", "second"), done);
  }

  @Test
  void whatIsLeftWhenTheReaderGoesIsRun() {
    executor.execute(() -> done.add("before"));
    executor.leave();
    executor.execute(() -> done.add("after"));
    assertEquals(List.of("before", "after"), done);
  }
}
