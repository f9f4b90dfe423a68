package flux.conformance;

import java.nio.file.Path;
import java.util.List;

/** Makes servers of the kind under test. */
public final class Servers {
    /** What is under test: Flux, or the test server that a client library brings. */
    public enum Kind { FLUX, REFERENCE }

    private final Kind kind;
    private final Path logs;
    private final String binary;
    private final String reference;
    private final String referenceMain;
    private int made;

    /**
     * @param binary the flux binary
     * @param reference the class path of the library's own server
     * @param referenceMain its class; its main method takes the port from the system property {@code port}
     */
    public Servers(Kind kind, Path logs, String binary, String reference, String referenceMain) {
        this.kind = kind;
        this.logs = logs;
        this.binary = binary;
        this.reference = reference;
        this.referenceMain = referenceMain;
    }

    public Kind kind() {
        return kind;
    }

    /** Returns a server that has not been started. */
    public synchronized Server make() {
        Path log = logs.resolve(kind.name().toLowerCase() + "-" + ++made + ".log");
        return new ServerProcess(kind == Kind.FLUX ? this::flux : this::reference, log);
    }

    private List<String> flux(int port, Path data) {
        return List.of(binary, "serve", "--data", data.resolve("store").toString(), "--listen", "127.0.0.1:" + port);
    }

    private List<String> reference(int port, Path data) {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        return List.of(java, "-Xmx1g", "-Dport=" + port, "-cp", reference, referenceMain);
    }
}
