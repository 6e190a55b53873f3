package io.github.rerankgateway.client;

import java.util.Iterator;
import java.util.concurrent.Flow;

/** Gives each subscriber all things, on the thread that asks for them. */
record IterablePublisher<T>(Iterable<T> things) implements Flow.Publisher<T> {
  @Override
  public void subscribe(Flow.Subscriber<? super T> subscriber) {
    subscriber.onSubscribe(new Course<>(things.iterator(), subscriber));
  }

  private static final class Course<T> implements Flow.Subscription {
    private final Iterator<T> things;
    private final Flow.Subscriber<? super T> subscriber;

    private long wanted;
    private boolean giving;
    private boolean over;

    Course(Iterator<T> things, Flow.Subscriber<? super T> subscriber) {
      this.things = things;
      this.subscriber = subscriber;
    }

    @Override
    public void request(long count) {
      synchronized (this) {
        wanted += count;
        // Asked for from within onNext: the loop below goes on, instead of one in another.
        if (giving) {
          return;
        }
        giving = true;
      }
      while (takesOne()) {
        give();
      }
    }

    @Override
    public synchronized void cancel() {
      over = true;
    }

    private synchronized boolean takesOne() {
      giving = wanted > 0 && !over;
      if (giving) {
        wanted--;
      }
      return giving;
    }

    private void give() {
      try {
        if (things.hasNext()) {
          subscriber.onNext(things.next());
        } else {
          cancel();
          subscriber.onComplete();
        }
      } catch (RuntimeException e) {
        cancel();
        subscriber.onError(e);
      }
    }
  }
}
