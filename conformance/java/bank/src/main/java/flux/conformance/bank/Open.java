package flux.conformance.bank;

import io.fluxcapacitor.javaclient.publishing.routing.RoutingKey;

/** Opens an account. It is answered with the new balance. */
public record Open(@RoutingKey String account, String owner) {}
