package flux.conformance;

import flux.conformance.sdk.Sdk;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.SerializedMessage;
import io.fluxcapacitor.common.api.tracking.MessageBatch;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.javaclient.FluxCapacitor;
import io.fluxcapacitor.javaclient.configuration.DefaultFluxCapacitor;
import io.fluxcapacitor.javaclient.configuration.FluxCapacitorBuilder;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient.ClientConfig;
import io.fluxcapacitor.javaclient.tracking.ConsumerConfiguration;
import io.fluxcapacitor.javaclient.tracking.client.TrackingClient;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;

/** A namespace of a server, and the clients and applications that a scenario opens there. */
public final class World implements AutoCloseable {
    private final Server server;
    private final String namespace;
    private final Deque<AutoCloseable> opened = new ArrayDeque<>();

    public World(Server server, String namespace) {
        this.server = server;
        this.namespace = namespace;
    }

    public Server server() {
        return server;
    }

    public String namespace() {
        return namespace;
    }

    /** Closes something before the scenario ends, last opened first. */
    public synchronized <T extends AutoCloseable> T closing(T resource) {
        opened.push(resource);
        return resource;
    }

    /** Opens a client that publishes no metrics of its own. */
    public WebSocketClient client() {
        return client(c -> c);
    }

    public WebSocketClient client(UnaryOperator<ClientConfig.ClientConfigBuilder> settings) {
        ClientConfig config = settings.apply(Sdk.config(server.url()).name("app").projectId(namespace)
                .disableMetrics(true)).build();
        WebSocketClient client = WebSocketClient.newInstance(config);
        closing(client::shutDown);
        return client;
    }

    /** Starts an application whose consumers begin at the beginning of their logs. */
    public FluxCapacitor application(String name, Object... handlers) {
        return application(name, b -> b, handlers);
    }

    public FluxCapacitor application(String name, UnaryOperator<FluxCapacitorBuilder> settings, Object... handlers) {
        FluxCapacitorBuilder builder = DefaultFluxCapacitor.builder().disableShutdownHook()
                .makeApplicationInstance(false).disableTrackingMetrics().disableCacheEvictionMetrics();
        for (MessageType type : MessageType.values()) {
            builder = builder.configureDefaultConsumer(type, c -> c.toBuilder().minIndex(0L).build());
        }
        FluxCapacitor application = settings.apply(builder).build(client(c -> c.name(name)));
        closing(application::close);
        if (handlers.length > 0) {
            application.registerHandlers(handlers);
        }
        return application;
    }

    /** A consumer that waits for at most the given time for messages. */
    public static ConsumerConfiguration.Builder consumer(String name, Duration wait) {
        return ConsumerConfiguration.builder().name(name).maxWaitDuration(wait);
    }

    /** A consumer that does not wait. */
    public static ConsumerConfiguration consumer(String name) {
        return consumer(name, Duration.ZERO).build();
    }

    /** Reads the next messages of a tracker, from the given index for a consumer that was not seen before. */
    public static MessageBatch read(TrackingClient client, String tracker, Long lastIndex,
            ConsumerConfiguration consumer) {
        return Await.get(reading(client, tracker, lastIndex, consumer));
    }

    public static CompletableFuture<MessageBatch> reading(TrackingClient client, String tracker, Long lastIndex,
            ConsumerConfiguration consumer) {
        return Sdk.read(client, tracker, lastIndex, consumer);
    }

    /** Reads a whole log. */
    public static List<SerializedMessage> log(WebSocketClient client, MessageType type) {
        return client.getTrackingClient(type).readFromIndex(0, 100_000);
    }

    /** Appends messages and waits until they are stored. */
    public static void append(WebSocketClient client, MessageType type, SerializedMessage... messages) {
        Await.get(client.getGatewayClient(type).append(Guarantee.STORED, messages));
    }

    @Override
    public void close() throws Exception {
        while (!opened.isEmpty()) {
            opened.pop().close();
        }
    }
}
