package flux.conformance.scenarios;

import static flux.conformance.Messages.data;

import flux.conformance.Await;
import flux.conformance.Check;
import flux.conformance.Scenario;
import flux.conformance.World;
import flux.conformance.sdk.Sdk;
import io.fluxcapacitor.common.Guarantee;
import io.fluxcapacitor.common.api.search.CreateAuditTrail;
import io.fluxcapacitor.common.api.search.GetDocument;
import io.fluxcapacitor.common.api.search.SearchDocuments;
import io.fluxcapacitor.common.api.search.SearchQuery;
import io.fluxcapacitor.common.api.search.SerializedDocument;
import io.fluxcapacitor.javaclient.common.exception.ServiceException;
import io.fluxcapacitor.javaclient.persisting.search.client.SearchClient;
import java.util.List;
import java.util.concurrent.Callable;

/** Search, which Flux does not serve yet: every request is answered with an error, and none is left without answer. */
public final class SearchScenarios {
    private static final String SERVES = "it serves search";
    private static final SearchQuery QUERY = SearchQuery.builder().collection("users").build();

    private static void refused(Callable<?> request) {
        ServiceException error = Check.fails(ServiceException.class, request);
        Check.that(error.getMessage() != null && !error.getMessage().isBlank(), "the error must tell something");
    }

    @Scenario(value = "storing a document is refused", notOnReference = SERVES)
    void index(World world) {
        SerializedDocument document = Sdk.document("d1", "users", data("x"));
        refused(() -> Await.get(world.client().getSearchClient().index(List.of(document), Guarantee.STORED, false)));
    }

    @Scenario(value = "searching is refused", notOnReference = SERVES)
    void search(World world) {
        SearchClient client = world.client().getSearchClient();
        refused(() -> client.search(SearchDocuments.builder().query(QUERY).build(), 10).toList());
    }

    @Scenario(value = "fetching a document is refused", notOnReference = SERVES)
    void fetch(World world) {
        refused(() -> world.client().getSearchClient().fetch(new GetDocument("d1", "users")));
    }

    @Scenario(value = "statistics and histograms are refused", notOnReference = SERVES)
    void statistics(World world) {
        SearchClient client = world.client().getSearchClient();
        refused(() -> client.fetchStatistics(QUERY, List.of("price"), List.of()));
        refused(() -> client.fetchFacetStats(QUERY));
    }

    @Scenario(value = "deletions and audit trails are refused", notOnReference = SERVES)
    void deletions(World world) {
        SearchClient client = world.client().getSearchClient();
        refused(() -> Await.get(client.delete("d1", "users", Guarantee.STORED)));
        refused(() -> Await.get(client.delete(QUERY, Guarantee.STORED)));
        refused(() -> Await.get(client.deleteCollection("users")));
        refused(() -> Await.get(client.createAuditTrail(new CreateAuditTrail("users", 60L, Guarantee.STORED))));
    }

    @Scenario(value = "a command of search that waits for nothing is refused in silence", notOnReference = SERVES)
    void silent(World world) {
        SearchClient client = world.client().getSearchClient();
        Await.get(client.delete("d1", "users", Guarantee.SENT));
        refused(() -> client.fetch(new GetDocument("d1", "users")));
    }
}
