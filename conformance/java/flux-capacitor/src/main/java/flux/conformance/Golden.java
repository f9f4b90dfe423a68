package flux.conformance;

import static flux.conformance.Messages.data;
import static flux.conformance.World.consumer;

import flux.conformance.sdk.Sdk;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.Data;
import io.fluxcapacitor.common.api.Metadata;
import io.fluxcapacitor.common.api.SerializedMessage;
import io.fluxcapacitor.common.api.modeling.Relationship;
import io.fluxcapacitor.common.api.modeling.UpdateRelationships;
import io.fluxcapacitor.common.api.scheduling.SerializedSchedule;
import io.fluxcapacitor.common.serialization.compression.CompressionAlgorithm;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import io.fluxcapacitor.javaclient.tracking.client.TrackingClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;

/**
 * Records what the client and its own test server say to each other, request by request. Nothing in it depends on the
 * time: played to another server, the requests have to get the same answers, but for times and indexes.
 *
 * <p>Arguments: the directory for the transcripts. System property {@code reference}: the class path of the test server.
 */
public final class Golden {
    private static final long FAR = 4_102_444_800_000L;
    private static final int[] ALL = {0, 128};

    private final WebSocketClient client;

    private Golden(WebSocketClient client) {
        this.client = client;
    }

    public static void main(String[] arguments) throws Exception {
        int status = 1;
        try {
            Path directory = Files.createDirectories(Path.of(arguments[0]));
            for (CompressionAlgorithm compression : CompressionAlgorithm.values()) {
                Files.writeString(directory.resolve(compression.name().toLowerCase() + ".txt"), record(compression));
            }
            status = 0;
        } catch (Throwable e) {
            e.printStackTrace();
        }
        Runtime.getRuntime().halt(status);
    }

    private static String record(CompressionAlgorithm compression) throws Exception {
        Servers servers = new Servers(Servers.Kind.REFERENCE, Path.of(System.getProperty("reports")), null,
                System.getProperty("reference"), Sdk.TEST_SERVER);
        try (Server server = servers.make()) {
            server.start();
            try (Recorder recorder = new Recorder(server)) {
                WebSocketClient client = WebSocketClient.newInstance(Sdk.config(recorder.url()).name("golden app")
                        .id("golden").projectId("golden").disableMetrics(true).compression(compression).build());
                new Golden(client).all();
                String transcript = recorder.transcript();
                client.shutDown();
                return "# " + Sdk.LIBRARY + " and its test server, compression " + compression + "\n" + transcript;
            }
        }
    }

    private void all() {
        logs();
        guarantees();
        tracking();
        events();
        values();
        schedules();
        Sdk.record(client);
    }

    /** A message with every field set. */
    private static SerializedMessage full(String id) {
        Data<byte[]> data = new Data<>("{\"text\":\"ü ☃\"}".getBytes(java.nio.charset.StandardCharsets.UTF_8),
                "com.example.Thing", 7, null);
        return Messages.complete(data, Metadata.of("$key.one", "ü", "other", "\"x\"\n"), id);
    }

    private static SerializedMessage small(String id, String text) {
        return new SerializedMessage(data(text), Metadata.empty(), id, 1_700_000_000_000L);
    }

    private void logs() {
        for (MessageType type : List.of(MessageType.COMMAND, MessageType.EVENT, MessageType.QUERY, MessageType.RESULT,
                MessageType.ERROR, MessageType.METRICS, MessageType.WEBREQUEST, MessageType.WEBRESPONSE)) {
            if (type == MessageType.METRICS) {
                continue; // the server writes its own messages there
            }
            World.append(client, type, full(type + "-1"), small(type + "-2", ""));
            World.log(client, type);
            World.read(client.getTrackingClient(type), "tracker", -1L, consumer("reader"));
        }
        World.read(client.getTrackingClient(MessageType.NOTIFICATION), "tracker", -1L, consumer("reader"));
        World.append(client, MessageType.COMMAND);
    }

    /** Commands that get no answer, and those that do. */
    private void guarantees() {
        Await.get(client.getGatewayClient(MessageType.ERROR).append(Guarantee.NONE, small("none", "none")));
        Await.get(client.getGatewayClient(MessageType.ERROR).append(Guarantee.SENT, small("sent", "sent")));
        World.append(client, MessageType.ERROR, small("stored", "stored"));
    }

    private void tracking() {
        TrackingClient queries = client.getTrackingClient(MessageType.QUERY);
        queries.getPosition("nobody");
        Await.get(queries.storePosition("c", new int[] {0, 64}, 77));
        queries.getPosition("c");
        Await.get(queries.storePosition("c", ALL, 76));
        queries.getPosition("c");
        Await.get(queries.resetPosition("c", 9_007_199_254_740_993L));
        queries.getPosition("c");
        Await.get(queries.storePosition("d", ALL, 5, Guarantee.SENT));
        World.read(queries, "t", -1L, consumer("typed", Duration.ZERO).typeFilter("com\\.example\\..*").build());
        World.read(queries, "me", -1L, consumer("targeted", Duration.ZERO).filterMessageTarget(true)
                .ignoreSegment(true).clientControlledIndex(true).build());
        World.read(queries, "t", -1L, consumer("single", Duration.ZERO).singleTracker(true)
                .purgeDelay(Duration.ofMinutes(5)).build());
        Await.get(Sdk.claim(queries, "t", -1L, consumer("claims")));
        Await.get(queries.disconnectTracker("claims", "t", false, Guarantee.SENT));
        queries.readFromIndex(0, 1);
        queries.readFromIndex(Long.MAX_VALUE, 10);
    }

    private void events() {
        var store = client.getEventStoreClient();
        Await.get(store.storeEvents("a/ü", List.of(full("e1"), small("e2", "two")), false));
        Await.get(store.storeEvents("a/ü", List.of(small("e3", "three")), true));
        store.getEvents("a/ü").count();
        store.getEvents("a/ü", 1).count();
        store.getEvents("nobody").count();
        Await.get(store.updateRelationships(new UpdateRelationships(Set.of(relation("a", "x"), relation("b", "y")),
                Set.of(relation("c", "x")), Guarantee.STORED)));
        store.getAggregatesFor("x");
        store.getAggregatesFor("nobody");
        Await.get(store.deleteEvents("a/ü"));
        store.getEvents("a/ü").count();
    }

    private static Relationship relation(String aggregate, String entity) {
        return Relationship.builder().aggregateId(aggregate).aggregateType("com.example.T").entityId(entity).build();
    }

    private void values() {
        var store = client.getKeyValueClient();
        store.getValue("k");
        Await.get(store.putValue("k", new Data<>(Messages.noise(300), "com.example.V", 3, "bytes"), Guarantee.STORED));
        store.getValue("k");
        Await.get(store.putValueIfAbsent("k", data("other")));
        Await.get(store.putValueIfAbsent("l", data("other")));
        Await.get(store.putValue("sent", data("v"), Guarantee.SENT));
        Await.get(store.deleteValue("k", Guarantee.STORED));
        store.getValue("k");
    }

    private void schedules() {
        var scheduling = client.getSchedulingClient();
        Await.get(scheduling.schedule(Guarantee.STORED, new SerializedSchedule("s", FAR, full("s1"), false)));
        Await.get(scheduling.schedule(Guarantee.STORED, new SerializedSchedule("s", FAR + 1, small("s2", "x"), true)));
        scheduling.getSchedule("s");
        Await.get(scheduling.cancelSchedule("s", Guarantee.STORED));
        scheduling.getSchedule("s");
        Await.get(scheduling.schedule(Guarantee.STORED, new SerializedSchedule("now", 1L, full("s3"), false)));
        World.read(client.getTrackingClient(MessageType.SCHEDULE), "t", -1L, consumer("due", Duration.ofSeconds(20))
                .build());
    }
}
