package io.github.rerankgateway.client;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Leaves what gRPC wants to run to the thread that reads, as long as there is one. When it has
 * left, tasks are run where they come from: one of them may be what tells the gateway.
 */
final class ReaderExecutor implements Executor {
  private final BlockingQueue<Runnable> tasks = new LinkedBlockingQueue<>();
  private volatile boolean left;

  @Override
  public void execute(Runnable task) {
    tasks.add(task);
    if (left) {
      runAll();
    }
  }

  /** Runs a task if there is one. */
  boolean runOne() {
    Runnable task = tasks.poll();
    if (task == null) {
      return false;
    }
    task.run();
    return true;
  }

  /** Waits for a task and runs it. */
  void await() throws InterruptedException {
    tasks.take().run();
  }

  /** Says that the reading thread will not come back. */
  void leave() {
    left = true;
    runAll();
  }

  private void runAll() {
    while (runOne()) {
      // Until there is none.
    }
  }
}
