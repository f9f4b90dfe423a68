package flux.conformance.sdk;

import io.fluxcapacitor.common.api.Data;
import io.fluxcapacitor.common.api.search.SerializedDocument;
import io.fluxcapacitor.common.api.tracking.ClaimSegmentResult;
import io.fluxcapacitor.common.api.tracking.MessageBatch;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient.ClientConfig;
import io.fluxcapacitor.javaclient.tracking.ConsumerConfiguration;
import io.fluxcapacitor.javaclient.tracking.client.TrackingClient;
import io.fluxcapacitor.javaclient.tracking.client.WebsocketTrackingClient;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/** What differs between the client libraries beyond the names of their packages. */
public final class Sdk {
    public static final String LIBRARY = "io.flux-capacitor:java-client";
    public static final String TEST_SERVER = "io.fluxcapacitor.testserver.TestServer";

    /** Scenarios of what only this library has. */
    public static final List<Class<?>> SCENARIOS = List.of();

    private Sdk() {}

    public static ClientConfig.ClientConfigBuilder config(String url) {
        return ClientConfig.builder().serviceBaseUrl(url);
    }

    public static CompletableFuture<MessageBatch> read(TrackingClient client, String tracker, Long lastIndex,
            ConsumerConfiguration consumer) {
        return client.read(consumer.getName(), tracker, lastIndex, consumer);
    }

    public static CompletableFuture<ClaimSegmentResult> claim(TrackingClient client, String tracker, Long lastIndex,
            ConsumerConfiguration consumer) {
        return ((WebsocketTrackingClient) client).claimSegment(consumer.getName(), tracker, lastIndex, consumer);
    }

    public static SerializedDocument document(String id, String collection, Data<byte[]> data) {
        return new SerializedDocument(id, 1L, 1L, collection, data, "summary", Set.of());
    }

    /** Adds to a recording what only this library has. */
    public static void record(WebSocketClient client) {}
}
