package flux.conformance.bank;

/** Tells what a transfer left in the accounts. */
public record Receipt(Balance from, Balance to) {}
