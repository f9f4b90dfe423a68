package flux.conformance.bank;

/** An amount, in cents, was taken out of an account. */
public record Withdrawn(String account, long amount) {}
