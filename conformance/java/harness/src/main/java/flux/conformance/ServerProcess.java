package flux.conformance;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A server whose process listens on the port that it is told, and answers {@code GET /health} once it is ready. */
final class ServerProcess implements Server {
    /** Builds the command that starts the server. */
    interface Command {
        List<String> of(int port, Path data);
    }

    private static final Duration READY = Duration.ofSeconds(30);

    private final Command command;
    private final int port = freePort();
    private final Path data;
    private final Path log;
    private Process process;

    ServerProcess(Command command, Path log) {
        this.command = command;
        this.log = log;
        try {
            this.data = Files.createTempDirectory("flux-conformance-");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public String url() {
        return "ws://127.0.0.1:" + port;
    }

    @Override
    public void start() {
        try {
            process = new ProcessBuilder(command.of(port, data))
                    .redirectErrorStream(true).redirectOutput(Redirect.appendTo(log.toFile())).start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Await.until("the server to be ready, see " + log, READY, () -> {
            if (!process.isAlive()) {
                throw new AssertionError("the server ended with " + process.exitValue() + ", see " + log);
            }
            return healthy();
        });
    }

    private boolean healthy() {
        try (HttpClient client = HttpClient.newHttpClient()) {
            URI health = URI.create("http://127.0.0.1:" + port + "/health");
            return client.send(HttpRequest.newBuilder(health).build(), BodyHandlers.ofString()).statusCode() == 200;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            throw new AssertionError("interrupted", e);
        }
    }

    @Override
    public void stop() {
        process.destroy();
        end();
    }

    @Override
    public void kill() {
        process.destroyForcibly();
        end();
    }

    private void end() {
        try {
            if (!process.waitFor(20, TimeUnit.SECONDS)) {
                process.destroyForcibly().waitFor();
            }
        } catch (InterruptedException e) {
            throw new AssertionError("interrupted", e);
        }
    }

    @Override
    public void close() {
        if (process != null && process.isAlive()) {
            stop();
        }
        try (var files = Files.walk(data)) {
            files.sorted(Comparator.reverseOrder()).forEach(f -> f.toFile().delete());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static int freePort() {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
