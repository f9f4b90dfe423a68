package flux.conformance.bank;

import io.fluxcapacitor.javaclient.publishing.routing.RoutingKey;

/** Puts an amount, in cents, into an account. It is answered with the new balance. */
public record Deposit(@RoutingKey String account, long amount) {}
