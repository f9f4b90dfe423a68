package flux.conformance.scenarios;

import static flux.conformance.Messages.data;
import static flux.conformance.Messages.message;
import static flux.conformance.Messages.texts;
import static flux.conformance.World.append;
import static flux.conformance.World.consumer;
import static flux.conformance.World.log;
import static flux.conformance.World.read;
import static flux.conformance.World.reading;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Scenario;
import flux.conformance.World;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.common.MessageType;
import io.fluxcapacitor.common.api.modeling.Relationship;
import io.fluxcapacitor.common.api.modeling.UpdateRelationships;
import io.fluxcapacitor.common.api.scheduling.SerializedSchedule;
import io.fluxcapacitor.common.api.tracking.MessageBatch;
import io.fluxcapacitor.javaclient.configuration.client.WebSocketClient;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/** What one project stores, another does not see. */
public final class NamespaceScenarios {
    private static WebSocketClient in(World world, String project) {
        return world.client(c -> c.projectId(project == null ? null : world.namespace() + "-" + project));
    }

    @Scenario(value = "%s: messages of a project are not seen in another",
            each = {"COMMAND", "EVENT", "QUERY", "RESULT", "ERROR", "METRICS", "WEBREQUEST", "WEBRESPONSE"})
    void logs(World world, String type) {
        append(in(world, "a"), MessageType.valueOf(type), message("a"));
        append(in(world, "b"), MessageType.valueOf(type), message("b"));
        Check.equal(List.of("a"), texts(log(in(world, "a"), MessageType.valueOf(type)).stream()
                .filter(m -> "flux.Text".equals(m.getData().getType())).toList()), "messages");
    }

    @Scenario("a waiting tracker is not woken by another project")
    void trackers(World world) {
        WebSocketClient a = in(world, "a");
        CompletableFuture<MessageBatch> batch = reading(a.getTrackingClient(MessageType.EVENT), "t", null,
                consumer("c", Duration.ofSeconds(30)).build());
        a.getTrackingClient(MessageType.EVENT).getPosition("c");
        append(in(world, "b"), MessageType.EVENT, message("b"));
        append(a, MessageType.EVENT, message("a"));
        Check.equal(List.of("a"), texts(Await.get(batch).getMessages()), "messages");
    }

    @Scenario("positions of a project are not those of another")
    void positions(World world) {
        Await.get(in(world, "a").getTrackingClient(MessageType.EVENT).storePosition("c", new int[] {0, 128}, 5));
        Check.equal(Map.of(), in(world, "b").getTrackingClient(MessageType.EVENT).getPosition("c")
                .getIndexBySegment(), "position");
    }

    @Scenario("events, relationships, values and schedules of a project are not seen in another")
    void states(World world) {
        WebSocketClient a = in(world, "a");
        Await.get(a.getEventStoreClient().storeEvents("x", List.of(message("e")), false));
        Await.get(a.getEventStoreClient().updateRelationships(new UpdateRelationships(
                Set.of(Relationship.builder().aggregateId("x").aggregateType("type").entityId("e").build()), Set.of(), Guarantee.STORED)));
        Await.get(a.getKeyValueClient().putValue("k", data("v"), Guarantee.STORED));
        Await.get(a.getSchedulingClient().schedule(Guarantee.STORED, new SerializedSchedule("s",
                System.currentTimeMillis() + 60_000, message("later"), false)));
        WebSocketClient b = in(world, "b");
        Check.equal(List.of(), b.getEventStoreClient().getEvents("x").toList(), "events");
        Check.equal(Map.of(), b.getEventStoreClient().getAggregatesFor("e"), "aggregates");
        Check.equal(null, b.getKeyValueClient().getValue("k"), "value");
        Check.equal(null, b.getSchedulingClient().getSchedule("s"), "schedule");
    }

    @Scenario("a client without a project shares the project public")
    void publicProject(World world) {
        WebSocketClient without = in(world, null);
        WebSocketClient named = world.client(c -> c.projectId("public"));
        String key = UUID.randomUUID().toString();
        Await.get(without.getKeyValueClient().putValue(key, data("v"), Guarantee.STORED));
        Check.equal(data("v"), named.getKeyValueClient().getValue(key), "value");
    }

    @Scenario("a project named with blanks and signs is one of its own")
    void strangeName(World world) {
        WebSocketClient strange = world.client(c -> c.projectId(world.namespace() + " a+b_c.d"));
        append(strange, MessageType.EVENT, message("x"));
        Check.equal(List.of("x"), texts(read(strange.getTrackingClient(MessageType.EVENT), "t", -1L, consumer("c"))
                .getMessages()), "messages");
        Check.equal(List.of(), log(world.client(), MessageType.EVENT), "messages elsewhere");
    }
}
