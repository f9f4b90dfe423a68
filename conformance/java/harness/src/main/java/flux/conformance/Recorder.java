package flux.conformance;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Locale;

/**
 * Stands between clients and a server, and writes down every websocket message that passes, as lines:
 *
 * <pre>
 * 3 GET /keyValue?clientId=…            socket 3 was opened at this target
 * 3 Some-Header: …                      with this header, if it is one of the protocol
 * 3 > {"@type":"getValue",…}            the client sent this text, or with >> these bytes in base64
 * 3 < {"@type":"getValueResult",…}      the server sent this, or with << these bytes
 * </pre>
 */
public final class Recorder implements AutoCloseable {
    private static final int TEXT_LIMIT = 1 << 24;

    private final ServerSocket listener;
    private final URI server;
    private final StringBuilder transcript = new StringBuilder();
    private int sockets;

    public Recorder(Server server) {
        this.server = URI.create(server.url());
        try {
            listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Thread.ofPlatform().daemon().name("recorder").start(this::accept);
    }

    /** The base address that clients are to be configured with. */
    public String url() {
        return "ws://127.0.0.1:" + listener.getLocalPort();
    }

    /** What passed until now. */
    public synchronized String transcript() {
        return transcript.toString();
    }

    private synchronized void write(int socket, String line) {
        transcript.append(socket).append(' ').append(line).append('\n');
    }

    private synchronized int next() {
        return ++sockets;
    }

    private void accept() {
        while (!listener.isClosed()) {
            try {
                Socket client = listener.accept();
                Thread.ofPlatform().daemon().start(() -> relay(client));
            } catch (SocketException e) {
                return;
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private void relay(Socket client) {
        int number = next();
        try (client; Socket upstream = new Socket(server.getHost(), server.getPort())) {
            DataInputStream fromClient = new DataInputStream(client.getInputStream());
            DataInputStream fromServer = new DataInputStream(upstream.getInputStream());
            OutputStream toServer = upstream.getOutputStream();
            handshake(number, fromClient, toServer);
            Thread back = Thread.ofPlatform().daemon().start(() -> {
                try {
                    client.getOutputStream().write(head(fromServer).getBytes(StandardCharsets.ISO_8859_1));
                    messages(number, "<", fromServer, client.getOutputStream());
                } catch (IOException e) {
                    closeQuietly(client);
                }
            });
            messages(number, ">", fromClient, toServer);
            upstream.shutdownOutput();
            back.join();
        } catch (IOException | InterruptedException e) {
            closeQuietly(client);
        }
    }

    private void handshake(int number, InputStream from, OutputStream to) throws IOException {
        String head = head(from);
        List<String> lines = head.lines().toList();
        write(number, lines.getFirst().replace(" HTTP/1.1", ""));
        lines.stream().skip(1).filter(l -> l.toLowerCase(Locale.ROOT).startsWith("flux"))
                .forEach(l -> write(number, l));
        to.write(head.getBytes(StandardCharsets.ISO_8859_1));
    }

    /** Reads the head of a request or a response, with the empty line at its end. */
    private static String head(InputStream from) throws IOException {
        ByteArrayOutputStream head = new ByteArrayOutputStream();
        while (!head.toString(StandardCharsets.ISO_8859_1).endsWith("\r\n\r\n")) {
            int b = from.read();
            if (b < 0) {
                throw new EOFException();
            }
            head.write(b);
        }
        return head.toString(StandardCharsets.ISO_8859_1);
    }

    private void messages(int number, String direction, DataInputStream from, OutputStream to) throws IOException {
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        ByteArrayOutputStream raw = new ByteArrayOutputStream();
        while (true) {
            raw.reset();
            int first = copyByte(from, raw);
            int second = copyByte(from, raw);
            byte[] payload = payload(from, raw, second);
            boolean control = (first & 0x08) != 0;
            if (!control) {
                message.write(payload);
            }
            if (!control && (first & 0x80) != 0) {
                write(number, line(direction, message.toByteArray()));
                message.reset();
            }
            to.write(raw.toByteArray());
            to.flush();
        }
    }

    /** Reads the rest of a frame, and returns its payload without mask. */
    private static byte[] payload(DataInputStream from, ByteArrayOutputStream raw, int second) throws IOException {
        long length = second & 0x7f;
        int more = length == 126 ? 2 : length == 127 ? 8 : 0;
        for (int i = 0; i < more; i++) {
            length = (i == 0 ? 0 : length << 8) | copyByte(from, raw);
        }
        byte[] mask = new byte[(second & 0x80) != 0 ? 4 : 0];
        from.readFully(mask);
        raw.write(mask);
        byte[] payload = new byte[Math.toIntExact(length)];
        from.readFully(payload);
        raw.write(payload);
        for (int i = 0; i < payload.length && mask.length > 0; i++) {
            payload[i] ^= mask[i % 4];
        }
        return payload;
    }

    private static int copyByte(DataInputStream from, ByteArrayOutputStream to) throws IOException {
        int b = from.readUnsignedByte();
        to.write(b);
        return b;
    }

    private static String line(String direction, byte[] message) {
        if (message.length > 0 && message.length < TEXT_LIMIT && message[0] == '{') {
            return direction + " " + new String(message, StandardCharsets.UTF_8);
        }
        return direction + direction + " " + Base64.getEncoder().encodeToString(message);
    }

    private static void closeQuietly(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        listener.close();
    }
}
