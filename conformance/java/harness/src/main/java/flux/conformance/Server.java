package flux.conformance;

/** A server under test, in a process of its own. It keeps its address, and what it stored, from one start to the next. */
public interface Server extends AutoCloseable {
    /** The base address that clients are configured with, such as {@code ws://127.0.0.1:8888}. */
    String url();

    /** Starts the server and returns when it takes connections. */
    void start();

    /** Ends the server in good order, as an operator does. */
    void stop();

    /** Ends the server at once, as a power cut does ({@code kill -9}). */
    void kill();

    @Override
    void close();
}
