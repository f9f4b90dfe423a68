package flux.conformance.bank;

import flux.conformance.Runner;
import flux.conformance.World;
import flux.conformance.sdk.Sdk;
import java.util.List;

/** Runs the scenarios of the bank. System property {@code bank}: the binary of the services in Go. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Runner.main("bank in Java and Go", Sdk.TEST_SERVER, World::new, List.of(BankScenarios.class));
    }
}
