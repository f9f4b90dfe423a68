package flux.conformance;

import flux.conformance.scenarios.*;
import flux.conformance.sdk.Sdk;
import java.util.ArrayList;
import java.util.List;

/** Runs all scenarios of this library. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        List<Class<?>> groups = new ArrayList<>(List.of(
                GatewayScenarios.class, FrameScenarios.class, TrackingScenarios.class, EventStoreScenarios.class,
                KeyValueScenarios.class, ScheduleScenarios.class, NamespaceScenarios.class, ApplicationScenarios.class,
                AggregateScenarios.class, WebScenarios.class, MetricsScenarios.class, RestartScenarios.class,
                SearchScenarios.class, TruncateScenarios.class));
        groups.addAll(Sdk.SCENARIOS);
        Runner.main(Sdk.LIBRARY, Sdk.TEST_SERVER, World::new, groups);
    }
}
