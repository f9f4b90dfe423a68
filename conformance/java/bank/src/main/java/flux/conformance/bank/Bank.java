package flux.conformance.bank;

import io.fluxcapacitor.javaclient.FluxCapacitor;
import io.fluxcapacitor.javaclient.configuration.DefaultFluxCapacitor;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient.ClientConfig;
import io.fluxcapacitor.common.MessageType;

/**
 * Runs one service of the bank, {@code accounts} or {@code transfers}, until it is killed. FLUX_BASE_URL says where the
 * server is, FLUX_PROJECT_ID in which namespace the bank is.
 */
public final class Bank {
    private Bank() {}

    public static void main(String[] arguments) {
        Object service = switch (arguments.length == 1 ? arguments[0] : "") {
            case "accounts" -> new Accounts();
            case "transfers" -> new Transfers();
            default -> throw new IllegalArgumentException("usage: Bank accounts|transfers");
        };
        application(ClientConfig.builder().name(arguments[0]).build(), service);
    }

    /** Starts a service. It begins with the oldest command, so that none is missed that was sent before it was there. */
    static FluxCapacitor application(ClientConfig config, Object... services) {
        FluxCapacitor application = DefaultFluxCapacitor.builder().disableShutdownHook()
                .makeApplicationInstance(false)
                .configureDefaultConsumer(MessageType.COMMAND, c -> c.toBuilder().minIndex(0L).build())
                .configureDefaultConsumer(MessageType.QUERY, c -> c.toBuilder().minIndex(0L).build())
                .build(WebSocketClient.newInstance(config));
        application.registerHandlers(services);
        return application;
    }
}
