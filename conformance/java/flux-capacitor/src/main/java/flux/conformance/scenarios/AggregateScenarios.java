package flux.conformance.scenarios;

import static flux.conformance.World.log;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Scenario;
import flux.conformance.World;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.SerializedMessage;
import io.fluxcapacitor.javaclient.FluxCapacitor;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import io.fluxcapacitor.javaclient.modeling.Aggregate;
import io.fluxcapacitor.javaclient.modeling.AssertLegal;
import io.fluxcapacitor.javaclient.modeling.Entity;
import io.fluxcapacitor.javaclient.modeling.EntityId;
import io.fluxcapacitor.javaclient.modeling.EventPublicationStrategy;
import io.fluxcapacitor.javaclient.modeling.Member;
import io.fluxcapacitor.javaclient.persisting.eventsourcing.Apply;
import io.fluxcapacitor.javaclient.publishing.routing.RoutingKey;
import io.fluxcapacitor.javaclient.tracking.handling.HandleCommand;
import io.fluxcapacitor.javaclient.tracking.handling.HandleEvent;
import io.fluxcapacitor.javaclient.tracking.handling.HandleQuery;
import io.fluxcapacitor.javaclient.tracking.handling.IllegalCommandException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.IntStream;

/** Aggregates as applications use them: event sourcing, snapshots, caches, time travel. */
public final class AggregateScenarios {
    /** A counter with parts. */
    @Aggregate(cached = false)
    public record Counter(@EntityId String counterId, int value, @Member List<Part> parts) {}

    /** A part of a counter. */
    public record Part(@EntityId String partId, String label) {}

    /** The same, kept in the cache of its application. */
    @Aggregate
    public record Cached(@EntityId String cachedId, int value) {}

    /** The same, with a snapshot after every 50 events. */
    @Aggregate(cached = false, snapshotPeriod = 50)
    public record Snapped(@EntityId String snappedId, int value) {}

    /** The same, stored without being published. */
    @Aggregate(cached = false, publicationStrategy = EventPublicationStrategy.STORE_ONLY)
    public record Hidden(@EntityId String hiddenId, int value) {}

    /** The same, without events: only its state is kept. */
    @Aggregate(cached = false, eventSourced = false)
    public record State(@EntityId String stateId, int value) {}

    public record Create(@RoutingKey String counterId) {
        @Apply
        Counter apply() {
            return new Counter(counterId, 0, List.of());
        }
    }

    public record Add(@RoutingKey String counterId, int amount) {
        @AssertLegal
        void positive(Counter counter) {
            if (amount <= 0) {
                throw new IllegalCommandException("amount must be positive");
            }
        }

        @Apply
        Counter apply(Counter counter) {
            return new Counter(counterId, counter.value() + amount, counter.parts());
        }
    }

    public record AddPart(@RoutingKey String counterId, Part part) {
        @Apply
        Counter apply(Counter counter) {
            List<Part> parts = new ArrayList<>(counter.parts());
            parts.add(part);
            return new Counter(counterId, counter.value(), parts);
        }
    }

    public record Raise(@RoutingKey String id) {
        @Apply
        Cached apply(Cached cached) {
            return new Cached(id, cached == null ? 1 : cached.value() + 1);
        }

        @Apply
        Cached create() {
            return new Cached(id, 1);
        }
    }

    public record RaiseSnapped(@RoutingKey String id) {
        @Apply
        Snapped apply(Snapped snapped) {
            return new Snapped(id, snapped.value() + 1);
        }

        @Apply
        Snapped create() {
            return new Snapped(id, 1);
        }
    }

    public record RaiseHidden(@RoutingKey String id) {
        @Apply
        Hidden create() {
            return new Hidden(id, 1);
        }
    }

    public record SetState(@RoutingKey String id, int value) {
        @Apply
        State apply() {
            return new State(id, value);
        }
    }

    public record GetValue(String counterId) {}

    /** Handles the commands of counters. */
    public static final class Counters {
        @HandleCommand
        void handle(Create create) {
            FluxCapacitor.loadAggregate(create.counterId(), Counter.class).assertAndApply(create);
        }

        @HandleCommand
        int handle(Add add) {
            return FluxCapacitor.loadAggregate(add.counterId(), Counter.class).assertAndApply(add).get().value();
        }

        @HandleCommand
        void handle(AddPart add) {
            FluxCapacitor.loadAggregate(add.counterId(), Counter.class).assertAndApply(add);
        }

        @HandleCommand
        int handle(Raise raise) {
            return FluxCapacitor.loadAggregate(raise.id(), Cached.class).assertAndApply(raise).get().value();
        }

        @HandleQuery
        Integer handle(GetValue query) {
            return FluxCapacitor.loadAggregate(query.counterId(), Counter.class)
                    .mapIfPresent(c -> c.get().value()).orElse(null);
        }
    }

    private static FluxCapacitor counters(World world) {
        world.application("counters", new Counters());
        return world.application("client");
    }

    private static int load(FluxCapacitor application, String id) {
        return application.apply(f -> FluxCapacitor.loadAggregate(id, Counter.class)
                .mapIfPresent(c -> c.get().value()).orElse(-1));
    }

    /** Waits for a value, since a handler commits its changes at the end of its batch, after it has answered. */
    private static void awaitValue(FluxCapacitor application, String id, int value) {
        Await.until(id + " to be " + value, () -> load(application, id) == value);
    }

    private static List<SerializedMessage> awaitEvents(FluxCapacitor application, String id, int count) {
        var store = application.client().getEventStoreClient();
        Await.until(count + " events of " + id, () -> store.getEvents(id).count() >= count);
        return store.getEvents(id).toList();
    }

    @Scenario("commands change an aggregate, and another application loads it")
    void commands(World world) {
        FluxCapacitor client = counters(world);
        client.commandGateway().sendAndWait(new Create("c1"));
        Check.equal(5, client.commandGateway().sendAndWait(new Add("c1", 5)), "value");
        Check.equal(12, client.commandGateway().sendAndWait(new Add("c1", 7)), "value");
        awaitValue(client, "c1", 12);
        Check.equal(12, client.queryGateway().sendAndWait(new GetValue("c1")), "value by query");
    }

    @Scenario("an illegal command is refused and changes nothing")
    void illegal(World world) {
        FluxCapacitor client = counters(world);
        client.commandGateway().sendAndWait(new Create("c1"));
        Check.fails(IllegalCommandException.class, () -> client.commandGateway().sendAndWait(new Add("c1", -5)));
        awaitValue(client, "c1", 0);
        Check.equal(1, awaitEvents(client, "c1", 1).size(), "events");
    }

    @Scenario("an aggregate of 500 events is loaded whole, by an application that never saw it")
    void manyEvents(World world) {
        FluxCapacitor client = world.application("client");
        client.execute(f -> {
            Entity<Counter> counter = FluxCapacitor.loadAggregate("c1", Counter.class).apply(new Create("c1"));
            for (int i = 1; i <= 499; i++) {
                counter = counter.apply(new Add("c1", i));
            }
            counter.commit();
        });
        Check.equal(499 * 500 / 2, load(world.application("other"), "c1"), "value");
        Check.equal(500L, client.client().getEventStoreClient().getEvents("c1").count(), "events");
    }

    @Scenario("300 commands in a row for one aggregate give it 300 events in order")
    void manyCommands(World world) {
        FluxCapacitor client = counters(world);
        client.commandGateway().sendAndWait(new Create("c1"));
        IntStream.range(0, 300).mapToObj(i -> client.commandGateway().send(new Add("c1", 1))).toList()
                .forEach(Await::get);
        awaitValue(client, "c1", 300);
        List<SerializedMessage> events = awaitEvents(client, "c1", 301);
        IntStream.range(0, 301).forEach(i -> Check.equal("" + i,
                events.get(i).getMetadata().get("$sequenceNumber"), "sequence number"));
    }

    @Scenario("events of aggregates are handled as events")
    void published(World world) {
        BlockingQueue<Add> events = new LinkedBlockingQueue<>();
        world.application("listener", new Object() {
            @HandleEvent
            void handle(Add event) {
                events.add(event);
            }
        });
        FluxCapacitor client = counters(world);
        client.commandGateway().sendAndWait(new Create("c1"));
        client.commandGateway().sendAndWait(new Add("c1", 3));
        Check.equal(new Add("c1", 3), Await.next(events), "event");
    }

    @Scenario("time travel: an aggregate as it was before, and at an event")
    void timeTravel(World world) {
        FluxCapacitor client = counters(world);
        client.commandGateway().sendAndWait(new Create("c1"));
        IntStream.of(1, 10, 100).forEach(i -> client.commandGateway().sendAndWait(new Add("c1", i)));
        List<SerializedMessage> events = awaitEvents(client, "c1", 4);
        client.execute(f -> {
            Entity<Counter> now = FluxCapacitor.loadAggregate("c1", Counter.class);
            Check.equal(11, now.previous().get().value(), "value before");
            String event = events.get(1).getMessageId();
            Check.equal(1, now.playBackToCondition(c -> event.equals(c.lastEventId())).orElseThrow().get().value(),
                    "value at an event");
            Check.equal(3L, now.sequenceNumber(), "sequence number");
        });
    }

    @Scenario("a part is found by its own id")
    void parts(World world) {
        FluxCapacitor client = counters(world);
        client.commandGateway().sendAndWait(new Create("c1"));
        client.commandGateway().sendAndWait(new AddPart("c1", new Part("p1", "left")));
        awaitEvents(client, "c1", 2);
        client.execute(f -> {
            Entity<Part> part = FluxCapacitor.loadEntity("p1");
            Check.equal(new Part("p1", "left"), part.get(), "part");
            Check.equal("c1", part.root().id().toString(), "aggregate");
        });
    }

    @Scenario("a cached aggregate follows what another application does with it")
    void cached(World world) {
        FluxCapacitor one = world.application("one", new Counters());
        FluxCapacitor two = world.application("two");
        one.commandGateway().sendAndWait(new Raise("x"));
        awaitEvents(one, "x", 1);
        Check.equal(1, cachedValue(two), "value");
        one.commandGateway().sendAndWait(new Raise("x"));
        one.commandGateway().sendAndWait(new Raise("x"));
        Await.until("the value 3 at the other", () -> cachedValue(two) == 3);
    }

    private static int cachedValue(FluxCapacitor application) {
        return application.apply(f -> FluxCapacitor.loadAggregate("x", Cached.class).get().value());
    }

    @Scenario("a snapshot is stored after 50 events and used to load")
    void snapshots(World world) {
        FluxCapacitor one = world.application("one");
        for (int i = 0; i < 120; i++) {
            one.execute(f -> FluxCapacitor.loadAggregate("s", Snapped.class).apply(new RaiseSnapped("s")).commit());
        }
        Await.until("a snapshot", () -> one.client().getKeyValueClient().getValue("$snapshot_s") != null);
        one.execute(f -> Check.that(f.snapshotStore().getSnapshot("s").orElseThrow().sequenceNumber() >= 49,
                "sequence number of the snapshot"));
        int value = world.application("two").apply(f -> FluxCapacitor.loadAggregate("s", Snapped.class).get().value());
        Check.equal(120, value, "value");
    }

    @Scenario("events that are only stored reach no handler")
    void storeOnly(World world) {
        FluxCapacitor one = world.application("one");
        one.execute(f -> FluxCapacitor.loadAggregate("h", Hidden.class).apply(new RaiseHidden("h")).commit());
        int value = world.application("two").apply(f -> FluxCapacitor.loadAggregate("h", Hidden.class).get().value());
        Check.equal(1, value, "value");
        Check.equal(List.of(), log((WebSocketClient) one.client(), MessageType.EVENT), "published events");
    }

    @Scenario("an aggregate without events keeps its latest state")
    void stateOnly(World world) {
        FluxCapacitor one = world.application("one");
        one.execute(f -> FluxCapacitor.loadAggregate("s", State.class).apply(new SetState("s", 1)).commit());
        one.execute(f -> FluxCapacitor.loadAggregate("s", State.class).apply(new SetState("s", 2)).commit());
        int value = world.application("two").apply(f -> FluxCapacitor.loadAggregate("s", State.class).get().value());
        Check.equal(2, value, "value");
    }

    @Scenario(value = "a deleted aggregate is empty", notOnReference = "it never answers repairRelationships")
    void delete(World world) {
        FluxCapacitor client = counters(world);
        client.commandGateway().sendAndWait(new Create("c1"));
        awaitEvents(client, "c1", 1);
        client.execute(f -> Await.get(f.aggregateRepository().deleteAggregate("c1")));
        boolean empty = world.application("other").apply(f -> FluxCapacitor.loadAggregate("c1", Counter.class)
                .isEmpty());
        Check.equal(true, empty, "empty");
    }

    @Scenario("100 aggregates are changed side by side by two instances")
    void sideBySide(World world) {
        world.application("counters", new Counters());
        FluxCapacitor client = counters(world);
        IntStream.range(0, 100).mapToObj(i -> client.commandGateway().send(new Create("c" + i))).toList()
                .forEach(Await::get);
        IntStream.range(0, 500).mapToObj(i -> client.commandGateway().send(new Add("c" + i % 100, 1))).toList()
                .forEach(Await::get);
        IntStream.range(0, 100).forEach(i -> awaitValue(client, "c" + i, 5));
    }

    @Scenario("events stored through the event store of an application come back as objects")
    void eventStore(World world) {
        FluxCapacitor client = world.application("client");
        Await.get(client.eventStore().storeEvents("c1", new Create("c1"), new Add("c1", 1)));
        List<Object> events = client.eventStore().getEvents("c1").<Object>map(m -> m.getPayload()).toList();
        Check.equal(List.of(new Create("c1"), new Add("c1", 1)), events, "events");
    }
}
