package flux.conformance.bank;

import io.fluxcapacitor.javaclient.publishing.routing.RoutingKey;

/** Moves an amount, in cents, from one account to another. It is answered with a receipt. */
public record Transfer(@RoutingKey String from, String to, long amount) {}
