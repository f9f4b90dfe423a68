package flux.conformance.bank;

import io.fluxcapacitor.javaclient.publishing.routing.RoutingKey;

/** Takes an amount, in cents, out of an account. It is answered with the new balance. */
public record Withdraw(@RoutingKey String account, long amount) {}
