package flux.conformance.scenarios;

import static flux.conformance.Messages.data;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Messages;
import flux.conformance.Scenario;
import flux.conformance.World;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.common.api.Data;
import io.fluxcapacitor.javaclient.FluxCapacitor;
import io.fluxcapacitor.javaclient.common.exception.ServiceException;
import io.fluxcapacitor.javaclient.persisting.keyvalue.client.KeyValueClient;
import java.util.List;
import java.util.stream.IntStream;

/** Values under keys. */
public final class KeyValueScenarios {
    /** A value as an application stores it. */
    public record Setting(String name, int level) {}

    private static void put(KeyValueClient store, String key, String value) {
        Await.get(store.putValue(key, data(value), Guarantee.STORED));
    }

    @Scenario("a value comes back with its type, revision, format and bytes")
    void putAndGet(World world) {
        KeyValueClient store = world.client().getKeyValueClient();
        Data<byte[]> value = new Data<>(Messages.noise(1000), "com.example.Value", 4, "application/x-value");
        Await.get(store.putValue("k", value, Guarantee.STORED));
        Check.equal(value, store.getValue("k"), "value");
    }

    @Scenario("an unknown key has no value")
    void unknown(World world) {
        Check.equal(null, world.client().getKeyValueClient().getValue("nothing"), "value");
    }

    @Scenario("a later value replaces an earlier one")
    void replace(World world) {
        KeyValueClient store = world.client().getKeyValueClient();
        put(store, "k", "one");
        put(store, "k", "two");
        Check.equal(data("two"), store.getValue("k"), "value");
    }

    @Scenario(value = "a value with guarantee %s is stored", each = {"NONE", "SENT", "STORED"})
    void guarantee(World world, String guarantee) {
        KeyValueClient store = world.client().getKeyValueClient();
        Await.get(store.putValue("k", data("v"), Guarantee.valueOf(guarantee)));
        Await.until("the value", () -> data("v").equals(store.getValue("k")));
    }

    @Scenario(value = "a value deleted with guarantee %s is gone", each = {"NONE", "SENT", "STORED"})
    void delete(World world, String guarantee) {
        KeyValueClient store = world.client().getKeyValueClient();
        put(store, "k", "v");
        Await.get(store.deleteValue("k", Guarantee.valueOf(guarantee)));
        Await.until("no value", () -> store.getValue("k") == null);
    }

    @Scenario("deleting an unknown key succeeds")
    void deleteUnknown(World world) {
        Await.get(world.client().getKeyValueClient().deleteValue("nothing", Guarantee.STORED));
    }

    @Scenario("put if absent succeeds once, and again after a deletion")
    void ifAbsent(World world) {
        KeyValueClient store = world.client().getKeyValueClient();
        Check.equal(true, Await.get(store.putValueIfAbsent("k", data("one"))), "first");
        Check.equal(false, Await.get(store.putValueIfAbsent("k", data("two"))), "second");
        Check.equal(data("one"), store.getValue("k"), "value");
        Await.get(store.deleteValue("k", Guarantee.STORED));
        Check.equal(true, Await.get(store.putValueIfAbsent("k", data("three"))), "after the deletion");
    }

    @Scenario("of 50 concurrent puts if absent from several clients exactly one succeeds")
    void ifAbsentConcurrent(World world) {
        List<KeyValueClient> stores = IntStream.range(0, 3).mapToObj(i -> world.client().getKeyValueClient()).toList();
        long successes = IntStream.range(0, 50).mapToObj(i -> stores.get(i % 3).putValueIfAbsent("k", data("v" + i)))
                .toList().stream().filter(Await::get).count();
        Check.equal(1L, successes, "successes");
    }

    @Scenario("a value of 2 MiB survives")
    void big(World world) {
        KeyValueClient store = world.client().getKeyValueClient();
        Data<byte[]> value = new Data<>(Messages.noise(2 << 20), "bytes", 0, "bytes");
        Await.get(store.putValue("k", value, Guarantee.STORED));
        Check.equal(value, store.getValue("k"), "value");
    }

    @Scenario(value = "a key '%s' is kept apart from others", each = {"a/b", "ü☃", "a b", "$snapshot_1"})
    void keys(World world, String key) {
        KeyValueClient store = world.client().getKeyValueClient();
        put(store, key, "v");
        Check.equal(data("v"), store.getValue(key), "value");
        Check.equal(null, store.getValue(key + "x"), "value of another key");
    }

    @Scenario(value = "the empty key is refused with an error", notOnReference = "it accepts any key")
    void badKey(World world) {
        KeyValueClient store = world.client().getKeyValueClient();
        Check.fails(ServiceException.class, () -> Await.get(store.putValue("", data("v"), Guarantee.STORED)));
        put(store, "k", "v");
    }

    @Scenario("another client sees the value")
    void otherClient(World world) {
        put(world.client().getKeyValueClient(), "k", "v");
        Check.equal(data("v"), world.client().getKeyValueClient().getValue("k"), "value");
    }

    @Scenario("an application stores objects, reads and deletes them")
    void objects(World world) {
        FluxCapacitor application = world.application("app");
        application.keyValueStore().store("k", new Setting("volume", 11), Guarantee.STORED);
        Check.equal(new Setting("volume", 11), application.keyValueStore().get("k"), "object");
        Check.equal(false, application.keyValueStore().storeIfAbsent("k", new Setting("other", 1)), "stored again");
        application.keyValueStore().delete("k");
        Await.until("no object", () -> application.keyValueStore().get("k") == null);
    }
}
