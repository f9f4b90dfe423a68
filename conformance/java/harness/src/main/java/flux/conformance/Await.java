package flux.conformance;

import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;

/** Waits for conditions, and fails with what was waited for. */
public final class Await {
    /** How long scenarios wait for what should happen soon. */
    public static final Duration SOON = Duration.ofSeconds(30);

    private Await() {}

    /** Returns as soon as the condition holds. */
    public static void until(String what, Callable<Boolean> condition) {
        until(what, SOON, condition);
    }

    public static void until(String what, Duration limit, Callable<Boolean> condition) {
        long end = System.nanoTime() + limit.toNanos();
        while (!call(condition)) {
            if (Thread.interrupted()) {
                throw new AssertionError("interrupted while waiting for " + what);
            }
            if (System.nanoTime() > end) {
                throw new AssertionError("waited " + limit.toMillis() + " ms for " + what);
            }
            LockSupport.parkNanos(5_000_000);
        }
    }

    /** Returns the outcome, or throws what it failed with. */
    public static <T> T get(Future<T> future) {
        try {
            return future.get(SOON.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            throw new AssertionError("no answer within " + SOON.toMillis() + " ms", e);
        } catch (java.util.concurrent.ExecutionException e) {
            throw sneaky(e.getCause());
        } catch (InterruptedException e) {
            throw new AssertionError("interrupted while waiting for an answer", e);
        }
    }

    /** Returns the next element. */
    public static <T> T next(BlockingQueue<T> queue) {
        try {
            T element = queue.poll(SOON.toMillis(), TimeUnit.MILLISECONDS);
            if (element == null) {
                throw new AssertionError("nothing came within " + SOON.toMillis() + " ms");
            }
            return element;
        } catch (InterruptedException e) {
            throw new AssertionError("interrupted while waiting for an element", e);
        }
    }

    private static boolean call(Callable<Boolean> condition) {
        try {
            return condition.call();
        } catch (Exception e) {
            throw sneaky(e);
        }
    }

    /** Throws anything without declaring it. */
    @SuppressWarnings("unchecked")
    static <E extends Throwable> RuntimeException sneaky(Throwable e) throws E {
        throw (E) e;
    }
}
