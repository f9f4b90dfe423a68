package flux.conformance.bank;

/** An amount, in cents, was put into an account. */
public record Deposited(String account, long amount) {}
