package flux.conformance.scenarios;

import static flux.conformance.Messages.message;
import static flux.conformance.Messages.numbered;
import static flux.conformance.Messages.numbers;
import static flux.conformance.Messages.text;
import static flux.conformance.Messages.texts;
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
import io.fluxcapacitor.common.api.modeling.Relationship;
import io.fluxcapacitor.common.api.modeling.RepairRelationships;
import io.fluxcapacitor.common.api.modeling.UpdateRelationships;
import io.fluxcapacitor.javaclient.common.exception.ServiceException;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import io.fluxcapacitor.javaclient.persisting.eventsourcing.client.EventStoreClient;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/** Streams of events of aggregates, and relationships. */
public final class EventStoreScenarios {
    private static final String MISSING = "it does not implement this request";

    private static void store(EventStoreClient store, String aggregate, SerializedMessage... events) {
        Await.get(store.storeEvents(aggregate, Arrays.asList(events), false));
    }

    private static List<String> events(EventStoreClient store, String aggregate) {
        return texts(store.getEvents(aggregate).toList());
    }

    @Scenario("stored events come back in order, with all their fields")
    void storeAndGet(World world) {
        WebSocketClient client = world.client();
        Data<byte[]> data = new Data<>("{}".getBytes(), "com.example.Opened", 3, "application/json");
        store(client.getEventStoreClient(), "a", Messages.complete(data, Metadata.of("k", "v"), "m1"),
                message("second"));
        List<SerializedMessage> got = client.getEventStoreClient().getEvents("a").toList();
        Check.equal(data, got.getFirst().getData(), "data");
        Check.equal(Map.of("k", "v"), got.getFirst().getMetadata().getEntries(), "metadata");
        Check.equal("m1", got.getFirst().getMessageId(), "id");
        Check.equal(1_700_000_000_000L, got.getFirst().getTimestamp(), "timestamp");
        Check.equal("second", text(got.get(1)), "second event");
    }

    @Scenario("the events of an unknown aggregate are none")
    void unknown(World world) {
        Check.equal(List.of(), events(world.client().getEventStoreClient(), "nobody"), "events");
    }

    @Scenario("stored events are published as events and notifications, with the same index everywhere")
    void published(World world) {
        WebSocketClient client = world.client();
        store(client.getEventStoreClient(), "a", numbered(3));
        List<Long> indexes = client.getEventStoreClient().getEvents("a").map(SerializedMessage::getIndex).toList();
        Check.equal(numbers(3), texts(log(client, MessageType.EVENT)), "events");
        Check.equal(indexes, log(client, MessageType.EVENT).stream().map(SerializedMessage::getIndex).toList(),
                "indexes of events");
        Check.equal(indexes, log(client, MessageType.NOTIFICATION).stream().map(SerializedMessage::getIndex).toList(),
                "indexes of notifications");
    }

    @Scenario("events that are only stored are not published and have no index")
    void storeOnly(World world) {
        WebSocketClient client = world.client();
        Await.get(client.getEventStoreClient().storeEvents("a", List.of(message("x")), true));
        Check.equal(List.of("x"), events(client.getEventStoreClient(), "a"), "stored events");
        Check.equal(List.of(), log(client, MessageType.EVENT), "published events");
        Check.equal(null, client.getEventStoreClient().getEvents("a").toList().getFirst().getIndex(), "index");
    }

    @Scenario("events that are only published are not stored")
    void publishOnly(World world) {
        WebSocketClient client = world.client();
        World.append(client, MessageType.EVENT, message("x"));
        Check.equal(List.of(), events(client.getEventStoreClient(), "a"), "stored events");
    }

    @Scenario("the last sequence number tells how many events there are")
    void lastSequence(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        store(store, "a", numbered(500));
        var stream = store.getEvents("a");
        Check.equal(500L, stream.count(), "events");
        Check.equal(499L, stream.getLastSequenceNumber().orElse(-1L), "last sequence number");
    }

    @Scenario("events can be read from a sequence number on")
    void fromSequence(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        store(store, "a", numbered(10));
        Check.equal(List.of("5", "6", "7", "8", "9"), texts(store.getEvents("a", 4).toList()), "events");
        Check.equal(List.of(), store.getEvents("a", 9).toList(), "events after the last");
    }

    @Scenario(value = "events can be read in a limited number", notOnReference = "it ignores the size of a batch")
    void limited(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        store(store, "a", numbered(10));
        Check.equal(List.of("0", "1", "2"), texts(store.getEvents("a", -1, 3).toList()), "events");
    }

    @Scenario(value = "20,000 events are read in pages", notOnReference = "it answers all events to each page")
    void pages(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        for (int i = 0; i < 20; i++) {
            int from = i * 1000;
            Await.get(store.storeEvents("a", IntStream.range(from, from + 1000)
                    .mapToObj(n -> message(Integer.toString(n))).toList(), true));
        }
        var stream = store.getEvents("a");
        Check.equal(numbers(20_000), texts(stream.toList()), "events");
        Check.equal(19_999L, stream.getLastSequenceNumber().orElse(-1L), "last sequence number");
    }

    @Scenario("aggregates do not see each other's events")
    void separate(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        IntStream.range(0, 50).forEach(i -> store(store, "agg-" + i, message("of " + i)));
        IntStream.range(0, 50).forEach(i -> Check.equal(List.of("of " + i), events(store, "agg-" + i), "events"));
    }

    @Scenario(value = "an aggregate named '%s' keeps its events", each = {"a/b", "ü☃", "a b", "$x_%y"})
    void names(World world, String name) {
        EventStoreClient store = world.client().getEventStoreClient();
        store(store, name, message("x"));
        Check.equal(List.of("x"), events(store, name), "events");
        Check.equal(List.of(), events(store, name.substring(0, 1)), "events of another");
    }

    @Scenario(value = "an id with a NUL character is refused with an error", notOnReference = "it accepts any id")
    void badName(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        Check.fails(ServiceException.class, () -> Await.get(store.storeEvents("a\0b", List.of(message("x")), false)));
        store(store, "ab", message("x"));
    }

    @Scenario("deleted events are gone, the published ones stay, and counting begins anew")
    void delete(World world) {
        WebSocketClient client = world.client();
        EventStoreClient store = client.getEventStoreClient();
        store(store, "a", numbered(3));
        Await.get(store.deleteEvents("a"));
        Check.equal(List.of(), events(store, "a"), "events");
        Check.equal(3, log(client, MessageType.EVENT).size(), "published events");
        store(store, "a", message("again"));
        var stream = store.getEvents("a");
        Check.equal(List.of("again"), texts(stream.toList()), "events");
        Check.equal(0L, stream.getLastSequenceNumber().orElse(-1L), "last sequence number");
    }

    @Scenario("deleting unknown events succeeds")
    void deleteUnknown(World world) {
        Await.get(world.client().getEventStoreClient().deleteEvents("nobody"));
    }

    @Scenario(value = "events with guarantee %s are stored", each = {"NONE", "SENT", "STORED"})
    void guarantee(World world, String guarantee) {
        EventStoreClient store = world.client().getEventStoreClient();
        Await.get(store.storeEvents("a", List.of(message("x")), false, Guarantee.valueOf(guarantee)));
        Await.until("the event", () -> events(store, "a").equals(List.of("x")));
    }

    @Scenario(value = "appends to one aggregate keep their order",
            notOnReference = "it performs the requests of a socket in parallel")
    void order(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        List<CompletableFuture<Void>> stored = IntStream.range(0, 500)
                .mapToObj(i -> store.storeEvents("a", List.of(message(Integer.toString(i))), false)).toList();
        stored.forEach(Await::get);
        Check.equal(numbers(500), events(store, "a"), "events");
    }

    @Scenario("several clients append to one aggregate without loss")
    void concurrent(World world) {
        List<EventStoreClient> stores = IntStream.range(0, 3).mapToObj(i -> world.client().getEventStoreClient())
                .toList();
        List<CompletableFuture<Void>> stored = IntStream.range(0, 300).mapToObj(i -> stores.get(i % 3)
                .storeEvents("a", List.of(message(Integer.toString(i))), false)).toList();
        stored.forEach(Await::get);
        Check.equal(Set.copyOf(numbers(300)), Set.copyOf(events(stores.getFirst(), "a")), "events");
    }

    private static Relationship relation(String aggregate, String entity) {
        return Relationship.builder().aggregateId(aggregate).aggregateType("com.example.Type").entityId(entity).build();
    }

    private static void relate(EventStoreClient store, Set<Relationship> add, Set<Relationship> remove) {
        Await.get(store.updateRelationships(new UpdateRelationships(add, remove, Guarantee.STORED)));
    }

    @Scenario("relationships can be added, asked for and removed")
    void relationships(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        relate(store, Set.of(relation("a1", "e"), relation("a1", "f")), Set.of());
        relate(store, Set.of(relation("a2", "e")), Set.of());
        Check.equal(Map.of("a1", "com.example.Type", "a2", "com.example.Type"), store.getAggregatesFor("e"), "of e");
        Check.equal(Map.of("a1", "com.example.Type"), store.getAggregatesFor("f"), "of f");
        relate(store, Set.of(), Set.of(relation("a1", "e")));
        Check.equal(Map.of("a2", "com.example.Type"), store.getAggregatesFor("e"), "of e, later");
    }

    @Scenario("removals of an update take effect before its additions")
    void removalsFirst(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        relate(store, Set.of(relation("a", "e")), Set.of(relation("a", "e")));
        Check.equal(Map.of("a", "com.example.Type"), store.getAggregatesFor("e"), "of e");
    }

    @Scenario("an unknown entity has no aggregates")
    void unknownEntity(World world) {
        Check.equal(Map.of(), world.client().getEventStoreClient().getAggregatesFor("nobody"), "aggregates");
    }

    @Scenario("aggregates of an entity keep the order in which they were added")
    void relationOrder(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        List.of("z", "y", "x").forEach(a -> relate(store, Set.of(relation(a, "e")), Set.of()));
        Check.equal(Set.of("x", "y", "z"), store.getAggregatesFor("e").keySet(), "aggregates");
    }

    @Scenario(value = "the relationships of an entity are listed", notOnReference = MISSING)
    void getRelationships(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        relate(store, Set.of(relation("a", "e")), Set.of());
        Check.equal(List.of(relation("a", "e")), store.getRelationships("e"), "of e");
        Check.equal(List.of(), store.getRelationships("nobody"), "of nobody");
    }

    @Scenario(value = "repaired relationships are exactly those that were listed", notOnReference = MISSING)
    void repair(World world) {
        EventStoreClient store = world.client().getEventStoreClient();
        relate(store, Set.of(relation("a", "e"), relation("a", "f"), relation("b", "f")), Set.of());
        Await.get(store.repairRelationships(new RepairRelationships("a", "com.example.Type", Set.of("f", "g"),
                Guarantee.STORED)));
        Check.equal(Set.of(), store.getAggregatesFor("e").keySet(), "of e");
        Check.equal(Set.of("a", "b"), store.getAggregatesFor("f").keySet(), "of f");
        Check.equal(Set.of("a"), store.getAggregatesFor("g").keySet(), "of g");
        Await.get(store.repairRelationships(new RepairRelationships("a", "com.example.Type", Set.of(),
                Guarantee.STORED)));
        Check.equal(Set.of("b"), store.getAggregatesFor("f").keySet(), "of f, at last");
    }
}
