package flux.conformance.bank;

/** Asks for what is in an account. */
public record GetBalance(String account) {}
