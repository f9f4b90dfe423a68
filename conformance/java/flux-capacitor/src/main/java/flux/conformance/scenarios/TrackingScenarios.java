package flux.conformance.scenarios;

import static flux.conformance.Messages.inSegment;
import static flux.conformance.Messages.message;
import static flux.conformance.Messages.numbered;
import static flux.conformance.Messages.numbers;
import static flux.conformance.Messages.ofType;
import static flux.conformance.Messages.texts;
import static flux.conformance.World.append;
import static flux.conformance.World.consumer;
import static flux.conformance.World.log;
import static flux.conformance.World.read;
import static flux.conformance.World.reading;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Messages;
import flux.conformance.Scenario;
import flux.conformance.World;
import flux.conformance.sdk.Sdk;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.SerializedMessage;
import io.fluxcapacitor.common.api.tracking.MessageBatch;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient.TrackingClientConfig;
import io.fluxcapacitor.javaclient.tracking.ConsumerConfiguration;
import io.fluxcapacitor.javaclient.tracking.client.TrackingClient;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/** Reading as a tracker: waiting, positions, filters, and the division of segments. */
public final class TrackingScenarios {
    private static final int[] ALL = {0, 128};
    private static final Duration LONG = Duration.ofSeconds(30);

    private static TrackingClient events(WebSocketClient client) {
        return client.getTrackingClient(MessageType.EVENT);
    }

    @Scenario(value = "%s: a waiting tracker is answered when a message arrives",
            each = {"COMMAND", "EVENT", "QUERY", "RESULT", "ERROR", "METRICS", "WEBREQUEST", "WEBRESPONSE"})
    void wakes(World world, String type) {
        WebSocketClient client = world.client();
        TrackingClient tracking = client.getTrackingClient(MessageType.valueOf(type));
        CompletableFuture<MessageBatch> batch = reading(tracking, "t", null,
                consumer("c", LONG).typeFilter("flux\\..*").build());
        tracking.getPosition("c");
        append(client, MessageType.valueOf(type), message("hello"));
        Check.equal(List.of("hello"), texts(Await.get(batch).getMessages()), "messages");
    }

    @Scenario("a notification tracker is answered when an event arrives")
    void wakesNotification(World world) {
        WebSocketClient client = world.client();
        TrackingClient tracking = client.getTrackingClient(MessageType.NOTIFICATION);
        CompletableFuture<MessageBatch> batch = reading(tracking, "t", null, consumer("c", LONG).build());
        tracking.getPosition("c");
        append(client, MessageType.EVENT, message("hello"));
        Check.equal(List.of("hello"), texts(Await.get(batch).getMessages()), "messages");
    }

    @Scenario("a read of an empty log waits its time and returns an empty batch")
    void emptyWait(World world) {
        WebSocketClient client = world.client();
        long began = System.nanoTime();
        MessageBatch batch = read(events(client), "t", null, consumer("c", Duration.ofMillis(700)).build());
        long waited = (System.nanoTime() - began) / 1_000_000;
        Check.that(waited >= 650 && waited < 5000, "waited %d ms, want 700", waited);
        Check.equal(List.of(), batch.getMessages(), "messages");
        Check.equal(null, batch.getLastIndex(), "last index");
        Check.equal(ALL, batch.getSegment(), "segments");
    }

    @Scenario("a read that may not wait answers at once")
    void noWait(World world) {
        Check.equal(List.of(), read(events(world.client()), "t", null, consumer("c")).getMessages(), "messages");
    }

    @Scenario("a new consumer begins one second ago")
    void newConsumer(World world) throws InterruptedException {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, message("old"));
        events(client).getPosition("connects");
        Thread.sleep(1200);
        append(client, MessageType.EVENT, message("new"));
        Check.equal(List.of("new"), texts(read(events(client), "t", null, consumer("c")).getMessages()), "messages");
    }

    @Scenario("a new consumer that names index -1 gets the log from its beginning")
    void fromBeginning(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(20));
        Check.equal(numbers(20), texts(read(events(client), "t", -1L, consumer("c")).getMessages()), "messages");
    }

    @Scenario("a new consumer that names an index gets what follows it")
    void fromIndex(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(5));
        long third = log(client, MessageType.EVENT).get(2).getIndex();
        Check.equal(List.of("3", "4"), texts(read(events(client), "t", third, consumer("c")).getMessages()), "messages");
    }

    @Scenario("the last index of a batch is that of its last message or later, and the position is that before it")
    void batch(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(5));
        MessageBatch batch = read(events(client), "t", -1L, consumer("c"));
        Check.that(batch.getLastIndex() >= batch.getMessages().getLast().getIndex(), "last index");
        Check.that(batch.getPosition() != null, "a batch has a position");
    }

    @Scenario("a stored position rules where a consumer goes on")
    void storedPosition(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(5));
        long third = log(client, MessageType.EVENT).get(2).getIndex();
        Await.get(events(client).storePosition("c", ALL, third));
        Check.equal(List.of("3", "4"), texts(read(events(client), "t", -1L, consumer("c")).getMessages()), "messages");
    }

    @Scenario("a lower position does not replace a higher one")
    void positionOnlyGrows(World world) {
        WebSocketClient client = world.client();
        Await.get(events(client).storePosition("c", ALL, 200));
        Await.get(events(client).storePosition("c", ALL, 100));
        Check.equal(Map.of(0, 200L), firsts(events(client).getPosition("c").splitInSegments()), "position");
    }

    @Scenario("positions of parts of the segments are kept apart and merged when equal")
    void positionRanges(World world) {
        WebSocketClient client = world.client();
        Await.get(events(client).storePosition("c", new int[] {0, 64}, 100));
        Check.equal(Map.of(0, 100L), firsts(events(client).getPosition("c").splitInSegments()), "first half");
        Await.get(events(client).storePosition("c", new int[] {64, 128}, 300));
        Check.equal(Map.of(0, 100L, 64, 300L), firsts(events(client).getPosition("c").splitInSegments()), "halves");
        Await.get(events(client).storePosition("c", new int[] {0, 64}, 300));
        Check.equal(Map.of(0, 300L), firsts(events(client).getPosition("c").splitInSegments()), "whole");
    }

    private static Map<Integer, Long> firsts(Map<int[], Long> ranges) {
        Map<Integer, Long> firsts = new TreeMap<>();
        ranges.forEach((range, index) -> firsts.put(range[0], index));
        return firsts;
    }

    @Scenario("the position of an unknown consumer is empty")
    void unknownPosition(World world) {
        Check.equal(0, events(world.client()).getPosition("nobody").getIndexBySegment().size(), "position");
    }

    @Scenario("a reset position goes back, and the messages come again")
    void reset(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(5));
        List<SerializedMessage> all = log(client, MessageType.EVENT);
        Await.get(events(client).storePosition("c", ALL, all.getLast().getIndex()));
        Check.equal(List.of(), read(events(client), "t", null, consumer("c")).getMessages(), "messages");
        Await.get(events(client).resetPosition("c", all.get(1).getIndex()));
        Check.equal(List.of("2", "3", "4"), texts(read(events(client), "t", null, consumer("c")).getMessages()),
                "messages after the reset");
    }

    @Scenario("200 positions stored back to back end with the highest")
    void manyPositions(World world) {
        WebSocketClient client = world.client();
        List<CompletableFuture<Void>> stored = IntStream.rangeClosed(1, 200)
                .mapToObj(i -> events(client).storePosition("c", ALL, i)).toList();
        stored.forEach(Await::get);
        Check.equal(Map.of(0, 200L), firsts(events(client).getPosition("c").splitInSegments()), "position");
    }

    @Scenario("a position stored without waiting arrives")
    void positionSent(World world) {
        WebSocketClient client = world.client();
        Await.get(events(client).storePosition("c", ALL, 5, Guarantee.SENT));
        Await.until("the position", () -> events(client).getPosition("c").getIndex(0).orElse(0L) == 5);
    }

    @Scenario("events and notifications have separate positions")
    void separatePositions(World world) {
        WebSocketClient client = world.client();
        Await.get(events(client).storePosition("c", ALL, 5));
        Check.equal(0, client.getTrackingClient(MessageType.NOTIFICATION).getPosition("c").getIndexBySegment().size(),
                "position of notifications");
    }

    @Scenario("with a client controlled index the stored position does not matter")
    void clientControlled(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(3));
        Await.get(events(client).storePosition("c", ALL, log(client, MessageType.EVENT).getLast().getIndex()));
        ConsumerConfiguration controlled = consumer("c", Duration.ZERO).clientControlledIndex(true).build();
        Check.equal(numbers(3), texts(read(events(client), "t", -1L, controlled).getMessages()), "messages");
    }

    @Scenario("a type filter matches whole types")
    void typeFilter(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, ofType("com.example.UserCreated", "a"),
                ofType("com.example.UserCreatedX", "b"), ofType("com.example.Other", "c"));
        Check.equal(List.of("a"), texts(read(events(client), "t", -1L,
                consumer("c", Duration.ZERO).typeFilter(".*Created").build()).getMessages()), "messages");
    }

    @Scenario("a quoted type filter matches literally")
    void quotedFilter(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, ofType("com.example.A$B", "a"), ofType("com.exampleXA$B", "b"));
        Check.equal(List.of("a"), texts(read(events(client), "t", -1L,
                consumer("c", Duration.ZERO).typeFilter("\\Qcom.example.A$B\\E").build()).getMessages()), "messages");
    }

    @Scenario("a message without type passes every filter")
    void filterWithoutType(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, ofType(null, "a"), ofType("x", "b"));
        Check.equal(List.of("a"), texts(read(events(client), "t", -1L,
                consumer("c", Duration.ZERO).typeFilter("com\\..*").build()).getMessages()), "messages");
    }

    @Scenario("a filter that rejects 5,000 messages leaves the consumer beyond them")
    void filterAdvances(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(5000));
        ConsumerConfiguration filtered = consumer("c", Duration.ofMillis(1500)).typeFilter("nothing").build();
        long last = client.getTrackingClient(MessageType.EVENT)
                .readFromIndex(0, 10_000).getLast().getIndex();
        Long index = -1L;
        for (int i = 0; i < 20 && !beyond(client, index, last); i++) {
            MessageBatch batch = read(events(client), "t", index, filtered);
            Check.equal(List.of(), batch.getMessages(), "messages");
            index = batch.getLastIndex() == null ? index : batch.getLastIndex();
        }
        Check.that(beyond(client, index, last), "the consumer must be beyond the messages");
    }

    private static boolean beyond(WebSocketClient client, Long index, long last) {
        return index >= last || events(client).getPosition("c").getIndex(0).orElse(-1L) >= last;
    }

    @Scenario("a filter rejects and accepts in long alternation without loss")
    void filterAlternates(World world) {
        WebSocketClient client = world.client();
        SerializedMessage[] messages = IntStream.range(0, 6000).mapToObj(i -> ofType(i % 100 == 0 ? "keep" : "drop",
                Integer.toString(i)).withSegment(i % 128)).toArray(SerializedMessage[]::new);
        append(client, MessageType.EVENT, messages);
        List<String> got = drain(client, consumer("c", Duration.ofMillis(300)).typeFilter("keep").maxFetchSize(50)
                .build(), 60);
        Check.equal(IntStream.range(0, 60).mapToObj(i -> "" + i * 100).toList(), got, "messages");
    }

    /** Reads and stores positions as an application does, until it has as many messages as wanted. */
    private static List<String> drain(WebSocketClient client, ConsumerConfiguration consumer, int want) {
        List<String> got = new ArrayList<>();
        Long index = -1L;
        for (int i = 0; i < 200 && got.size() < want; i++) {
            MessageBatch batch = read(events(client), "t", index, consumer);
            got.addAll(texts(batch.getMessages()));
            if (batch.getLastIndex() != null) {
                index = batch.getLastIndex();
                Await.get(events(client).storePosition(consumer.getName(), batch.getSegment(), index));
            }
        }
        return got;
    }

    @Scenario("10,000 messages are read in batches without gap or double")
    void manyBatches(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(10_000));
        Check.equal(numbers(10_000), drain(client, consumer("c", Duration.ofMillis(300)).maxFetchSize(512).build(),
                10_000), "messages");
    }

    @Scenario("with a target filter only what is meant for the tracker or its client is delivered")
    void targets(World world) {
        WebSocketClient client = world.client(c -> c.id("me"));
        append(client, MessageType.RESULT, addressed("me", "to me"), addressed("you", "to you"),
                addressed(null, "to all"), addressed("tracker", "to the tracker"));
        ConsumerConfiguration filtered = consumer("c", Duration.ZERO).filterMessageTarget(true).ignoreSegment(true)
                .clientControlledIndex(true).build();
        Check.equal(List.of("to me", "to all", "to the tracker"), texts(read(client.getTrackingClient(
                MessageType.RESULT), "tracker", -1L, filtered).getMessages()), "messages");
        Check.equal(4, read(client.getTrackingClient(MessageType.RESULT), "t", -1L, consumer("d")).getMessages().size(),
                "messages without the filter");
    }

    private static SerializedMessage addressed(String target, String text) {
        SerializedMessage message = message(text);
        message.setTarget(target);
        return message;
    }

    @Scenario("two trackers of a consumer have half of the segments each")
    void twoTrackers(World world) {
        WebSocketClient client = world.client();
        ConsumerConfiguration waiting = consumer("c", LONG).build();
        CompletableFuture<MessageBatch> a = reading(events(client), "a", -1L, waiting);
        CompletableFuture<MessageBatch> b = reading(events(client), "b", -1L, waiting);
        events(client).getPosition("c");
        append(client, MessageType.EVENT, inSegment(3, "low"), inSegment(100, "high"));
        Check.equal(new int[] {0, 64}, Await.get(a).getSegment(), "segments of a");
        Check.equal(List.of("low"), texts(Await.get(a).getMessages()), "messages of a");
        Check.equal(new int[] {64, 128}, Await.get(b).getSegment(), "segments of b");
        Check.equal(List.of("high"), texts(Await.get(b).getMessages()), "messages of b");
    }

    @Scenario(value = "%s waiting trackers share all segments without overlap", each = {"3", "5", "16"})
    void manyTrackers(World world, String number) {
        WebSocketClient client = world.client();
        int count = Integer.parseInt(number);
        List<CompletableFuture<MessageBatch>> reads = IntStream.range(0, count).mapToObj(i -> reading(events(client),
                "t%02d".formatted(i), -1L, consumer("c", LONG).build())).toList();
        events(client).getPosition("c");
        append(client, MessageType.EVENT, numbered(128));
        int next = 0;
        for (CompletableFuture<MessageBatch> read : reads) {
            int[] segment = Await.get(read).getSegment();
            Check.equal(next, segment[0], "first segment");
            Check.equal(segment[1] - segment[0], Await.get(read).getMessages().size(), "messages");
            next = segment[1];
        }
        Check.equal(128, next, "end of the last segments");
    }

    @Scenario("a tracker that handles a batch keeps its segments until it reads again")
    void pinned(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(128));
        Check.equal(ALL, read(events(client), "a", -1L, consumer("c")).getSegment(), "segments of a");
        CompletableFuture<MessageBatch> b = reading(events(client), "b", -1L, consumer("c", LONG).build());
        events(client).getPosition("c");
        Check.that(!b.isDone(), "b must wait while a handles everything");
        long last = log(client, MessageType.EVENT).getLast().getIndex();
        Await.get(events(client).storePosition("c", ALL, last));
        CompletableFuture<MessageBatch> a = reading(events(client), "a", last, consumer("c", LONG).build());
        events(client).getPosition("c");
        append(client, MessageType.EVENT, inSegment(1, "low"), inSegment(127, "high"));
        Check.equal(new int[] {0, 64}, Await.get(a).getSegment(), "segments of a");
        Check.equal(new int[] {64, 128}, Await.get(b).getSegment(), "segments of b");
        Check.equal(List.of("high"), texts(Await.get(b).getMessages()), "messages of b");
    }

    @Scenario("a tracker whose client leaves gives its segments to the others")
    void leaves(World world) {
        WebSocketClient staying = world.client();
        WebSocketClient leaving = world.client();
        append(staying, MessageType.EVENT, numbered(128));
        Check.equal(ALL, read(events(leaving), "a", -1L, consumer("c")).getSegment(), "segments of a");
        CompletableFuture<MessageBatch> b = reading(events(staying), "b", -1L, consumer("c", LONG).build());
        events(staying).getPosition("c");
        leaving.shutDown();
        Check.equal(128, Await.get(b).getMessages().size(), "messages of b");
    }

    @Scenario("a tracker that is disconnected is answered with a final empty batch when asked for")
    void disconnect(World world) {
        WebSocketClient client = world.client();
        CompletableFuture<MessageBatch> a = reading(events(client), "a", null, consumer("c", LONG).build());
        CompletableFuture<MessageBatch> b = reading(events(client), "b", null, consumer("c", LONG).build());
        events(client).getPosition("c");
        Await.get(events(client).disconnectTracker("c", "a", true));
        Check.equal(new int[] {0, 0}, Await.get(a).getSegment(), "segments of the final batch");
        append(client, MessageType.EVENT, inSegment(1, "low"));
        Check.equal(List.of("low"), texts(Await.get(b).getMessages()), "messages of b");
    }

    @Scenario(value = "a disconnected tracker is confirmed when the client waits",
            notOnReference = "it never answers disconnectTracker")
    void disconnectStored(World world) {
        WebSocketClient client = world.client();
        CompletableFuture<MessageBatch> a = reading(events(client), "a", null, consumer("c", LONG).build());
        events(client).getPosition("c");
        Await.get(events(client).disconnectTracker("c", "a", false, Guarantee.STORED));
        Check.that(!a.isDone(), "without a final batch the read is not answered");
    }

    @Scenario("a single tracker gets everything, and another takes over when it leaves")
    void single(World world) {
        WebSocketClient first = world.client();
        WebSocketClient second = world.client();
        ConsumerConfiguration single = consumer("c", LONG).singleTracker(true).build();
        CompletableFuture<MessageBatch> a = reading(events(first), "a", null, single);
        events(first).getPosition("c");
        CompletableFuture<MessageBatch> b = reading(events(second), "b", null, single);
        events(second).getPosition("c");
        append(second, MessageType.EVENT, inSegment(1, "low"), inSegment(127, "high"));
        Check.equal(List.of("low", "high"), texts(Await.get(a).getMessages()), "messages of a");
        Check.that(!b.isDone(), "b must wait");
        first.shutDown();
        append(second, MessageType.EVENT, inSegment(90, "next"));
        Check.that(!Await.get(b).getMessages().isEmpty(), "b must take over");
    }

    @Scenario("trackers that ignore segments each get everything")
    void ignoreSegment(World world) {
        WebSocketClient client = world.client();
        ConsumerConfiguration all = consumer("c", LONG).ignoreSegment(true).clientControlledIndex(true).build();
        CompletableFuture<MessageBatch> a = reading(events(client), "a", null, all);
        CompletableFuture<MessageBatch> b = reading(events(client), "b", null, all);
        events(client).getPosition("c");
        append(client, MessageType.EVENT, inSegment(1, "low"), inSegment(127, "high"));
        Check.equal(List.of("low", "high"), texts(Await.get(a).getMessages()), "messages of a");
        Check.equal(List.of("low", "high"), texts(Await.get(b).getMessages()), "messages of b");
    }

    @Scenario("a tracker that does not come back in time is purged")
    void purge(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(128));
        ConsumerConfiguration impatient = consumer("c", LONG).purgeDelay(Duration.ofSeconds(1)).build();
        Check.equal(128, read(events(client), "a", -1L, impatient).getMessages().size(), "messages of a");
        CompletableFuture<MessageBatch> b = reading(events(client), "b", -1L, impatient);
        if (!"reference".equals(System.getProperty("server"))) {
            Check.equal(128, Await.get(b).getMessages().size(), "messages of b");
            return;
        }
        // The reference removes the tracker without waking the others, which then wait for the next message.
        Await.until("the purge", () -> {
            append(client, MessageType.EVENT, inSegment(5, "tick"));
            return b.isDone();
        });
    }

    @Scenario("a claim tells the segments and the position without messages")
    void claim(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(3));
        var claim = Await.get(Sdk.claim(events(client), "t", -1L, consumer("c")));
        Check.equal(ALL, claim.getSegment(), "segments");
        Check.that(claim.getPosition() != null, "a claim has a position");
    }

    @Scenario("a message in segment 300 is delivered in segment 44")
    void foldedSegment(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, inSegment(300, "x"));
        Check.equal(44, read(events(client), "t", -1L, consumer("c")).getMessages().getFirst().getSegment(), "segment");
    }

    @Scenario("a message without segment is delivered in that of its id")
    void segmentOfId(World world) {
        WebSocketClient client = world.client();
        SerializedMessage message = message("x");
        message.setMessageId("m1");
        append(client, MessageType.EVENT, message);
        Check.equal(Messages.segmentOf("m1"),
                read(events(client), "t", -1L, consumer("c")).getMessages().getFirst().getSegment(), "segment");
    }

    @Scenario("two consumers of one log each get everything")
    void twoConsumers(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, numbered(10));
        Check.equal(numbers(10), texts(read(events(client), "t", -1L, consumer("c")).getMessages()), "first");
        Check.equal(numbers(10), texts(read(events(client), "t", -1L, consumer("d")).getMessages()), "second");
    }

    @Scenario("a tracker that reads over several sockets in turn is one tracker")
    void severalSockets(World world) {
        WebSocketClient client = world.client(c -> c.trackingConfigs(c.build().withTrackingConfig(MessageType.EVENT,
                TrackingClientConfig.builder().sessions(3).build()).getTrackingConfigs()));
        append(client, MessageType.EVENT, numbered(1000));
        Check.equal(numbers(1000), drain(client, consumer("c", Duration.ofMillis(300)).maxFetchSize(100).build(), 1000),
                "messages");
    }

    @Scenario("a client with a cache of messages delivers all of them")
    void cache(World world) {
        WebSocketClient client = world.client(c -> c.trackingConfigs(c.build().withTrackingConfig(MessageType.EVENT,
                TrackingClientConfig.builder().cacheSize(100).build()).getTrackingConfigs()));
        CompletableFuture<MessageBatch> first = reading(events(client), "t", null, consumer("c", LONG).build());
        Await.until("messages through the cache", () -> {
            append(client, MessageType.EVENT, message("x"));
            return first.isDone();
        });
        Check.that(!Await.get(first).getMessages().isEmpty(), "messages");
    }

    @Scenario("a second read of a tracker takes the place of the first")
    void replaced(World world) {
        WebSocketClient client = world.client();
        CompletableFuture<MessageBatch> first = reading(events(client), "t", null, consumer("c", LONG).build());
        events(client).getPosition("c");
        CompletableFuture<MessageBatch> second = reading(events(client), "t", null, consumer("c", LONG).build());
        Check.equal(List.of(), Await.get(first).getMessages(), "messages of the first read");
        append(client, MessageType.EVENT, message("x"));
        Check.equal(List.of("x"), texts(Await.get(second).getMessages()), "messages of the second read");
    }
}
