package flux.conformance.scenarios;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Scenario;
import flux.conformance.World;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.Metadata;
import io.fluxcapacitor.javaclient.FluxCapacitor;
import io.fluxcapacitor.javaclient.common.Message;
import io.fluxcapacitor.javaclient.common.exception.TechnicalException;
import io.fluxcapacitor.javaclient.publishing.Timeout;
import io.fluxcapacitor.javaclient.publishing.TimeoutException;
import io.fluxcapacitor.javaclient.publishing.routing.RoutingKey;
import io.fluxcapacitor.javaclient.tracking.ConsumerConfiguration;
import io.fluxcapacitor.javaclient.tracking.handling.HandleCommand;
import io.fluxcapacitor.javaclient.tracking.handling.HandleError;
import io.fluxcapacitor.javaclient.tracking.handling.HandleEvent;
import io.fluxcapacitor.javaclient.tracking.handling.HandleMetrics;
import io.fluxcapacitor.javaclient.tracking.handling.HandleNotification;
import io.fluxcapacitor.javaclient.tracking.handling.HandleQuery;
import io.fluxcapacitor.javaclient.tracking.handling.HandleResult;
import io.fluxcapacitor.javaclient.tracking.handling.IllegalCommandException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/** Applications that send commands, queries and events to each other. */
public final class ApplicationScenarios {
    private static final String UNORDERED = "it performs the requests of a socket in parallel";

    /** Commands, queries and events of these scenarios. */
    public record Greet(String name) {}

    public record Note(@RoutingKey String key, int number) {}

    public record Refuse(String reason) {}

    public record Break(String reason) {}

    public record Ask(List<String> words) {}

    public record Answer(Map<String, Integer> lengths, String text) {}

    public record Sum(int to) {}

    public record Relay(String name) {}

    public record Happened(@RoutingKey String key, int number) {}

    public record Measured(int value) {}

    @Timeout(value = 1, timeUnit = TimeUnit.SECONDS)
    public record Unanswered() {}

    /** Answers everything. */
    public static final class Service {
        final BlockingQueue<Object> handled = new LinkedBlockingQueue<>();

        @HandleCommand
        String greet(Greet greet) {
            handled.add(greet);
            return "hello " + greet.name();
        }

        @HandleCommand
        void note(Note note) {
            handled.add(note);
        }

        @HandleCommand
        void refuse(Refuse refuse) {
            throw new IllegalCommandException(refuse.reason());
        }

        @HandleCommand
        void fail(Break command) {
            throw new IllegalStateException(command.reason());
        }

        @HandleQuery
        Answer answer(Ask ask) {
            Map<String, Integer> lengths = new ConcurrentHashMap<>();
            ask.words().forEach(w -> lengths.put(w, w.length()));
            return new Answer(lengths, String.join(" ", ask.words()));
        }

        @HandleQuery
        CompletableFuture<Integer> sum(Sum sum) {
            return CompletableFuture.supplyAsync(() -> IntStream.rangeClosed(1, sum.to()).sum());
        }
    }

    @Scenario("a command of one application is handled by another, and its result comes back")
    void command(World world) {
        world.application("service", new Service());
        String result = world.application("client").commandGateway().sendAndWait(new Greet("you"));
        Check.equal("hello you", result, "result");
    }

    @Scenario("a command that is only sent is handled")
    void sendAndForget(World world) {
        Service service = new Service();
        world.application("service", service);
        world.application("client").commandGateway().sendAndForget(new Note("k", 1));
        Check.equal(new Note("k", 1), Await.next(service.handled), "command");
    }

    @Scenario(value = "a command sent with guarantee %s is handled", each = {"NONE", "SENT", "STORED"})
    void guarantee(World world, String guarantee) {
        Service service = new Service();
        world.application("service", service);
        Await.get(world.application("client").commandGateway().sendAndForget(Guarantee.valueOf(guarantee),
                new Message(new Note("k", 1))));
        Check.equal(new Note("k", 1), Await.next(service.handled), "command");
    }

    @Scenario("a command without result is answered with null")
    void voidResult(World world) {
        world.application("service", new Service());
        Object result = world.application("client").commandGateway().sendAndWait(new Note("k", 1));
        Check.equal(null, result, "result");
    }

    @Scenario("a functional error comes back as itself")
    void functionalError(World world) {
        world.application("service", new Service());
        FluxCapacitor client = world.application("client");
        IllegalCommandException error = Check.fails(IllegalCommandException.class,
                () -> client.commandGateway().sendAndWait(new Refuse("not today")));
        Check.equal("not today", error.getMessage(), "message");
    }

    @Scenario("any other error comes back as a technical one")
    void technicalError(World world) {
        world.application("service", new Service());
        FluxCapacitor client = world.application("client");
        Check.fails(TechnicalException.class, () -> client.commandGateway().sendAndWait(new Break("broken")));
    }

    @Scenario("the handler goes on after errors")
    void afterErrors(World world) {
        world.application("service", new Service());
        FluxCapacitor client = world.application("client");
        for (int i = 0; i < 10; i++) {
            Check.fails(TechnicalException.class, () -> client.commandGateway().sendAndWait(new Break("broken")));
        }
        Check.equal("hello you", client.commandGateway().sendAndWait(new Greet("you")), "result");
    }

    @Scenario("a query is answered with an object")
    void query(World world) {
        world.application("service", new Service());
        Answer answer = world.application("client").queryGateway().sendAndWait(new Ask(List.of("ünï", "two")));
        Check.equal(new Answer(Map.of("ünï", 3, "two", 3), "ünï two"), answer, "answer");
    }

    @Scenario("a query is answered later")
    void asynchronous(World world) {
        world.application("service", new Service());
        Integer sum = world.application("client").queryGateway().sendAndWait(new Sum(100));
        Check.equal(5050, sum, "sum");
    }

    @Scenario("1,000 queries at once are each answered")
    void manyQueries(World world) {
        world.application("service", new Service());
        FluxCapacitor client = world.application("client");
        List<CompletableFuture<Integer>> sums = IntStream.range(0, 1000)
                .mapToObj(i -> client.queryGateway().<Integer>send(new Sum(i))).toList();
        IntStream.range(0, 1000).forEach(i -> Check.equal(i * (i + 1) / 2, Await.get(sums.get(i)), "sum to " + i));
    }

    @Scenario("a query that nobody answers times out at the client")
    void timeout(World world) {
        FluxCapacitor client = world.application("client");
        Check.fails(TimeoutException.class, () -> client.queryGateway().sendAndWait(new Unanswered()));
    }

    @Scenario("two clients each get their own results")
    void twoClients(World world) {
        world.application("service", new Service());
        List<FluxCapacitor> clients = List.of(world.application("client"), world.application("client"));
        List<CompletableFuture<String>> results = IntStream.range(0, 200).mapToObj(i -> clients.get(i % 2)
                .commandGateway().<String>send(new Greet("n" + i))).toList();
        IntStream.range(0, 200).forEach(i -> Check.equal("hello n" + i, Await.get(results.get(i)), "result"));
    }

    @Scenario("metadata travels with a command, and tells who sent it")
    void metadata(World world) {
        BlockingQueue<Metadata> seen = new LinkedBlockingQueue<>();
        world.application("service", new Object() {
            @HandleCommand
            String handle(Greet greet, Metadata metadata) {
                seen.add(metadata);
                return "ok";
            }
        });
        FluxCapacitor client = world.application("client");
        client.execute(f -> FluxCapacitor.sendCommandAndWait(new Greet("x"), Metadata.of("tenant", "ü7")));
        Metadata metadata = Await.next(seen);
        Check.equal("ü7", metadata.get("tenant"), "tenant");
        Check.equal("client", metadata.get("$clientName"), "name of the client");
        Check.equal(client.client().id(), metadata.get("$clientId"), "id of the client");
    }

    @Scenario("a command of a handler is answered to the handler")
    void chain(World world) {
        world.application("greeter", new Service());
        world.application("middle", new Object() {
            @HandleQuery
            String handle(Relay relay) {
                return FluxCapacitor.<String>sendCommandAndWait(new Greet(relay.name())) + "!";
            }
        });
        Check.equal("hello you!", world.application("client").queryGateway().sendAndWait(new Relay("you")), "result");
    }

    /** Collects events. */
    public static final class Listener {
        final BlockingQueue<Happened> events = new LinkedBlockingQueue<>();

        @HandleEvent
        void handle(Happened event) {
            events.add(event);
        }
    }

    @Scenario(value = "each application gets every event",
            notOnReference = UNORDERED)
    void events(World world) {
        List<Listener> listeners = List.of(new Listener(), new Listener(), new Listener());
        IntStream.range(0, 3).forEach(i -> world.application("listener" + i, listeners.get(i)));
        FluxCapacitor publisher = world.application("publisher");
        IntStream.range(0, 100).forEach(i -> publisher.eventGateway().publish(new Happened("k", i)));
        for (Listener listener : listeners) {
            IntStream.range(0, 100).forEach(i -> Check.equal(i, Await.next(listener.events).number(), "event"));
        }
    }

    @Scenario(value = "instances of one application share its events, and those of a key keep their order",
            notOnReference = UNORDERED)
    void instances(World world) {
        List<Listener> listeners = IntStream.range(0, 3).mapToObj(i -> new Listener()).toList();
        listeners.forEach(l -> world.application("listener", l));
        publish(world.application("publisher"), 3000);
        List<Happened> all = collect(listeners, 3000);
        Check.equal(3000L, all.stream().distinct().count(), "events");
        checkOrder(listeners);
    }

    private static void publish(FluxCapacitor publisher, int count) {
        IntStream.range(0, count).forEach(i -> publisher.eventGateway().publish(new Happened("key" + i % 97, i)));
    }

    private static List<Happened> collect(List<Listener> listeners, int count) {
        Await.until(count + " events", () -> listeners.stream().mapToInt(l -> l.events.size()).sum() >= count);
        List<Happened> all = new ArrayList<>();
        listeners.forEach(l -> all.addAll(l.events));
        return all;
    }

    private static void checkOrder(List<Listener> listeners) {
        for (Listener listener : listeners) {
            Map<String, Integer> last = new ConcurrentHashMap<>();
            for (Happened event : listener.events) {
                Integer before = last.put(event.key(), event.number());
                Check.that(before == null || before < event.number(), "events of %s out of order", event.key());
            }
        }
    }

    @Scenario("an instance that is started later takes over a part")
    void joins(World world) {
        Listener first = new Listener();
        Listener second = new Listener();
        world.application("listener", first);
        FluxCapacitor publisher = world.application("publisher");
        publish(publisher, 500);
        Await.until("events at the first", () -> first.events.size() == 500);
        world.application("listener", second);
        Await.until("events at the second", () -> {
            publish(publisher, 100);
            return !second.events.isEmpty();
        });
    }

    @Scenario("when an instance goes, the others handle its part, and no event is lost")
    void goes(World world) {
        List<Listener> listeners = IntStream.range(0, 3).mapToObj(i -> new Listener()).toList();
        List<FluxCapacitor> instances = listeners.stream().map(l -> world.application("listener", l)).toList();
        FluxCapacitor publisher = world.application("publisher");
        publish(publisher, 1000);
        Await.until("events", () -> listeners.stream().mapToInt(l -> l.events.size()).sum() >= 300);
        instances.get(1).close();
        publish(publisher, 1000);
        Await.until("all events", () -> {
            Set<Integer> seen = new TreeSet<>();
            listeners.forEach(l -> l.events.forEach(e -> seen.add(e.number())));
            return seen.size() == 1000 && listeners.stream().mapToInt(l -> l.events.size()).sum() >= 2000;
        });
    }

    @Scenario("commands are divided over the threads of a consumer, each handled once")
    void threads(World world) {
        Service service = new Service();
        world.application("service", b -> b.configureDefaultConsumer(MessageType.COMMAND,
                c -> c.toBuilder().threads(4).minIndex(0L).build()), service);
        FluxCapacitor client = world.application("client");
        List<CompletableFuture<Object>> done = IntStream.range(0, 1000)
                .mapToObj(i -> client.commandGateway().send(new Note("key" + i % 50, i))).toList();
        done.forEach(Await::get);
        Check.equal(1000, service.handled.size(), "commands");
        Check.equal(1000L, service.handled.stream().distinct().count(), "different commands");
    }

    @Scenario("a consumer of its own for some handlers gets their messages, the default one the rest")
    void ownConsumer(World world) {
        Listener special = new Listener();
        Service rest = new Service();
        world.application("app", b -> b.addConsumerConfiguration(ConsumerConfiguration.builder().name("special")
                .minIndex(0L).handlerFilter(h -> h instanceof Listener).build(), MessageType.EVENT), special, rest);
        FluxCapacitor client = world.application("client");
        client.eventGateway().publish(new Happened("k", 1));
        Check.equal(1, Await.next(special.events).number(), "event");
        Check.equal("hello x", client.commandGateway().sendAndWait(new Greet("x")), "result");
    }

    @Scenario(value = "notifications reach every instance of an application",
            notOnReference = UNORDERED)
    void notifications(World world) {
        List<BlockingQueue<Happened>> queues = List.of(new LinkedBlockingQueue<>(), new LinkedBlockingQueue<>());
        queues.forEach(queue -> world.application("app", new Object() {
            @HandleNotification
            void handle(Happened event) {
                queue.add(event);
            }
        }));
        publish(world.application("publisher"), 50);
        queues.forEach(queue -> IntStream.range(0, 50).forEach(i -> Check.equal(i, Await.next(queue).number(),
                "notification")));
    }

    @Scenario("errors and metrics are published and handled")
    void errorsAndMetrics(World world) {
        BlockingQueue<Object> handled = new LinkedBlockingQueue<>();
        FluxCapacitor application = world.application("app", new Object() {
            @HandleMetrics
            void handle(Measured metric) {
                handled.add(metric);
            }

            @HandleError
            void handle(Refuse error) {
                handled.add(error);
            }
        });
        application.metricsGateway().publish(new Measured(5));
        Check.equal(new Measured(5), Await.next(handled), "metric");
        application.errorGateway().report(new Refuse("wrong"));
        Check.equal(new Refuse("wrong"), Await.next(handled), "error");
    }

    @Scenario("results can be handled by others than the one that asked")
    void results(World world) {
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        world.application("service", new Service());
        world.application("observer", new Object() {
            @HandleResult
            void handle(String result) {
                seen.add(result);
            }
        });
        world.application("client").commandGateway().<String>sendAndWait(new Greet("you"));
        Await.until("the result at the observer", () -> seen.contains("hello you"));
    }

    @Scenario("a command handler of two instances handles each command once")
    void sharedCommands(World world) {
        List<Service> services = List.of(new Service(), new Service());
        services.forEach(s -> world.application("service", s));
        FluxCapacitor client = world.application("client");
        List<CompletableFuture<Object>> done = IntStream.range(0, 500)
                .mapToObj(i -> client.commandGateway().send(new Note("key" + i, i))).toList();
        done.forEach(Await::get);
        Check.equal(500, services.stream().mapToInt(s -> s.handled.size()).sum(), "commands");
    }

    @Scenario("a filter of types at the consumer leaves out the rest")
    void typeFilter(World world) {
        Service service = new Service();
        UnaryOperator<ConsumerConfiguration> onlyNotes = c -> c.toBuilder().typeFilter(".*\\$Note").minIndex(0L)
                .build();
        world.application("service", b -> b.configureDefaultConsumer(MessageType.COMMAND, onlyNotes), service);
        FluxCapacitor client = world.application("client");
        client.commandGateway().sendAndForget(new Greet("nobody"));
        Await.get(client.commandGateway().send(new Note("k", 1)));
        Check.equal(List.of(new Note("k", 1)), List.copyOf(service.handled), "commands");
    }

    @Scenario("a tracking consumer that starts again goes on where it stopped")
    void startsAgain(World world) {
        Listener first = new Listener();
        FluxCapacitor instance = world.application("listener", first);
        FluxCapacitor publisher = world.application("publisher");
        publish(publisher, 10);
        Await.until("the first events", () -> first.events.size() == 10);
        instance.close();
        publisher.eventGateway().publish(new Happened("k", 99));
        Listener second = new Listener();
        world.application("listener", second);
        Check.equal(99, Await.next(second.events).number(), "first event after the pause");
    }
}
