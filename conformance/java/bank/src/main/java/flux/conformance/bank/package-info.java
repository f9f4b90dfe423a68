/**
 * A small bank on the official client, with the services and the messages of {@code examples/bank}, which is its
 * counterpart in Go: each service may be in either language, and accounts may be handed from one to the other.
 */
package flux.conformance.bank;
