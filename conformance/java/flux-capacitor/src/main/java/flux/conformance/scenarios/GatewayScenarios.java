package flux.conformance.scenarios;

import static flux.conformance.Messages.message;
import static flux.conformance.Messages.numbered;
import static flux.conformance.Messages.numbers;
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
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/** Appending to logs, and reading them from an index. */
public final class GatewayScenarios {
    @Scenario(value = "%s: every field of a message comes back as it was published",
            each = {"COMMAND", "EVENT", "QUERY", "RESULT", "ERROR", "METRICS", "WEBREQUEST", "WEBRESPONSE"})
    void everyField(World world, String type) {
        WebSocketClient client = world.client();
        Data<byte[]> data = new Data<>("{\"a\":1}".getBytes(), "com.example.Thing", 7, "application/x-thing");
        append(client, MessageType.valueOf(type), Messages.complete(data,
                Metadata.of("$key.with.dots", "wörd ☃", "n", 5), "message-1"));
        SerializedMessage got = log(client, MessageType.valueOf(type)).getFirst();
        Check.equal(data, got.getData(), "data");
        Check.equal(Map.of("$key.with.dots", "wörd ☃", "n", "5"), got.getMetadata().getEntries(), "metadata");
        Check.equal(42, got.getSegment(), "segment");
        Check.equal("source-1", got.getSource(), "source");
        Check.equal("target-1", got.getTarget(), "target");
        Check.equal(77, got.getRequestId(), "request id");
        Check.equal(1_700_000_000_000L, got.getTimestamp(), "timestamp");
        Check.equal("message-1", got.getMessageId(), "message id");
    }

    @Scenario(value = "a message with guarantee %s is stored", each = {"NONE", "SENT", "STORED"})
    void guarantee(World world, String guarantee) {
        WebSocketClient client = world.client();
        Await.get(client.getGatewayClient(MessageType.EVENT).append(Guarantee.valueOf(guarantee), message("one")));
        Await.until("the message", () -> texts(log(client, MessageType.EVENT)).equals(List.of("one")));
    }

    @Scenario("a payload without type and format is delivered as JSON without type")
    void noType(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.WEBREQUEST, new SerializedMessage(
                new Data<>(new byte[] {1, 2, 3}, null, 0, null), Metadata.empty(), "m", 1L));
        Data<byte[]> got = log(client, MessageType.WEBREQUEST).getFirst().getData();
        Check.equal(null, got.getType(), "type");
        Check.equal("application/json", got.getFormat(), "format");
    }

    @Scenario("a message without metadata is delivered with empty metadata")
    void noMetadata(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, new SerializedMessage(Messages.data("x"), Metadata.empty(), "m", 1L));
        Check.equal(Map.of(), log(client, MessageType.EVENT).getFirst().getMetadata().getEntries(), "metadata");
    }

    @Scenario("an empty payload stays empty")
    void emptyPayload(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, message(""));
        Check.equal(new byte[0], log(client, MessageType.EVENT).getFirst().getData().getValue(), "payload");
    }

    @Scenario("an append of no messages is acknowledged")
    void nothing(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT);
        Check.equal(List.of(), log(client, MessageType.EVENT), "log");
    }

    @Scenario("a payload of 4 MiB that does not compress survives")
    void bigPayload(World world) {
        WebSocketClient client = world.client();
        byte[] payload = Messages.noise(4 << 20);
        append(client, MessageType.EVENT, new SerializedMessage(new Data<>(payload, "flux.Noise", 0, "bytes"),
                Metadata.empty(), "m", 1L));
        Check.equal(payload, log(client, MessageType.EVENT).getFirst().getData().getValue(), "payload");
    }

    @Scenario("metadata of 100 kB survives")
    void bigMetadata(World world) {
        WebSocketClient client = world.client();
        String value = "é".repeat(50_000);
        append(client, MessageType.EVENT, message("x").withMetadata(Metadata.of("big", value)));
        Check.equal(value, log(client, MessageType.EVENT).getFirst().getMetadata().get("big"), "metadata");
    }

    @Scenario("10,000 messages in one append keep their order")
    void tenThousand(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(10_000));
        List<SerializedMessage> got = log(client, MessageType.EVENT);
        Check.equal(numbers(10_000), texts(got), "order");
        Check.that(Messages.strictlyIncreasing(got), "indexes must increase");
    }

    @Scenario("10,000 appends back to back keep their order and each is acknowledged")
    void tenThousandAppends(World world) {
        WebSocketClient client = world.client();
        List<CompletableFuture<Void>> stored = IntStream.range(0, 10_000).mapToObj(i -> client
                .getGatewayClient(MessageType.COMMAND).append(Guarantee.STORED, message(Integer.toString(i)))).toList();
        stored.forEach(Await::get);
        if (ordered(world)) {
            Check.equal(numbers(10_000), texts(log(client, MessageType.COMMAND)), "order");
        }
        Check.equal(10_000, log(client, MessageType.COMMAND).size(), "messages");
    }

    /** The test server of the library performs the requests of a socket in parallel, so their order is left to chance. */
    private static boolean ordered(World world) {
        return !"reference".equals(System.getProperty("server"));
    }

    @Scenario("several gateways of one log get different, increasing indexes")
    void manyPublishers(World world) {
        List<WebSocketClient> clients = IntStream.range(0, 4).mapToObj(i -> world.client()).toList();
        List<CompletableFuture<Void>> stored = new ArrayList<>();
        for (int i = 0; i < 400; i++) {
            stored.add(clients.get(i % 4).getGatewayClient(MessageType.EVENT)
                    .append(Guarantee.STORED, message(i + "a"), message(i + "b")));
        }
        stored.forEach(Await::get);
        List<SerializedMessage> got = log(clients.getFirst(), MessageType.EVENT);
        Check.equal(800, got.size(), "messages");
        Check.that(Messages.strictlyIncreasing(got), "indexes must increase");
        for (int i = 0; i < 800; i += 2) {
            String first = Messages.text(got.get(i));
            Check.equal(first.replace('a', 'b'), Messages.text(got.get(i + 1)), "messages of one append are neighbours");
        }
    }

    @Scenario("the index of a message tells when it was stored")
    void indexTime(World world) {
        WebSocketClient client = world.client();
        long before = System.currentTimeMillis();
        append(client, MessageType.EVENT, message("x"));
        long after = System.currentTimeMillis();
        long at = log(client, MessageType.EVENT).getFirst().getIndex() >> 16;
        Check.that(before <= at && at <= after, "stored at %d, want %d to %d", at, before, after);
    }

    @Scenario("reading from an index includes the message at that index")
    void fromIndex(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(10));
        List<SerializedMessage> all = log(client, MessageType.EVENT);
        List<SerializedMessage> rest = client.getTrackingClient(MessageType.EVENT)
                .readFromIndex(all.get(6).getIndex(), 100);
        Check.equal(List.of("6", "7", "8", "9"), texts(rest), "messages");
    }

    @Scenario("reading from an index returns at most as many as asked for")
    void fromIndexLimit(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(10));
        Check.equal(List.of("0", "1", "2"), texts(client.getTrackingClient(MessageType.EVENT).readFromIndex(0, 3)),
                "messages");
    }

    @Scenario("reading from beyond the end returns nothing")
    void fromBeyond(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, message("x"));
        long index = log(client, MessageType.EVENT).getFirst().getIndex();
        Check.equal(List.of(), client.getTrackingClient(MessageType.EVENT).readFromIndex(index + 1, 10), "messages");
    }

    @Scenario("notifications are the events, with the same indexes")
    void notifications(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(50));
        List<SerializedMessage> events = log(client, MessageType.EVENT);
        List<SerializedMessage> notifications = log(client, MessageType.NOTIFICATION);
        Check.equal(texts(events), texts(notifications), "messages");
        Check.equal(events.stream().map(SerializedMessage::getIndex).toList(),
                notifications.stream().map(SerializedMessage::getIndex).toList(), "indexes");
    }

    @Scenario("logs of different types do not mix")
    void separateLogs(World world) {
        WebSocketClient client = world.client();
        List<MessageType> types = List.of(MessageType.COMMAND, MessageType.EVENT, MessageType.QUERY,
                MessageType.RESULT, MessageType.ERROR, MessageType.WEBREQUEST, MessageType.WEBRESPONSE);
        types.forEach(t -> append(client, t, message(t.name())));
        types.forEach(t -> Check.equal(List.of(t.name()), texts(log(client, t)), "log"));
    }

    @Scenario(value = "%s gateway sockets keep what is appended through them",  each = {"1", "2", "5"})
    void gatewaySockets(World world, String sockets) {
        WebSocketClient client = world.client(c -> c.gatewaySessions(
                c.build().withGatewaySessions(MessageType.EVENT, Integer.parseInt(sockets)).getGatewaySessions()));
        List<CompletableFuture<Void>> stored = IntStream.range(0, 200).mapToObj(i -> client
                .getGatewayClient(MessageType.EVENT).append(Guarantee.STORED, message("m" + i))).toList();
        stored.forEach(Await::get);
        Check.equal(200, log(client, MessageType.EVENT).size(), "messages");
    }
}
