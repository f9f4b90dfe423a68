package flux.conformance.bank;

/** What is in an account, in cents. */
public record Balance(String account, long amount) {}
