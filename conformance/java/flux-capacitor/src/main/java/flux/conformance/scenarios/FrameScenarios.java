package flux.conformance.scenarios;

import static flux.conformance.Messages.texts;
import static flux.conformance.World.append;
import static flux.conformance.World.log;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Messages;
import flux.conformance.Scenario;
import flux.conformance.World;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.Data;
import io.fluxcapacitor.common.api.Metadata;
import io.fluxcapacitor.common.api.SerializedMessage;
import io.fluxcapacitor.common.api.scheduling.SerializedSchedule;
import io.fluxcapacitor.common.serialization.compression.CompressionAlgorithm;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import java.util.List;
import java.util.stream.IntStream;

/** Compression, frames and sockets. */
public final class FrameScenarios {
    private static WebSocketClient client(World world, String compression) {
        return world.client(c -> c.compression(CompressionAlgorithm.valueOf(compression)));
    }

    @Scenario(value = "messages survive compression %s", each = {"NONE", "GZIP", "LZ4"})
    void messages(World world, String compression) {
        WebSocketClient client = client(world, compression);
        append(client, MessageType.EVENT, Messages.numbered(1000));
        Check.equal(Messages.numbers(1000), texts(log(client, MessageType.EVENT)), "messages");
    }

    @Scenario(value = "a payload that does not compress survives compression %s", each = {"NONE", "GZIP", "LZ4"})
    void noise(World world, String compression) {
        WebSocketClient client = client(world, compression);
        byte[] payload = Messages.noise(1 << 20);
        append(client, MessageType.COMMAND, new SerializedMessage(new Data<>(payload, "flux.Noise", 0, "bytes"),
                Metadata.empty(), "m", 1L));
        Check.equal(payload, log(client, MessageType.COMMAND).getFirst().getData().getValue(), "payload");
    }

    @Scenario(value = "every endpoint answers with compression %s", each = {"NONE", "GZIP", "LZ4"})
    void endpoints(World world, String compression) {
        WebSocketClient client = client(world, compression);
        Await.get(client.getEventStoreClient().storeEvents("a", List.of(Messages.message("e")), false));
        Check.equal(List.of("e"), texts(client.getEventStoreClient().getEvents("a").toList()), "events");
        Await.get(client.getKeyValueClient().putValue("k", Messages.data("v"), Guarantee.STORED));
        Check.equal(Messages.data("v"), client.getKeyValueClient().getValue("k"), "value");
        Await.get(client.getSchedulingClient().schedule(Guarantee.STORED, new SerializedSchedule("s",
                System.currentTimeMillis() + 60_000, Messages.message("later"), false)));
        Check.equal("later", Messages.text(client.getSchedulingClient().getSchedule("s").getMessage()), "schedule");
        Check.equal(List.of("e"), texts(World.read(client.getTrackingClient(MessageType.EVENT), "t", -1L,
                World.consumer("c")).getMessages()), "events of the log");
    }

    @Scenario("clients with different compression read what the others wrote")
    void mixed(World world) {
        List<String> algorithms = List.of("NONE", "GZIP", "LZ4");
        algorithms.forEach(a -> append(client(world, a), MessageType.EVENT, Messages.message(a)));
        algorithms.forEach(a -> Check.equal(algorithms, texts(log(client(world, a), MessageType.EVENT)), a));
    }

    @Scenario("1,000 requests at once are each answered")
    void manyRequests(World world) {
        WebSocketClient client = world.client();
        IntStream.range(0, 1000).mapToObj(i -> client.getKeyValueClient().putValueIfAbsent("k" + i,
                Messages.data("v" + i))).toList().forEach(f -> Check.equal(true, Await.get(f), "stored"));
        IntStream.range(0, 1000).parallel().forEach(i -> Check.equal(Messages.data("v" + i),
                client.getKeyValueClient().getValue("k" + i), "value"));
    }

    @Scenario("a waiting read does not hold up other requests of its socket")
    void waitingRead(World world) {
        WebSocketClient client = world.client();
        var waiting = World.reading(client.getTrackingClient(MessageType.EVENT), "t", null,
                World.consumer("c", java.time.Duration.ofSeconds(30)).build());
        Check.equal(0, client.getTrackingClient(MessageType.EVENT).getPosition("other").getIndexBySegment().size(),
                "position");
        Check.that(!waiting.isDone(), "the read must still wait");
        append(client, MessageType.EVENT, Messages.message("x"));
        Check.equal(List.of("x"), texts(Await.get(waiting).getMessages()), "messages");
    }

    @Scenario(value = "an idle socket with pings every 200 ms stays open: %s", each = {"gateway", "tracking"})
    void pings(World world, String endpoint) throws InterruptedException {
        WebSocketClient client = world.client(c -> c.pingDelay(java.time.Duration.ofMillis(200))
                .pingTimeout(java.time.Duration.ofSeconds(2)));
        WebSocketClient observer = world.client(c -> c.id("observer"));
        if (endpoint.equals("gateway")) {
            append(client, MessageType.EVENT, Messages.message("first"));
        } else {
            log(client, MessageType.EVENT);
        }
        Thread.sleep(2500);
        Check.equal(0L, log(observer, MessageType.METRICS).stream().filter(m -> m.getData().getType() != null
                && m.getData().getType().endsWith("DisconnectEvent")).count(), "sockets that closed");
    }

    /**
     * Names with plus and percent signs are not asked for: the library encodes them, and its websocket client decodes
     * them again before it sends them.
     */
    @Scenario(value = "a client named '%s' is understood", each = {"orders app", "a_b-c.d", "x~y*"})
    void names(World world, String name) {
        checkName(world, name);
    }

    @Scenario(value = "a client named '%s' is understood", each = "bücher ☃",
            notOnReference = "it refuses the upgrade, with status 400")
    void unicodeName(World world, String name) {
        checkName(world, name);
    }

    private static void checkName(World world, String name) {
        WebSocketClient client = world.client(c -> c.name(name).id("id of " + name));
        append(client, MessageType.EVENT, Messages.message("x"));
        Await.until("the connect event", () -> log(client, MessageType.METRICS).stream().map(Messages::text)
                .anyMatch(t -> t.contains("\"client\":\"" + name + "\"")
                        && t.contains("\"clientId\":\"id of " + name + "\"")));
    }
}
