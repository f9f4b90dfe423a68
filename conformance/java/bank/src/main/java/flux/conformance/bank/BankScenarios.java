package flux.conformance.bank;

import flux.Error;
import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Scenario;
import flux.conformance.World;
import flux.conformance.sdk.Sdk;
import io.fluxcapacitor.common.api.SerializedMessage;
import io.fluxcapacitor.javaclient.FluxCapacitor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/** The bank with its services in each mixture of languages. */
public final class BankScenarios {
    private static final String ONLY_FLUX = "it does not know the native API";
    private static final String JAVA_JAVA = "accounts in Java, transfers in Java";
    private static final String JAVA_GO = "accounts in Java, transfers in Go";
    private static final String GO_JAVA = "accounts in Go, transfers in Java";
    private static final String GO_GO = "accounts in Go, transfers in Go";

    /** Starts a service in a language. */
    private static AutoCloseable service(World world, String language, String name) {
        return language.equals("Java") ? java(world, name) : go(world, name);
    }

    private static AutoCloseable java(World world, String name) {
        Object service = name.equals("accounts") ? new Accounts() : new Transfers();
        return world.closing(Bank.application(Sdk.config(world.server().url()).name(name)
                .projectId(world.namespace()).build(), service)::close);
    }

    private static AutoCloseable go(World world, String name) {
        ProcessBuilder builder = new ProcessBuilder(System.getProperty("bank"), name).redirectErrorStream(true)
                .redirectOutput(Redirect.INHERIT);
        builder.environment().put("FLUX_URL", world.server().url().replace("ws:", "http:"));
        builder.environment().put("FLUX_NAMESPACE", world.namespace());
        try {
            Process process = builder.start();
            return world.closing(() -> {
                process.destroy();
                Check.that(process.waitFor(20, TimeUnit.SECONDS), "the service in Go must end");
            });
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Starts both services as the text says, and returns a customer. */
    private static FluxCapacitor open(World world, String languages) {
        service(world, languages.startsWith("accounts in Java") ? "Java" : "Go", "accounts");
        service(world, languages.endsWith("transfers in Java") ? "Java" : "Go", "transfers");
        return world.application("customer");
    }

    private static <R> R ask(FluxCapacitor customer, Object command) {
        return customer.commandGateway().sendAndWait(command);
    }

    private static long balance(FluxCapacitor customer, String account) {
        return customer.queryGateway().<Balance>sendAndWait(new GetBalance(account)).amount();
    }

    @Scenario(value = "%s: money moves", each = {JAVA_JAVA, JAVA_GO, GO_JAVA, GO_GO}, notOnReference = ONLY_FLUX)
    void transfer(World world, String languages) {
        FluxCapacitor customer = open(world, languages);
        Check.equal(new Balance("a", 0), ask(customer, new Open("a", "Ada")), "new account");
        ask(customer, new Open("b", "Bob"));
        Check.equal(new Balance("a", 1000), ask(customer, new Deposit("a", 1000)), "balance");
        Check.equal(new Receipt(new Balance("a", 700), new Balance("b", 300)),
                ask(customer, new Transfer("a", "b", 300)), "receipt");
        Check.equal(700L, balance(customer, "a"), "balance of a");
        Check.equal(300L, balance(customer, "b"), "balance of b");
    }

    @Scenario(value = "%s: errors reach the customer", each = {JAVA_JAVA, JAVA_GO, GO_JAVA, GO_GO},
            notOnReference = ONLY_FLUX)
    void errors(World world, String languages) {
        FluxCapacitor customer = open(world, languages);
        ask(customer, new Open("a", "Ada"));
        ask(customer, new Deposit("a", 100));
        Check.equal("bank.no_funds", code(customer, new Transfer("a", "a", 101)), "too much");
        Check.equal("bank.no_account", code(customer, new Transfer("a", "nobody", 50)), "to nobody");
        Check.equal("bank.amount", code(customer, new Withdraw("a", -1)), "less than nothing");
        Check.equal("bank.exists", code(customer, new Open("a", "Ada")), "opened twice");
        Check.equal(100L, balance(customer, "a"), "balance");
    }

    private static String code(FluxCapacitor customer, Object command) {
        return Check.fails(Error.class, () -> ask(customer, command)).getCode();
    }

    @Scenario(value = "%s: of 60 transfers between ten accounts no cent is lost", each = {JAVA_GO, GO_JAVA},
            notOnReference = ONLY_FLUX)
    void many(World world, String languages) {
        FluxCapacitor customer = open(world, languages);
        IntStream.range(0, 10).forEach(i -> {
            ask(customer, new Open("a" + i, "owner " + i));
            ask(customer, new Deposit("a" + i, 1000));
        });
        List<CompletableFuture<Receipt>> receipts = IntStream.range(0, 60).mapToObj(i -> customer.commandGateway()
                .<Receipt>send(new Transfer("a" + i % 10, "a" + (i * 7 + 1) % 10, 5))).toList();
        receipts.forEach(Await::get);
        Check.equal(10_000L, IntStream.range(0, 10).mapToLong(i -> balance(customer, "a" + i)).sum(), "cents");
    }

    @Scenario(value = "accounts that %s", each = {"Java opened, Go goes on with", "Go opened, Java goes on with"},
            notOnReference = ONLY_FLUX)
    void handedOver(World world, String order) throws Exception {
        String first = order.startsWith("Java") ? "Java" : "Go";
        FluxCapacitor customer = world.application("customer");
        AutoCloseable accounts = service(world, first, "accounts");
        ask(customer, new Open("a", "Ada"));
        ask(customer, new Deposit("a", 1000));
        accounts.close();
        service(world, first.equals("Java") ? "Go" : "Java", "accounts");
        Check.equal(new Balance("a", 600), ask(customer, new Withdraw("a", 400)), "balance");
        List<String> types = customer.client().getEventStoreClient().getEvents("a")
                .map(SerializedMessage::getType).toList();
        String bank = Opened.class.getPackageName() + ".";
        Check.equal(List.of(bank + "Opened", bank + "Deposited", bank + "Withdrawn"), types, "events");
    }
}
