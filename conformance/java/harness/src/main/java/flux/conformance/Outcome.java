package flux.conformance;

/**
 * How one run of a scenario ended.
 *
 * @param failure null when it passed or was skipped
 * @param skipped why it did not run; null when it did
 */
public record Outcome(String group, String name, long millis, Throwable failure, String skipped) {
    public boolean passed() {
        return failure == null && skipped == null;
    }

    String result() {
        return failure != null ? "FAILED" : skipped != null ? "skipped" : "passed";
    }
}
