package flux.conformance.sdk;

import flux.conformance.Await;
import flux.conformance.Messages;
import flux.conformance.scenarios.CustomScenarios;
import io.fluxzero.common.Guarantee;
import io.fluxzero.common.MessageType;
import io.fluxzero.common.api.Data;
import io.fluxzero.common.api.Metadata;
import io.fluxzero.common.api.search.SerializedDocument;
import io.fluxzero.common.api.tracking.ClaimSegmentResult;
import io.fluxzero.common.api.tracking.MessageBatch;
import io.fluxzero.sdk.configuration.client.WebSocketClient;
import io.fluxzero.sdk.configuration.client.WebSocketClient.ClientConfig;
import io.fluxzero.sdk.tracking.ConsumerConfiguration;
import io.fluxzero.sdk.tracking.client.TrackingClient;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/** What differs between the client libraries beyond the names of their packages. */
public final class Sdk {
    public static final String LIBRARY = "io.fluxzero:sdk";
    public static final String TEST_SERVER = "io.fluxzero.testserver.TestServer";
    /** Scenarios of what only this library has. */
    public static final List<Class<?>> SCENARIOS = List.of(CustomScenarios.class);

    private Sdk() {}

    public static ClientConfig.ClientConfigBuilder config(String url) {
        return ClientConfig.builder().runtimeBaseUrl(url);
    }

    public static CompletableFuture<MessageBatch> read(TrackingClient client, String tracker, Long lastIndex,
            ConsumerConfiguration consumer) {
        return client.read(tracker, lastIndex, consumer);
    }

    public static CompletableFuture<ClaimSegmentResult> claim(TrackingClient client, String tracker, Long lastIndex,
            ConsumerConfiguration consumer) {
        return client.claimSegment(tracker, lastIndex, consumer);
    }

    public static SerializedDocument document(String id, String collection, Data<byte[]> data) {
        return new SerializedDocument(id, 1L, 1L, collection, data, "summary", Set.of(), Set.of());
    }

    /** Adds to a recording what only this library has. */
    public static void record(WebSocketClient client) {
        var gateway = client.getGatewayClient(MessageType.CUSTOM, "topic one");
        Await.get(gateway.append(Guarantee.STORED, Messages.complete(Messages.data("x"), Metadata.empty(), "m")));
        Await.get(gateway.setRetentionTime(Duration.ofDays(100), Guarantee.STORED));
        client.getTrackingClient(MessageType.CUSTOM, "topic one").readFromIndex(0, 10);
        client.getTrackingClient(MessageType.CUSTOM, "topic two").readFromIndex(0, 10);
    }
}
