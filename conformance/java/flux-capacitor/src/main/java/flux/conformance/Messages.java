package flux.conformance;

import io.fluxcapacitor.common.ConsistentHashing;
import io.fluxcapacitor.common.api.Data;
import io.fluxcapacitor.common.api.Metadata;
import io.fluxcapacitor.common.api.SerializedMessage;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.stream.IntStream;

/** Makes and takes apart the messages of scenarios. */
public final class Messages {
    private Messages() {}

    public static Data<byte[]> data(String text) {
        return new Data<>(text.getBytes(StandardCharsets.UTF_8), "flux.Text", 0, "text/plain");
    }

    public static SerializedMessage message(String text) {
        return ofType("flux.Text", text);
    }

    public static SerializedMessage ofType(String type, String text) {
        Data<byte[]> data = new Data<>(text.getBytes(StandardCharsets.UTF_8), type, 0, "text/plain");
        return new SerializedMessage(data, Metadata.empty(), UUID.randomUUID().toString(), System.currentTimeMillis());
    }

    /** A message with everything that a publisher can set. */
    public static SerializedMessage complete(Data<byte[]> data, Metadata metadata, String id) {
        SerializedMessage message = new SerializedMessage(data, metadata, id, 1_700_000_000_000L).withSegment(42);
        message.setSource("source-1");
        message.setTarget("target-1");
        message.setRequestId(77);
        return message;
    }

    public static SerializedMessage inSegment(int segment, String text) {
        return message(text).withSegment(segment);
    }

    /** Messages with the texts 0 to {@code count-1}, spread over all segments. */
    public static SerializedMessage[] numbered(int count) {
        return IntStream.range(0, count).mapToObj(i -> inSegment(i % 128, Integer.toString(i)))
                .toArray(SerializedMessage[]::new);
    }

    public static String text(SerializedMessage message) {
        return new String(message.getData().getValue(), StandardCharsets.UTF_8);
    }

    public static List<String> texts(List<SerializedMessage> messages) {
        return messages.stream().map(Messages::text).toList();
    }

    public static List<String> numbers(int count) {
        return IntStream.range(0, count).mapToObj(Integer::toString).toList();
    }

    public static int segmentOf(String routingKey) {
        return ConsistentHashing.computeSegment(routingKey);
    }

    /** A payload that does not compress, the same for the same size. */
    public static byte[] noise(int bytes) {
        byte[] noise = new byte[bytes];
        new java.util.Random(bytes).nextBytes(noise);
        return noise;
    }

    public static boolean strictlyIncreasing(List<SerializedMessage> messages) {
        long[] indexes = messages.stream().mapToLong(SerializedMessage::getIndex).toArray();
        long[] sorted = Arrays.stream(indexes).distinct().sorted().toArray();
        return Arrays.equals(indexes, sorted);
    }
}
