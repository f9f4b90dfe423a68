package flux.conformance.scenarios;

import static flux.conformance.Messages.message;
import static flux.conformance.Messages.text;
import static flux.conformance.Messages.texts;
import static flux.conformance.World.consumer;
import static flux.conformance.World.read;
import static flux.conformance.World.reading;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Scenario;
import flux.conformance.World;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.SerializedMessage;
import io.fluxcapacitor.common.api.scheduling.SerializedSchedule;
import io.fluxcapacitor.common.api.tracking.MessageBatch;
import io.fluxcapacitor.javaclient.FluxCapacitor;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import io.fluxcapacitor.javaclient.scheduling.Periodic;
import io.fluxcapacitor.javaclient.scheduling.Schedule;
import io.fluxcapacitor.javaclient.tracking.handling.HandleCommand;
import io.fluxcapacitor.javaclient.tracking.handling.HandleSchedule;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/** Messages that are due at a time. */
public final class ScheduleScenarios {
    private static final Duration LONG = Duration.ofSeconds(30);
    private static final String NOT_WOKEN =
            "after a schedule is replaced or cancelled it does not wake trackers at the next deadline";

    private static SerializedSchedule at(String id, long millis, String text, boolean ifAbsent) {
        return new SerializedSchedule(id, millis, message(text), ifAbsent);
    }

    private static SerializedSchedule at(String id, long millis, String text) {
        return at(id, millis, text, false);
    }

    private static void schedule(WebSocketClient client, SerializedSchedule... schedules) {
        Await.get(client.getSchedulingClient().schedule(Guarantee.STORED, schedules));
    }

    private static CompletableFuture<MessageBatch> due(WebSocketClient client) {
        return reading(client.getTrackingClient(MessageType.SCHEDULE), "t", -1L, consumer("c", LONG).build());
    }

    @Scenario("a schedule is delivered when it is due, not earlier, at the index of its deadline")
    void delivered(World world) {
        WebSocketClient client = world.client();
        CompletableFuture<MessageBatch> batch = due(client);
        client.getTrackingClient(MessageType.SCHEDULE).getPosition("c");
        long deadline = System.currentTimeMillis() + 3000;
        schedule(client, at("s", deadline, "now"));
        SerializedMessage got = Await.get(batch).getMessages().getFirst();
        long late = System.currentTimeMillis() - deadline;
        Check.equal("now", text(got), "message");
        Check.equal(deadline, got.getIndex() >> 16, "time of the index");
        Check.that(late >= 0 && late < 3000, "delivered %d ms after the deadline", late);
    }

    @Scenario("a schedule of the past is delivered at once")
    void past(World world) {
        WebSocketClient client = world.client();
        CompletableFuture<MessageBatch> batch = due(client);
        long now = System.currentTimeMillis();
        schedule(client, at("s", now - 60_000, "late"));
        SerializedMessage got = Await.get(batch).getMessages().getFirst();
        Check.equal("late", text(got), "message");
        Check.that(got.getIndex() >> 16 >= now, "the index must not be one that trackers have passed");
    }

    @Scenario("1,000 schedules of one millisecond are all delivered, with different indexes")
    void sameDeadline(World world) {
        WebSocketClient client = world.client();
        long deadline = System.currentTimeMillis() + 1000;
        schedule(client, IntStream.range(0, 1000).mapToObj(i -> at("s" + i, deadline, "" + i))
                .toArray(SerializedSchedule[]::new));
        List<Long> indexes = new ArrayList<>();
        Long index = -1L;
        while (indexes.size() < 1000) {
            MessageBatch batch = read(client.getTrackingClient(MessageType.SCHEDULE), "t", index,
                    consumer("c", LONG).clientControlledIndex(true).build());
            batch.getMessages().forEach(m -> indexes.add(m.getIndex()));
            index = batch.getLastIndex();
        }
        Check.equal(1000L, indexes.stream().distinct().count(), "indexes");
    }

    @Scenario("schedules are delivered in the order of their deadlines")
    void order(World world) {
        WebSocketClient client = world.client();
        long now = System.currentTimeMillis();
        schedule(client, at("c", now + 900, "third"), at("a", now + 300, "first"), at("b", now + 600, "second"));
        List<String> got = new ArrayList<>();
        Long index = -1L;
        while (got.size() < 3) {
            MessageBatch batch = read(client.getTrackingClient(MessageType.SCHEDULE), "t", index,
                    consumer("c", LONG).clientControlledIndex(true).build());
            got.addAll(texts(batch.getMessages()));
            index = batch.getLastIndex();
        }
        Check.equal(List.of("first", "second", "third"), got, "messages");
    }

    @Scenario(value = "a schedule with a known id replaces the earlier one", notOnReference = NOT_WOKEN)
    void replaced(World world) {
        WebSocketClient client = world.client();
        long now = System.currentTimeMillis();
        schedule(client, at("s", now + 600, "early"));
        schedule(client, at("s", now + 1200, "later"));
        Check.equal(List.of("later"), texts(Await.get(due(client)).getMessages()), "messages");
    }

    @Scenario(value = "a schedule that is to be absent leaves the earlier one as it is", notOnReference = NOT_WOKEN)
    void ifAbsent(World world) {
        WebSocketClient client = world.client();
        long now = System.currentTimeMillis();
        schedule(client, at("s", now + 1000, "first"));
        schedule(client, at("s", now + 500, "second", true), at("other", now + 60_000, "other", true));
        Check.equal(List.of("first"), texts(Await.get(due(client)).getMessages()), "messages");
        Check.equal("other", text(client.getSchedulingClient().getSchedule("other").getMessage()), "other schedule");
    }

    @Scenario(value = "a schedule cancelled with guarantee %s is not delivered", each = {"NONE", "SENT", "STORED"},
            notOnReference = NOT_WOKEN)
    void cancelled(World world, String guarantee) {
        WebSocketClient client = world.client();
        long now = System.currentTimeMillis();
        schedule(client, at("s", now + 1500, "no"), at("t", now + 2000, "yes"));
        Await.get(client.getSchedulingClient().cancelSchedule("s", Guarantee.valueOf(guarantee)));
        Check.equal(List.of("yes"), texts(Await.get(due(client)).getMessages()), "messages");
    }

    @Scenario("cancelling an unknown schedule succeeds")
    void cancelUnknown(World world) {
        Await.get(world.client().getSchedulingClient().cancelSchedule("nothing", Guarantee.STORED));
    }

    @Scenario("a pending schedule can be asked for")
    void get(World world) {
        WebSocketClient client = world.client();
        long deadline = System.currentTimeMillis() + 60_000;
        schedule(client, at("s", deadline, "later"));
        SerializedSchedule got = client.getSchedulingClient().getSchedule("s");
        Check.equal("s", got.getScheduleId(), "id");
        Check.equal(deadline, got.getTimestamp(), "deadline");
        Check.equal("later", text(got.getMessage()), "message");
        Await.get(client.getSchedulingClient().cancelSchedule("s", Guarantee.STORED));
        Check.equal(null, client.getSchedulingClient().getSchedule("s"), "cancelled schedule");
    }

    @Scenario("an unknown schedule is null")
    void getUnknown(World world) {
        Check.equal(null, world.client().getSchedulingClient().getSchedule("nothing"), "schedule");
    }

    @Scenario("each consumer gets every schedule")
    void consumers(World world) {
        WebSocketClient client = world.client();
        schedule(client, at("s", System.currentTimeMillis() - 1, "x"));
        for (String name : List.of("c", "d")) {
            Check.equal(List.of("x"), texts(read(client.getTrackingClient(MessageType.SCHEDULE), "t", -1L,
                    consumer(name, LONG).build()).getMessages()), name);
        }
    }

    /** What an application schedules. */
    public record Reminder(String text) {}

    /** What an application schedules to be handled as a command. */
    public record Ring(String text) {}

    /** Collects what its application handles. */
    public static final class Handler {
        final BlockingQueue<Object> handled = new LinkedBlockingQueue<>();

        @HandleSchedule
        void handle(Reminder reminder) {
            handled.add(reminder);
        }

        @HandleCommand
        void handle(Ring ring) {
            handled.add(ring);
        }
    }

    @Scenario("an application handles what another one scheduled")
    void application(World world) {
        Handler handler = new Handler();
        world.application("handler", handler);
        world.application("scheduler").scheduler().schedule(new Reminder("tea"), Duration.ofMillis(500));
        Check.equal(new Reminder("tea"), Await.next(handler.handled), "reminder");
    }

    @Scenario("an application handles each of 200 schedules once")
    void applicationMany(World world) {
        Handler handler = new Handler();
        world.application("handler", handler);
        FluxCapacitor scheduler = world.application("scheduler");
        IntStream.range(0, 200).forEach(i -> scheduler.scheduler().schedule(new Reminder("n" + i), "id" + i,
                Duration.ofMillis(500 + i)));
        List<Object> got = new ArrayList<>();
        IntStream.range(0, 200).forEach(i -> got.add(Await.next(handler.handled)));
        Check.equal(200L, got.stream().distinct().count(), "reminders");
    }

    @Scenario(value = "a cancelled reminder is not handled", notOnReference = NOT_WOKEN)
    void applicationCancel(World world) {
        Handler handler = new Handler();
        FluxCapacitor application = world.application("app", handler);
        Instant soon = Instant.now().plusMillis(1500);
        Await.get(application.scheduler().schedule(new Schedule(new Reminder("no"), "a", soon), false,
                Guarantee.STORED));
        Await.get(application.scheduler().schedule(new Schedule(new Reminder("yes"), "b", soon.plusMillis(300)), false,
                Guarantee.STORED));
        application.scheduler().cancelSchedule("a");
        Check.equal(new Reminder("yes"), Await.next(handler.handled), "reminder");
    }

    @Scenario("a scheduled reminder can be looked up")
    void applicationGet(World world) {
        FluxCapacitor application = world.application("app");
        Instant deadline = Instant.ofEpochMilli(System.currentTimeMillis() + 60_000);
        Await.get(application.scheduler().schedule(new Schedule(new Reminder("tea"), "a", deadline), false,
                Guarantee.STORED));
        Schedule schedule = application.scheduler().getSchedule("a").orElseThrow();
        Check.equal(new Reminder("tea"), schedule.getPayload(), "payload");
        Check.equal(deadline, schedule.getDeadline(), "deadline");
    }

    @Scenario("a scheduled command is handled as a command")
    void command(World world) {
        Handler handler = new Handler();
        world.application("handler", handler);
        world.application("scheduler").scheduler().scheduleCommand(new Ring("bell"), Duration.ofMillis(500));
        Check.equal(new Ring("bell"), Await.next(handler.handled), "command");
    }

    /** Comes again and again. */
    @Periodic(delay = 200, timeUnit = TimeUnit.MILLISECONDS)
    public record Tick() {}

    /** Counts ticks. */
    public static final class Clock {
        final BlockingQueue<Tick> ticks = new LinkedBlockingQueue<>();

        @HandleSchedule
        void handle(Tick tick) {
            ticks.add(tick);
        }
    }

    @Scenario("a periodic schedule comes again and again")
    void periodic(World world) {
        Clock clock = new Clock();
        world.application("app", clock);
        IntStream.range(0, 5).forEach(i -> Await.next(clock.ticks));
    }
}
