package flux.conformance.scenarios;

import static flux.conformance.Messages.message;
import static flux.conformance.Messages.numbered;
import static flux.conformance.Messages.numbers;
import static flux.conformance.Messages.texts;
import static flux.conformance.World.consumer;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Scenario;
import flux.conformance.World;
import io.fluxzero.common.Guarantee;
import io.fluxzero.common.MessageType;
import io.fluxzero.common.api.SerializedMessage;
import io.fluxzero.common.api.tracking.MessageBatch;
import io.fluxzero.sdk.Fluxzero;
import io.fluxzero.sdk.configuration.client.WebSocketClient;
import io.fluxzero.sdk.tracking.handling.HandleCustom;
import io.fluxzero.sdk.tracking.client.TrackingClient;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;

/** Logs of topics, and how long logs are kept. */
public final class CustomScenarios {
    private static void append(WebSocketClient client, String topic, SerializedMessage... messages) {
        Await.get(client.getGatewayClient(MessageType.CUSTOM, topic).append(Guarantee.STORED, messages));
    }

    private static TrackingClient tracking(WebSocketClient client, String topic) {
        return client.getTrackingClient(MessageType.CUSTOM, topic);
    }

    @Scenario(value = "topic '%s': messages come back", each = {"invoices", "a b", "$x_y.z"})
    void topic(World world, String topic) {
        checkTopic(world, topic);
    }

    @Scenario(value = "topic '%s': messages come back", each = {"ü", "a+b%c"},
            notOnReference = "it refuses the upgrade, with status 400")
    void strangeTopic(World world, String topic) {
        checkTopic(world, topic);
    }

    private static void checkTopic(World world, String topic) {
        WebSocketClient client = world.client();
        append(client, topic, numbered(10));
        Check.equal(numbers(10), texts(tracking(client, topic).readFromIndex(0, 100)), "log");
        Check.equal(numbers(10), texts(World.read(tracking(client, topic), "t", -1L, consumer("c")).getMessages()),
                "messages");
    }

    @Scenario("topics do not mix")
    void topics(World world) {
        WebSocketClient client = world.client();
        append(client, "a", message("of a"));
        append(client, "b", message("of b"));
        Check.equal(List.of("of a"), texts(tracking(client, "a").readFromIndex(0, 100)), "log of a");
    }

    @Scenario("a waiting tracker of a topic is answered when a message arrives")
    void wakes(World world) {
        WebSocketClient client = world.client();
        CompletableFuture<MessageBatch> batch = World.reading(tracking(client, "a"), "t", null,
                consumer("c", Duration.ofSeconds(30)).build());
        tracking(client, "a").getPosition("c");
        append(client, "b", message("no"));
        append(client, "a", message("yes"));
        Check.equal(List.of("yes"), texts(Await.get(batch).getMessages()), "messages");
    }

    @Scenario("consumers of one name have separate positions in each topic")
    void positions(World world) {
        WebSocketClient client = world.client();
        Await.get(tracking(client, "a").storePosition("c", new int[] {0, 128}, 5));
        Check.equal(0, tracking(client, "b").getPosition("c").getIndexBySegment().size(), "position");
    }

    /** A request of a topic. */
    public record Count(String word) {}

    @Scenario("requests of a topic are answered by another application")
    void requests(World world) {
        BlockingQueue<Count> handled = new LinkedBlockingQueue<>();
        world.application("service", new Object() {
            @HandleCustom("words")
            int handle(Count count) {
                handled.add(count);
                return count.word().length();
            }
        });
        Fluxzero client = world.application("client");
        Check.equal(5, client.customGateway("words").sendAndWait(new Count("three")), "answer");
        client.customGateway("words").sendAndForget(new Count("x"));
        Check.equal(new Count("three"), Await.next(handled), "first request");
        Check.equal(new Count("x"), Await.next(handled), "second request");
    }

    @Scenario("the retention of a log can be set")
    void retention(World world) {
        WebSocketClient client = world.client();
        World.append(client, MessageType.EVENT, message("x"));
        Await.get(client.getGatewayClient(MessageType.EVENT).setRetentionTime(Duration.ofHours(1), Guarantee.STORED));
        Check.equal(List.of("x"), texts(World.log(client, MessageType.EVENT)), "messages within the retention");
    }
}
