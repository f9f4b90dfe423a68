package recording

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices"
)

// How many races there are: enough to have both winners in each phase, within some seconds.
const (
	races     = 1000
	fewRaces  = 100
	raceTime  = 6 * time.Second // after which fewRaces are enough
	replaysOf = 100             // one race of so many is replayed
)

// A race is a meeting of two requests with the same key, at a barrier that both reach when the cache had nothing.
type race struct {
	arrived sync.WaitGroup
	hold    chan struct{} // closed when the one that is held back may go on; nil when nobody is
	held    int
}

type racerKey struct{}

// meet waits for the other. The one that is held back waits until the other has stored its order.
func (r *race) meet(ctx context.Context) {
	r.arrived.Done()
	r.arrived.Wait()
	if r.hold != nil && ctx.Value(racerKey{}) == r.held {
		<-r.hold
	}
}

func (r *race) stored(ctx context.Context) {
	if r.hold != nil && ctx.Value(racerKey{}) != r.held {
		close(r.hold)
	}
}

// TestDuplicateRequestsRaceForOneOrder is G-093 to G-098: two requests with one key miss the cache, meet, and store. The database
// decides, either way and with both at once.
func TestDuplicateRequestsRaceForOneOrder(t *testing.T) {
	t.Parallel()
	postgres, cache := testservices.Postgres(t), testservices.Redis(t)
	createTable(t, postgres)
	var mu sync.Mutex
	kept := make(map[record.ID]*record.Execution)
	rec, err := execution.New(execution.Config{
		Service: "shop", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) {
			mu.Lock()
			defer mu.Unlock()
			kept[x.ID] = x
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := openShop(t.Context(), rec, postgres, cache)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	handler := rec.Middleware(s)
	n := races
	if testing.Short() {
		n = fewRaces
	}
	answers := make([][2]*httptest.ResponseRecorder, 0, n)
	began := time.Now()
	for i := range n {
		if i >= fewRaces && time.Since(began) > raceTime {
			break
		}
		r := &race{held: i % 2}
		if i%3 > 0 { // else both store at once
			r.hold = make(chan struct{})
		}
		r.arrived.Add(2)
		s.missed, s.stored = r.meet, r.stored
		answers = append(answers, duplicate(handler, fmt.Sprint("race", i)))
	}
	t.Logf("%d races in %s", len(answers), time.Since(began).Round(time.Millisecond))
	s.missed, s.stored = nil, nil
	if err := rec.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	winners := make(map[string]int)
	for i, pair := range answers {
		first, second := executionOf(t, kept, pair[0]), executionOf(t, kept, pair[1])
		checkRace(t, pair, first, second)
		if n := rows(t, postgres, fmt.Sprint("race", i)); i%replaysOf == 0 && n != 1 {
			t.Errorf("race %d: %d rows", i, n)
		}
		winners[fmt.Sprintf("first won %v, held %v", len(shapes(first)) == winnerOps, i%3 > 0)]++
		if i%replaysOf == 0 {
			replaySame(t, s, first, pair[0])
			replaySame(t, s, second, pair[1])
		}
	}
	for _, phase := range []string{"first won true, held true", "first won false, held true"} {
		if winners[phase] == 0 {
			t.Errorf("winners: %v", winners)
		}
	}
}

// winnerOps is how many operations the one does whose order it is: look, store, cache. The other loads, too.
const winnerOps = 3

// duplicate sends two requests with one key.
func duplicate(handler http.Handler, key string) (answers [2]*httptest.ResponseRecorder) {
	var both sync.WaitGroup
	for i := range answers {
		answers[i] = httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader("tea"))
		req.Header.Set("Idempotency-Key", key)
		req = req.WithContext(context.WithValue(req.Context(), racerKey{}, i))
		both.Go(func() { handler.ServeHTTP(answers[i], req) })
	}
	both.Wait()
	return answers
}

func executionOf(t *testing.T, kept map[record.ID]*record.Execution, answer *httptest.ResponseRecorder) *record.Execution {
	t.Helper()
	id, err := record.ParseID(answer.Header().Get(execution.HeaderExecution))
	if err != nil || kept[id] == nil {
		t.Fatalf("execution %q is not recorded: %v", answer.Header().Get(execution.HeaderExecution), err)
	}
	return kept[id]
}

func checkRace(t *testing.T, pair [2]*httptest.ResponseRecorder, first, second *record.Execution) {
	t.Helper()
	if pair[0].Code != http.StatusCreated || pair[1].Code != http.StatusCreated || pair[0].Body.String() != pair[1].Body.String() {
		t.Errorf("answers %d %s, %d %s", pair[0].Code, pair[0].Body, pair[1].Code, pair[1].Body)
	}
	if first.ID == second.ID || !first.Parent.IsZero() || !second.Parent.IsZero() {
		t.Errorf("%s and %s are merged", first.ID, second.ID)
	}
	winner, loser := first, second
	if len(shapes(winner)) > len(shapes(loser)) {
		winner, loser = loser, winner
	}
	lost := shapes(loser)
	if won := shapes(winner); len(won) != winnerOps || len(lost) != winnerOps+1 || won[1] != lost[1] {
		t.Fatalf("the winner did %q, the other %q", won, lost)
	}
	i := slices.IndexFunc(loser.Checkpoints, func(cp record.Checkpoint) bool { return cp.Error != nil && cp.Error.Code == "23505" })
	if i < 0 || !strings.Contains(lost[2], "SELECT") {
		t.Errorf("the conflict is not in %q", lost)
	}
}

// replaySame replays an execution, which must come to the same answer from its own record alone.
func replaySame(t *testing.T, s *shop, x *record.Execution, answer *httptest.ResponseRecorder) {
	t.Helper()
	rec, err := execution.New(execution.Config{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close(context.Background())
	report, err := rec.ReplayHTTP(t.Context(), &record.Bundle{Execution: x}, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Outcome != execution.OutcomeSame || len(report.Live) > 0 || report.Replayed.HTTPStatus != answer.Code {
		t.Errorf("replay of %q: %v %+v", shapes(x), report, report.Divergences)
	}
}
