package flux.conformance.scenarios;

import static flux.conformance.Messages.message;
import static flux.conformance.Messages.numbered;
import static flux.conformance.Messages.texts;
import static flux.conformance.World.append;
import static flux.conformance.World.consumer;
import static flux.conformance.World.log;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Scenario;
import flux.conformance.World;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.tracking.MessageBatch;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import io.fluxcapacitor.javaclient.tracking.client.TrackingClient;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** A log is emptied by one client, with a request that not every library has, while others use it. */
public final class TruncateScenarios {
    private static final String UNKNOWN = "it does not know the request";

    /** Collects what comes as one message, and then answers for it. */
    private static final class OneMessage implements WebSocket.Listener {
        private final ByteArrayOutputStream content = new ByteArrayOutputStream();
        private final CompletableFuture<String> done = new CompletableFuture<>();

        @Override
        public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer data, boolean last) {
            byte[] part = new byte[data.remaining()];
            data.get(part);
            content.writeBytes(part);
            if (last) {
                done.complete(content.toString(StandardCharsets.UTF_8));
            }
            socket.request(1);
            return null;
        }
    }

    private static void truncate(World world, String path) {
        URI address = URI.create(world.server().url() + "/tracking/publish" + path + "?clientId=truncater&clientName=app"
                + "&compression=NONE&projectId=" + world.namespace());
        OneMessage answer = new OneMessage();
        try (HttpClient http = HttpClient.newHttpClient()) {
            WebSocket socket = Await.get(http.newWebSocketBuilder().buildAsync(address, answer));
            String request = "{\"@type\":\"truncate\",\"guarantee\":\"STORED\",\"requestId\":7}";
            Await.get(socket.sendBinary(ByteBuffer.wrap(request.getBytes(StandardCharsets.UTF_8)), true));
            String result = Await.get(answer.done);
            Check.that(result.startsWith("{\"@type\":\"void\",\"requestId\":7,"), result);
            Await.get(socket.sendClose(WebSocket.NORMAL_CLOSURE, ""));
            socket.abort();
        }
    }

    @Scenario(value = "a truncated log of %ss is empty, and goes on", each = {"event", "command"}, notOnReference = UNKNOWN)
    void empty(World world, String path) {
        MessageType type = MessageType.valueOf(path.toUpperCase());
        WebSocketClient client = world.client();
        append(client, type, numbered(100));
        long before = log(client, type).getLast().getIndex();
        truncate(world, path);
        Check.equal(List.of(), texts(log(client, type)), "messages");
        append(client, type, message("new"));
        Check.equal(List.of("new"), texts(log(client, type)), "messages");
        Check.that(log(client, type).getFirst().getIndex() > before, "index goes on");
    }

    @Scenario(value = "consumers of a truncated log begin anew", notOnReference = UNKNOWN)
    void positions(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, message("old"));
        TrackingClient tracking = client.getTrackingClient(MessageType.EVENT);
        long last = World.read(tracking, "t", -1L, consumer("c")).getLastIndex();
        Await.get(tracking.storePosition("c", new int[] {0, 128}, last));
        truncate(world, "event");
        Check.equal(0, tracking.getPosition("c").getIndexBySegment().size(), "position");
        append(client, MessageType.EVENT, message("new"));
        Check.equal(List.of("new"), texts(World.read(tracking, "t", -1L, consumer("c")).getMessages()), "messages");
    }

    @Scenario(value = "a tracker that waits is sent away by a truncation", notOnReference = UNKNOWN)
    void waiting(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, message("old"));
        TrackingClient tracking = client.getTrackingClient(MessageType.EVENT);
        long last = World.read(tracking, "t", -1L, consumer("c")).getLastIndex();
        Await.get(tracking.storePosition("c", new int[] {0, 128}, last));
        CompletableFuture<MessageBatch> batch = World.reading(tracking, "t", last,
                consumer("c", Duration.ofSeconds(60)).build());
        tracking.getPosition("c"); // the read came before it
        truncate(world, "event");
        MessageBatch end = Await.get(batch);
        Check.equal(List.of(), texts(end.getMessages()), "messages");
        Check.equal(List.of(0, 0), List.of(end.getSegment()[0], end.getSegment()[1]), "segment");
        append(client, MessageType.EVENT, message("new"));
        Check.equal(List.of("new"), texts(World.read(tracking, "t", -1L, consumer("c")).getMessages()), "messages");
    }
}
