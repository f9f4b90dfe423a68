package flux.conformance.scenarios;

import static flux.conformance.Messages.message;
import static flux.conformance.Messages.text;
import static flux.conformance.World.append;
import static flux.conformance.World.consumer;
import static flux.conformance.World.log;
import static flux.conformance.World.read;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Scenario;
import flux.conformance.World;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.ConnectEvent;
import io.fluxcapacitor.common.api.DisconnectEvent;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;

/** What the server and the clients tell about themselves. */
public final class MetricsScenarios {
    private static boolean published(WebSocketClient observer, Class<?> type, String clientId) {
        // The package of the type is that of the client's generation, as far as the client says which that is.
        String name = "." + type.getSimpleName();
        return log(observer, MessageType.METRICS).stream().anyMatch(m -> m.getData().getType().endsWith(name)
                && text(m).contains("\"clientId\":\"" + clientId + "\""));
    }

    @Scenario("the server publishes that a client connected and disconnected")
    void connections(World world) {
        WebSocketClient observer = world.client();
        WebSocketClient client = world.client(c -> c.id("visitor"));
        append(client, MessageType.EVENT, message("x"));
        Await.until("a connect event", () -> published(observer, ConnectEvent.class, "visitor"));
        client.shutDown();
        Await.until("a disconnect event", () -> published(observer, DisconnectEvent.class, "visitor"));
    }

    @Scenario(value = "the server publishes trackers that left with their socket",
            notOnReference = "it does not publish them")
    void trackers(World world) {
        WebSocketClient observer = world.client();
        WebSocketClient client = world.client(c -> c.id("visitor"));
        read(client.getTrackingClient(MessageType.EVENT), "the tracker", null, consumer("c"));
        client.shutDown();
        Await.until("the disconnected tracker", () -> log(observer, MessageType.METRICS).stream()
                .anyMatch(m -> m.getData().getType().endsWith(".DisconnectTracker")
                        && text(m).contains("\"trackerId\":\"the tracker\"")));
    }

    @Scenario("metrics sockets are not reported")
    void silent(World world) {
        WebSocketClient client = world.client(c -> c.id("quiet"));
        WebSocketClient observer = world.client(c -> c.id("loud"));
        append(client, MessageType.METRICS, message("x"));
        append(observer, MessageType.EVENT, message("x"));
        Await.until("the event of the other", () -> published(observer, ConnectEvent.class, "loud"));
        Check.that(!published(observer, ConnectEvent.class, "quiet"), "metrics about metrics");
    }

    @Scenario("a client publishes metrics of its requests")
    void ownMetrics(World world) {
        WebSocketClient client = world.client(c -> c.disableMetrics(false));
        append(client, MessageType.EVENT, message("x"));
        Await.until("metrics of the append", () -> log(client, MessageType.METRICS).stream()
                .anyMatch(m -> m.getData().getType().contains("Append")));
    }
}
