package flux.conformance;

import static flux.conformance.World.consumer;

import flux.conformance.sdk.Sdk;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.Registration;
import io.fluxcapacitor.common.api.Data;
import io.fluxcapacitor.common.api.Metadata;
import io.fluxcapacitor.common.api.SerializedMessage;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import io.fluxcapacitor.javaclient.publishing.client.GatewayClient;
import io.fluxcapacitor.javaclient.tracking.client.DefaultTracker;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Measures the client on Flux and on its own test server, which keeps everything in memory, in turns. It publishes events
 * with guarantee STORED, one a request, and then tracks them. A line of JSON for each measurement goes to the standard
 * output; the first round, in which everything gets warm, has none.
 *
 * <p>Arguments: the number of events, and of rounds. System properties: those of {@link Runner}.
 */
public final class Benchmark {
    private static final int OUTSTANDING = 1024;
    private static final long MINUTES = 5;

    private final int events;

    private Benchmark(int events) {
        this.events = events;
    }

    public static void main(String[] arguments) {
        int status = 1;
        try (Server flux = make(Servers.Kind.FLUX); Server reference = make(Servers.Kind.REFERENCE)) {
            flux.start();
            reference.start();
            Benchmark benchmark = new Benchmark(Integer.parseInt(arguments[0]));
            for (int round = 0; round <= Integer.parseInt(arguments[1]); round++) {
                benchmark.measure("flux", flux, round);
                benchmark.measure("reference", reference, round);
            }
            status = 0;
        } catch (Throwable e) {
            e.printStackTrace();
        }
        System.out.flush();
        Runtime.getRuntime().halt(status);
    }

    private static Server make(Servers.Kind kind) {
        return new Servers(kind, Path.of(System.getProperty("reports")), System.getProperty("binary"),
                System.getProperty("reference"), Sdk.TEST_SERVER).make();
    }

    private void measure(String name, Server server, int round) throws Exception {
        try (World world = new World(server, "round-" + round)) {
            WebSocketClient client = world.client();
            report(name, round, "publish", publish(client.getGatewayClient(MessageType.EVENT)));
            report(name, round, "track", track(client));
        }
    }

    private void report(String server, int round, String what, double seconds) {
        if (round > 0) {
            System.out.printf("{\"server\":\"%s\",\"what\":\"%s\",\"perSecond\":%d}%n", server, what, Math.round(events / seconds));
        }
    }

    /** Publishes all events, with so many on their way, and returns how many seconds it took until the last was stored. */
    private double publish(GatewayClient gateway) throws Exception {
        Await.get(gateway.append(Guarantee.STORED, event(0))); // opens the socket
        Semaphore room = new Semaphore(OUTSTANDING);
        CompletableFuture<Void> failure = new CompletableFuture<>();
        long began = System.nanoTime();
        for (int i = 1; i < events; i++) {
            room.acquire();
            gateway.append(Guarantee.STORED, event(i)).whenComplete((r, e) -> {
                if (e != null) {
                    failure.completeExceptionally(e);
                }
                room.release();
            });
        }
        if (!room.tryAcquire(OUTSTANDING, MINUTES, TimeUnit.MINUTES)) {
            throw new AssertionError("events were not stored within " + MINUTES + " minutes");
        }
        double seconds = since(began);
        failure.complete(null);
        failure.get();
        return seconds;
    }

    /** Tracks the log from its beginning, and returns how many seconds it took until the last event was there. */
    private double track(WebSocketClient client) throws Exception {
        CountDownLatch missing = new CountDownLatch(events);
        long began = System.nanoTime();
        Registration tracking = DefaultTracker.start(batch -> batch.forEach(m -> missing.countDown()),
                consumer("benchmark", Duration.ofSeconds(10)).minIndex(0L).build(),
                client.getTrackingClient(MessageType.EVENT));
        if (!missing.await(MINUTES, TimeUnit.MINUTES)) {
            throw new AssertionError(missing.getCount() + " events did not come within " + MINUTES + " minutes");
        }
        double seconds = since(began);
        tracking.cancel();
        return seconds;
    }

    private static double since(long began) {
        return (System.nanoTime() - began) / 1e9;
    }

    private static SerializedMessage event(int i) {
        String payload = ("{\"departedAt\":\"2001-01-13T16:23:00Z\",\"delayMinutes\":%d,\"distanceMiles\":588,\"origin\":\"DTW\","
                + "\"destination\":\"LAS\",\"number\":%d}").formatted(i % 60, 100_000 + i);
        Data<byte[]> data = new Data<>(payload.getBytes(StandardCharsets.UTF_8), "bench.Departure", 0, "application/json");
        return new SerializedMessage(data, Metadata.empty(), UUID.randomUUID().toString(), System.currentTimeMillis())
                .withSegment(i % 128);
    }
}
