package flux.conformance;

import java.util.Objects;
import java.util.concurrent.Callable;

/** Assertions. */
public final class Check {
    private Check() {}

    public static void that(boolean condition, String what, Object... values) {
        if (!condition) {
            throw new AssertionError(what.formatted(values));
        }
    }

    public static void equal(Object want, Object got, String what, Object... values) {
        if (!Objects.deepEquals(want, got)) {
            throw new AssertionError("%s: got %s, want %s".formatted(what.formatted(values), show(got), show(want)));
        }
    }

    /** Runs what has to fail, and returns what it failed with or what caused that. */
    public static <E extends Throwable> E fails(Class<E> with, Callable<?> what) {
        Object result;
        try {
            result = what.call();
        } catch (Throwable e) {
            for (Throwable cause = e; cause != null; cause = cause.getCause()) {
                if (with.isInstance(cause)) {
                    return with.cast(cause);
                }
            }
            throw new AssertionError("failed with " + e + ", want " + with.getSimpleName(), e);
        }
        throw new AssertionError("returned " + show(result) + ", want " + with.getSimpleName());
    }

    private static String show(Object value) {
        return switch (value) {
            case byte[] b -> "%d bytes with hash %x".formatted(b.length, java.util.Arrays.hashCode(b));
            case int[] i -> java.util.Arrays.toString(i);
            case null -> "null";
            default -> value.toString();
        };
    }
}
