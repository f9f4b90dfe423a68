package flux.conformance;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * The main program of a suite. System properties: {@code server} (flux or reference), {@code binary} (the flux binary),
 * {@code reference} (the class path of the library's test server), {@code reports} (a directory), {@code only} (a part of the names of the scenarios to run), {@code width} (how many run
 * at a time).
 */
public final class Runner {
    private Runner() {}

    /** Runs the scenarios, reports, and ends the process: with 0 when all passed. */
    public static void main(String library, String referenceMain, Suite.Worlds worlds, List<Class<?>> groups)
            throws Exception {
        Servers.Kind kind = Servers.Kind.valueOf(System.getProperty("server", "flux").toUpperCase(Locale.ROOT));
        Path reports = Files.createDirectories(Path.of(System.getProperty("reports", "target/reports")));
        Servers servers = new Servers(kind, reports, System.getProperty("binary"),
                System.getProperty("reference"), referenceMain);
        String only = System.getProperty("only", "");
        Suite suite = new Suite(servers, worlds, name -> name.contains(only), groups);
        String name = library + " on " + kind.name().toLowerCase(Locale.ROOT);
        List<Outcome> outcomes = suite.run(Integer.getInteger("width", 6));
        Report report = new Report(name, outcomes);
        report.print(System.out);
        report.writeJUnit(reports.resolve("TEST-" + name.replaceAll("[^A-Za-z0-9.-]", "-") + ".xml"));
        System.out.flush();
        boolean failed = outcomes.isEmpty() || outcomes.stream().anyMatch(o -> o.failure() != null);
        Runtime.getRuntime().halt(failed ? 1 : 0);
    }
}
