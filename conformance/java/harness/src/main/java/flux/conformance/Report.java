package flux.conformance;

import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Writes outcomes for people and for tools. */
public final class Report {
    private final String suite;
    private final List<Outcome> outcomes;

    public Report(String suite, List<Outcome> outcomes) {
        this.suite = suite;
        this.outcomes = outcomes;
    }

    /** Prints a table with a line for each scenario, then the failures, then the counts alone on a line. */
    public void print(PrintStream out) {
        int width = outcomes.stream().mapToInt(o -> o.group().length()).max().orElse(0);
        out.printf("%n%s%n%s%n", suite, "=".repeat(suite.length()));
        for (Outcome o : outcomes) {
            String note = o.skipped() == null ? "" : " (" + o.skipped() + ")";
            out.printf("%-7s %6d ms  %-" + width + "s  %s%s%n", o.result(), o.millis(), o.group(), o.name(), note);
        }
        outcomes.stream().filter(o -> o.failure() != null).forEach(o -> {
            out.printf("%nFAILED %s: %s%n", o.group(), o.name());
            o.failure().printStackTrace(out);
        });
        out.printf("%n%s: %d passed, %d failed, %d skipped%n", suite.replaceAll("[^A-Za-z0-9.-]", "-"), count("passed"),
                count("FAILED"), count("skipped"));
    }

    /** Writes the outcomes as the XML of JUnit. */
    public void writeJUnit(Path file) throws IOException {
        StringBuilder xml = new StringBuilder("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        xml.append("<testsuite name=\"%s\" tests=\"%d\" failures=\"%d\" skipped=\"%d\">\n".formatted(escape(suite),
                outcomes.size(), count("FAILED"), count("skipped")));
        for (Outcome o : outcomes) {
            xml.append("  <testcase classname=\"%s\" name=\"%s\" time=\"%s\"".formatted(escape(o.group()),
                    escape(o.name()), o.millis() / 1000.0));
            xml.append(detail(o));
        }
        Files.createDirectories(file.getParent());
        Files.writeString(file, xml.append("</testsuite>\n"));
    }

    private static String detail(Outcome o) {
        if (o.passed()) {
            return "/>\n";
        }
        if (o.skipped() != null) {
            return "><skipped message=\"%s\"/></testcase>\n".formatted(escape(o.skipped()));
        }
        StringWriter stack = new StringWriter();
        o.failure().printStackTrace(new PrintWriter(stack));
        return "><failure message=\"%s\">%s</failure></testcase>\n".formatted(escape(String.valueOf(o.failure())),
                escape(stack.toString()));
    }

    private long count(String result) {
        return outcomes.stream().filter(o -> o.result().equals(result)).count();
    }

    private static String escape(String text) {
        StringBuilder escaped = new StringBuilder();
        text.codePoints().forEach(c -> {
            switch (c) {
                case '<' -> escaped.append("&lt;");
                case '>' -> escaped.append("&gt;");
                case '&' -> escaped.append("&amp;");
                case '"' -> escaped.append("&quot;");
                default -> {
                    if (c >= ' ' || c == '\n' || c == '\t') {
                        escaped.appendCodePoint(c);
                    }
                }
            }
        });
        return escaped.toString();
    }
}
