package flux.conformance;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;

/** Runs the scenarios of some classes against one kind of server. */
public final class Suite {
    /** Makes the world of a scenario, which is closed after it. */
    public interface Worlds {
        AutoCloseable open(Server server, String namespace);
    }

    private record Run(Method method, Scenario scenario, String group, String name, Object argument) {}

    private final Servers servers;
    private final Worlds worlds;
    private final List<Run> runs;

    /**
     * @param only which full names, {@code group/name}, are run
     * @param groups classes with scenarios, each named {@code <group>Scenarios}
     */
    public Suite(Servers servers, Worlds worlds, Predicate<String> only, List<Class<?>> groups) {
        this.servers = servers;
        this.worlds = worlds;
        this.runs = groups.stream().flatMap(g -> runsOf(g).stream())
                .filter(r -> only.test(r.group + "/" + r.name)).toList();
    }

    private static List<Run> runsOf(Class<?> group) {
        List<Run> runs = new ArrayList<>();
        String groupName = group.getSimpleName().replace("Scenarios", "");
        for (Method method : group.getDeclaredMethods()) {
            Scenario scenario = method.getAnnotation(Scenario.class);
            if (scenario == null) {
                continue;
            }
            method.setAccessible(true);
            if (scenario.each().length == 0) {
                runs.add(new Run(method, scenario, groupName, scenario.value(), null));
            }
            for (String element : scenario.each()) {
                runs.add(new Run(method, scenario, groupName, scenario.value().formatted(element), element));
            }
        }
        runs.sort(Comparator.comparing(Run::name));
        return runs;
    }

    /** Runs all scenarios, at most {@code width} at a time, and returns their outcomes ordered by group and name. */
    public List<Outcome> run(int width) throws InterruptedException {
        List<Outcome> outcomes = Collections.synchronizedList(new ArrayList<>());
        try (Server shared = servers.make()) {
            shared.start();
            try (ExecutorService pool = Executors.newFixedThreadPool(width)) {
                longestFirst().forEach(run -> pool.submit(() -> {
                    Outcome outcome = outcome(run, shared);
                    outcomes.add(outcome);
                    System.out.printf("%-7s %6d ms  %s: %s%n", outcome.result(), outcome.millis(), outcome.group(),
                            outcome.name());
                }));
            }
        }
        return runs.stream().map(r -> outcomes.stream()
                .filter(o -> o.group().equals(r.group) && o.name().equals(r.name)).findFirst().orElseThrow()).toList();
    }

    /** Scenarios that start servers come first, since they take longest. */
    private List<Run> longestFirst() {
        return runs.stream().sorted(Comparator.comparing(r -> !r.scenario.ownServer())).toList();
    }

    private Outcome outcome(Run run, Server shared) {
        String skip = run.scenario.notOnReference();
        if (servers.kind() == Servers.Kind.REFERENCE && !skip.isEmpty()) {
            return new Outcome(run.group, run.name, 0, null, skip);
        }
        long began = System.nanoTime();
        Throwable failure = limited(run.scenario.seconds(), () -> perform(run, shared));
        return new Outcome(run.group, run.name, (System.nanoTime() - began) / 1_000_000, failure, null);
    }

    private Throwable perform(Run run, Server shared) throws Exception {
        if (!run.scenario.ownServer()) {
            return performOn(run, shared);
        }
        try (Server own = servers.make()) {
            own.start();
            return performOn(run, own);
        }
    }

    private Throwable performOn(Run run, Server server) throws Exception {
        String namespace = (run.group + "-" + Integer.toHexString(run.name.hashCode())).toLowerCase();
        try (AutoCloseable world = worlds.open(server, namespace)) {
            Object group = run.method.getDeclaringClass().getDeclaredConstructor().newInstance();
            Object[] arguments = run.argument == null ? new Object[] {world} : new Object[] {world, run.argument};
            run.method.invoke(group, arguments);
            return null;
        } catch (InvocationTargetException e) {
            return e.getCause();
        }
    }

    /** Returns what the task returns or fails with, and fails with its stack when it takes longer than it may. */
    private static Throwable limited(int seconds, Callable<Throwable> task) {
        Thread[] runner = new Thread[1];
        try (ExecutorService one = Executors.newSingleThreadExecutor(r -> runner[0] = new Thread(r, "scenario"))) {
            Future<Throwable> done = one.submit(task);
            try {
                return done.get(seconds, TimeUnit.SECONDS);
            } catch (TimeoutException e) {
                AssertionError failure = new AssertionError("still running after " + seconds + " s");
                failure.setStackTrace(runner[0].getStackTrace());
                one.shutdownNow();
                return failure;
            } catch (ExecutionException e) {
                return e.getCause();
            } catch (InterruptedException e) {
                return e;
            }
        }
    }

    /** The number of scenarios that {@link #run} runs. */
    public int size() {
        return runs.size();
    }

    @Override
    public String toString() {
        return Arrays.toString(runs.stream().map(Run::name).toArray());
    }
}
