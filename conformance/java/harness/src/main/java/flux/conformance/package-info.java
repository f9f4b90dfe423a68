/**
 * What every suite of scenarios needs and no client library: servers that can be killed, a runner, assertions and
 * reports.
 *
 * <p>A scenario is a method with a {@link flux.conformance.Scenario} annotation that takes the world of its suite. Each
 * runs in a namespace of its own, so all may share one server and run side by side. One that stops the server asks for
 * a server of its own.
 */
package flux.conformance;
