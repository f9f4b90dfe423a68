package idempotent

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// How many races there are with each store: enough to have both winners and ties, within some seconds.
const (
	races    = 1000
	fewRaces = 30
	raceTime = 4 * time.Second // after which fewRaces are enough
)

// A meeting lets two requests see the store before either changes it. One of them may be held back until the other was answered.
type meeting struct {
	Store
	arrived sync.WaitGroup
	held    int // -1 for none
	over    chan struct{}
}

type racerKey struct{}

// racer is a request in a race: it meets the other once.
type racer struct {
	number int
	met    bool
}

// Get implements Store.
func (m *meeting) Get(ctx context.Context, name string) (Entry, error) {
	e, err := m.Store.Get(ctx, name)
	if r := ctx.Value(racerKey{}).(*racer); !r.met {
		r.met = true
		m.arrived.Done()
		m.arrived.Wait()
		if r.number == m.held {
			<-m.over
		}
	}
	return e, err
}

// TestDuplicatesRace sends each request twice at once: one of the two is carried out, either may be, and both get its answer.
func TestDuplicatesRace(t *testing.T) {
	eachStore(t, func(t *testing.T, store purging) {
		began, done := time.Now(), 0
		winners := make(map[string]int)
		for i := range races {
			if i >= fewRaces && (time.Since(began) > raceTime || testing.Short()) {
				break
			}
			m := &meeting{Store: store, held: i%3 - 1, over: make(chan struct{})}
			winner := m.race(t, fmt.Sprint("race ", i))
			winners[fmt.Sprintf("held %d, %d won", m.held, winner)]++
			done++
		}
		t.Logf("%d races in %v: %v", done, time.Since(began).Round(time.Millisecond), winners)
		if winners["held 0, 1 won"] == 0 || winners["held 1, 0 won"] == 0 || winners["held 0, 0 won"]+winners["held 1, 1 won"] > 0 {
			t.Errorf("winners: %v", winners)
		}
	})
}

// race sends a request twice and returns which of them was carried out.
func (m *meeting) race(t *testing.T, key string) int {
	t.Helper()
	m.arrived.Add(2)
	var effects sync.Map // number of the racer
	h := Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number := r.Context().Value(racerKey{}).(*racer).number
		effects.Store(number, true)
		fmt.Fprint(w, number)
	}), m, nil)
	var answers [2]string
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			ctx := context.WithValue(t.Context(), racerKey{}, &racer{number: i})
			for { // as a client does that is told to come again
				w := serve(h, post(key, nil).WithContext(ctx))
				if w.Code != http.StatusConflict {
					answers[i] = w.Header().Get(HeaderStatus) + " " + w.Body.String()
					break
				}
			}
			if m.held == 1-i {
				close(m.over)
			}
		})
	}
	all.Wait()
	for winner := range 2 {
		_, won := effects.Load(winner)
		_, both := effects.Load(1 - winner)
		if won && !both {
			if answers[winner] != fmt.Sprint("created ", winner) || answers[1-winner] != fmt.Sprint("replayed ", winner) {
				t.Errorf("%s: %q", key, answers)
			}
			return winner
		}
	}
	t.Errorf("%s: not carried out once: %q", key, answers)
	return -1
}
