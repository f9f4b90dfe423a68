package flux.conformance.scenarios;

import static flux.conformance.Messages.data;
import static flux.conformance.Messages.inSegment;
import static flux.conformance.Messages.message;
import static flux.conformance.Messages.numbers;
import static flux.conformance.Messages.text;
import static flux.conformance.Messages.texts;
import static flux.conformance.World.append;
import static flux.conformance.World.consumer;
import static flux.conformance.World.log;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Messages;
import flux.conformance.Scenario;
import flux.conformance.World;
import flux.conformance.scenarios.ApplicationScenarios.Happened;
import flux.conformance.scenarios.ApplicationScenarios.Listener;
import flux.conformance.scenarios.ApplicationScenarios.Service;
import flux.conformance.scenarios.ApplicationScenarios.Sum;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.SerializedMessage;
import io.fluxcapacitor.common.api.scheduling.SerializedSchedule;
import io.fluxcapacitor.javaclient.FluxCapacitor;
import io.fluxcapacitor.javaclient.common.Message;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/** The server stops, dies, and starts again while clients go on. */
public final class RestartScenarios {
    private static final String FORGETS = "it keeps everything in memory";

    private static void crash(World world) {
        world.server().kill();
        world.server().start();
    }

    @Scenario(value = "messages, events, values, schedules and positions survive kill -9", ownServer = true,
            notOnReference = FORGETS)
    void everything(World world) {
        WebSocketClient client = world.client();
        long later = System.currentTimeMillis() + 3_600_000;
        append(client, MessageType.COMMAND, message("c"));
        Await.get(client.getEventStoreClient().storeEvents("a", List.of(message("e")), false));
        Await.get(client.getKeyValueClient().putValue("k", data("v"), Guarantee.STORED));
        Await.get(client.getSchedulingClient().schedule(Guarantee.STORED,
                new SerializedSchedule("s", later, message("later"), false)));
        Await.get(client.getTrackingClient(MessageType.EVENT).storePosition("c", new int[] {0, 128}, 77));
        List<SerializedMessage> before = log(client, MessageType.COMMAND);
        crash(world);
        Check.equal(before.getFirst().getIndex(), log(client, MessageType.COMMAND).getFirst().getIndex(), "index");
        Check.equal(List.of("e"), texts(client.getEventStoreClient().getEvents("a").toList()), "events");
        Check.equal(List.of("e"), texts(log(client, MessageType.EVENT)), "published events");
        Check.equal(data("v"), client.getKeyValueClient().getValue("k"), "value");
        Check.equal(later, client.getSchedulingClient().getSchedule("s").getTimestamp(), "schedule");
        Check.equal(77L, client.getTrackingClient(MessageType.EVENT).getPosition("c").getIndex(5).orElse(0L),
                "position");
    }

    @Scenario(value = "of 1,000 stored appends around three kills none is lost or doubled", ownServer = true,
            notOnReference = FORGETS)
    void appends(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, message("0"));
        List<CompletableFuture<Void>> stored = new ArrayList<>();
        for (int i = 1; i < 1000; i++) {
            stored.add(client.getGatewayClient(MessageType.EVENT).append(Guarantee.STORED,
                    message(Integer.toString(i))));
            if (i % 250 == 0) {
                crash(world);
            }
        }
        stored.forEach(Await::get);
        List<String> got = texts(log(client, MessageType.EVENT));
        Check.equal(new HashSet<>(numbers(1000)), new HashSet<>(got), "different messages");
    }

    @Scenario(value = "no acknowledged append is lost at kill -9", ownServer = true, notOnReference = FORGETS)
    void acknowledged(World world) {
        WebSocketClient client = world.client();
        Set<String> acknowledged = new HashSet<>();
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 100; i++) {
                String name = round + "-" + i;
                append(client, MessageType.COMMAND, message(name));
                acknowledged.add(name);
            }
            crash(world);
            Check.that(new HashSet<>(texts(log(client, MessageType.COMMAND))).containsAll(acknowledged),
                    "acknowledged messages must be there");
        }
    }

    @Scenario(value = "an index is never used again after a crash", ownServer = true, notOnReference = FORGETS)
    void indexes(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, Messages.numbered(1000));
        crash(world);
        append(client, MessageType.EVENT, message("after"));
        List<SerializedMessage> all = log(client, MessageType.EVENT);
        Check.equal("after", text(all.getLast()), "last message");
        Check.that(Messages.strictlyIncreasing(all), "indexes must increase");
    }

    @Scenario(value = "a waiting tracker goes on after kill -9", ownServer = true)
    void waiting(World world) {
        WebSocketClient client = world.client();
        var batch = World.reading(client.getTrackingClient(MessageType.EVENT), "t", null,
                consumer("c", Duration.ofSeconds(50)).build());
        client.getTrackingClient(MessageType.EVENT).getPosition("c");
        crash(world);
        Await.until("a batch", () -> {
            append(client, MessageType.EVENT, inSegment(1, "x"));
            return batch.isDone();
        });
        Check.equal("x", text(Await.get(batch).getMessages().getFirst()), "message");
    }

    @Scenario(value = "an application handles every event around two kills", ownServer = true,
            notOnReference = FORGETS)
    void application(World world) {
        Listener listener = new Listener();
        world.application("listener", listener);
        FluxCapacitor publisher = world.application("publisher");
        List<CompletableFuture<Void>> stored = new ArrayList<>();
        for (int i = 0; i < 600; i++) {
            stored.add(publisher.eventGateway().publish(new Message(new Happened("k" + i % 20, i)),
                    Guarantee.STORED));
            if (i == 200 || i == 400) {
                crash(world);
            }
        }
        stored.forEach(Await::get);
        Await.until("all events", () -> listener.events.stream().map(Happened::number).distinct().count() == 600);
    }

    @Scenario(value = "queries are answered again after kill -9", ownServer = true)
    void queries(World world) {
        world.application("service", new Service());
        FluxCapacitor client = world.application("client");
        Check.equal(55, client.queryGateway().sendAndWait(new Sum(10)), "sum");
        crash(world);
        Await.until("an answer", () -> {
            try {
                CompletableFuture<Integer> sum = client.queryGateway().send(new Sum(100));
                return sum.get(3, java.util.concurrent.TimeUnit.SECONDS) == 5050;
            } catch (java.util.concurrent.TimeoutException e) {
                return false;
            }
        });
    }

    @Scenario(value = "a schedule that became due while the server was down is delivered", ownServer = true,
            notOnReference = FORGETS)
    void overdue(World world) throws InterruptedException {
        WebSocketClient client = world.client();
        Await.get(client.getSchedulingClient().schedule(Guarantee.STORED, new SerializedSchedule("s",
                System.currentTimeMillis() + 500, message("due"), false)));
        world.server().kill();
        Thread.sleep(700);
        world.server().start();
        Check.equal(List.of("due"), texts(World.read(client.getTrackingClient(MessageType.SCHEDULE), "t", -1L,
                consumer("c", Duration.ofSeconds(10)).build()).getMessages()), "messages");
    }

    @Scenario(value = "a delivered schedule is not delivered again after kill -9", ownServer = true,
            notOnReference = FORGETS)
    void once(World world) {
        WebSocketClient client = world.client();
        Await.get(client.getSchedulingClient().schedule(Guarantee.STORED, new SerializedSchedule("s",
                System.currentTimeMillis() + 200, message("due"), false)));
        var tracking = client.getTrackingClient(MessageType.SCHEDULE);
        var first = World.read(tracking, "t", -1L, consumer("c", Duration.ofSeconds(10)).build());
        Check.equal(List.of("due"), texts(first.getMessages()), "messages");
        Await.get(tracking.storePosition("c", first.getSegment(), first.getLastIndex()));
        crash(world);
        Check.equal(List.of(), texts(World.read(tracking, "t", -1L, consumer("c", Duration.ofSeconds(1)).build())
                .getMessages()), "messages after the crash");
        Check.equal(1, log(client, MessageType.SCHEDULE).size(), "messages of the log");
    }

    @Scenario(value = "clients go on after the server was stopped in good order", ownServer = true,
            notOnReference = FORGETS)
    void stopped(World world) {
        WebSocketClient client = world.client();
        append(client, MessageType.EVENT, message("before"));
        world.server().stop();
        world.server().start();
        append(client, MessageType.EVENT, message("after"));
        Check.equal(List.of("before", "after"), texts(log(client, MessageType.EVENT)), "messages");
    }

    @Scenario(value = "a client that starts before the server connects when it is there", ownServer = true)
    void early(World world) {
        world.server().stop();
        WebSocketClient client = world.client();
        CompletableFuture<Void> stored = CompletableFuture.runAsync(() -> append(client, MessageType.EVENT,
                message("x")));
        world.server().start();
        Await.get(stored);
        Check.equal(List.of("x"), texts(log(client, MessageType.EVENT)), "messages");
    }

    @Scenario(value = "an aggregate keeps its events in order around a kill", ownServer = true,
            notOnReference = FORGETS)
    void aggregate(World world) {
        WebSocketClient client = world.client();
        for (int i = 0; i < 100; i++) {
            Await.get(client.getEventStoreClient().storeEvents("a", List.of(message(Integer.toString(i))), false));
            if (i == 50) {
                crash(world);
            }
        }
        List<String> events = texts(client.getEventStoreClient().getEvents("a").toList());
        Check.equal(numbers(100), events, "events");
        Check.equal(IntStream.range(0, 100).boxed().map(Object::toString).toList(),
                texts(log(client, MessageType.EVENT)), "published events");
    }
}
