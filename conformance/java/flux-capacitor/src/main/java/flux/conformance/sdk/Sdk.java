package flux.conformance.sdk;

import io.fluxcapacitor.common.api.tracking.ClaimSegmentResult;
import io.fluxcapacitor.common.api.tracking.MessageBatch;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient.ClientConfig;
import io.fluxcapacitor.javaclient.tracking.ConsumerConfiguration;
import io.fluxcapacitor.javaclient.tracking.client.TrackingClient;
import io.fluxcapacitor.javaclient.tracking.client.WebsocketTrackingClient;
import java.util.concurrent.CompletableFuture;

/** What differs between the client libraries beyond the names of their packages. */
public final class Sdk {
    public static final String LIBRARY = "io.flux-capacitor:java-client";
    public static final String TEST_SERVER = "io.fluxcapacitor.testserver.TestServer";

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
}
