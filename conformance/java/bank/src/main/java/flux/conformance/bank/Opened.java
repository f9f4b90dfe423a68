package flux.conformance.bank;

/** An account was opened. */
public record Opened(String account, String owner) {}
