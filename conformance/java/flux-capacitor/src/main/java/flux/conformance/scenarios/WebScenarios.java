package flux.conformance.scenarios;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Scenario;
import flux.conformance.World;
import io.fluxcapacitor.javaclient.FluxCapacitor;
import io.fluxcapacitor.javaclient.tracking.handling.IllegalCommandException;
import io.fluxcapacitor.javaclient.web.HandleGet;
import io.fluxcapacitor.javaclient.web.HandlePost;
import io.fluxcapacitor.javaclient.web.HttpRequestMethod;
import io.fluxcapacitor.javaclient.web.WebRequest;
import io.fluxcapacitor.javaclient.web.WebResponse;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/** Web requests that travel as messages. */
public final class WebScenarios {
    /** The body of a request. */
    public record Order(String item, int count) {}

    /** Answers web requests. */
    public static final class Site {
        @HandleGet("/hello")
        String hello() {
            return "hello";
        }

        @HandlePost("/orders")
        Order order(Order order) {
            return new Order(order.item(), order.count() + 1);
        }

        @HandleGet("/forbidden")
        String forbidden() {
            throw new IllegalCommandException("no");
        }

        @HandleGet("/broken")
        String broken() {
            throw new IllegalStateException("no");
        }

        @HandleGet("/large")
        String large() {
            return "0123456789".repeat(100_000);
        }
    }

    private static WebRequest get(String path) {
        return WebRequest.builder().method(HttpRequestMethod.GET).url(path).build();
    }

    /** Text is delivered as bytes. */
    private static String body(WebResponse response) {
        Object payload = response.getPayload();
        return payload instanceof byte[] bytes ? new String(bytes) : payload.toString();
    }

    private static FluxCapacitor site(World world) {
        world.application("site", new Site());
        return world.application("browser");
    }

    @Scenario("a web request is answered by another application")
    void get(World world) {
        WebResponse response = site(world).webRequestGateway().sendAndWait(get("/hello"));
        Check.equal(200, response.getStatus(), "status");
        Check.equal("hello", body(response), "body");
    }

    @Scenario("the body of a request and of its response are objects")
    void post(World world) {
        WebResponse response = site(world).webRequestGateway().sendAndWait(WebRequest.builder()
                .method(HttpRequestMethod.POST).url("/orders").payload(new Order("tea", 1)).build());
        Check.equal(new Order("tea", 2), response.getPayloadAs(Order.class), "body");
    }

    @Scenario("a functional error becomes status 403")
    void forbidden(World world) {
        Check.equal(403, site(world).webRequestGateway().sendAndWait(get("/forbidden")).getStatus(), "status");
    }

    @Scenario("any other error becomes status 500")
    void broken(World world) {
        Check.equal(500, site(world).webRequestGateway().sendAndWait(get("/broken")).getStatus(), "status");
    }

    @Scenario("a response of 1 MB arrives whole")
    void large(World world) {
        WebRequest plain = WebRequest.builder().method(HttpRequestMethod.GET).url("/large").acceptGzipEncoding(false)
                .build();
        Check.equal(1_000_000, body(site(world).webRequestGateway().sendAndWait(plain)).length(), "characters");
    }

    @Scenario("300 requests at once are each answered")
    void many(World world) {
        FluxCapacitor browser = site(world);
        List<CompletableFuture<WebResponse>> responses = IntStream.range(0, 300).mapToObj(i -> browser
                .webRequestGateway().send(get("/hello"))).toList();
        responses.forEach(r -> Check.equal(200, Await.get(r).getStatus(), "status"));
    }
}
