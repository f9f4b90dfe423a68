package execution

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/server"
)

// slowServer is a real server behind a door that can be shut.
type slowServer struct {
	*remote
	url  string
	shut atomic.Bool
	// knocks has a value for each request that found the door shut.
	knocks chan struct{}
}

func newSlowServer(t *testing.T, c server.Config) *slowServer {
	t.Helper()
	c.Listen = "127.0.0.1:0"
	real, err := server.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := real.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	to, err := url.Parse(real.URL())
	if err != nil {
		t.Fatal(err)
	}
	s := &slowServer{knocks: make(chan struct{}, 100)}
	behind := httputil.NewSingleHostReverseProxy(to)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.shut.Load() {
			s.knocks <- struct{}{}
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	s.url, s.remote = door.URL, newRemote(door.URL, "", "public")
	t.Cleanup(s.remote.close)
	return s
}

// list returns the ids of all executions, those that started last first.
func (s *slowServer) ids(t *testing.T) (ids []string) {
	t.Helper()
	err := s.remote.list(t.Context(), &fluxv1.ExecutionFilter{}, func(x *fluxv1.ExecutionSummary) bool {
		ids = append(ids, x.GetId())
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// shelf is an outbox in memory whose batches have up to two executions.
type shelf struct {
	mu     sync.Mutex
	change sync.Cond
	all    [][]byte
	taken  int
	closed bool
}

func newShelf(all ...[]byte) *shelf {
	s := &shelf{all: all}
	s.change.L = &s.mu
	return s
}

func (s *shelf) put(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, data)
	s.change.Broadcast()
}

func (s *shelf) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.change.Broadcast()
}

func (s *shelf) Next(ctx context.Context) ([][]byte, error) {
	defer context.AfterFunc(ctx, s.change.Broadcast)()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.all) == 0 {
		switch {
		case s.closed:
			return nil, io.EOF
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		s.change.Wait()
	}
	s.taken = min(2, len(s.all))
	return s.all[:s.taken], nil
}

func (s *shelf) Acknowledge() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = s.all[s.taken:]
	return nil
}

func uploaded(id byte) *record.Execution {
	return &record.Execution{
		ID: record.ID{0: id, 6: 0x40, 8: 0x80}, Service: "shop", Start: time.UnixMilli(1_756_900_800_000 + int64(id)).UTC(),
		Trigger: record.Trigger{Kind: record.TriggerJob}, Status: record.StatusOK,
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestUploaderOutlastsTheServer shuts the server's door before and between uploads (G-193).
func TestUploaderOutlastsTheServer(t *testing.T) {
	t.Parallel()
	s := newSlowServer(t, server.Config{})
	s.shut.Store(true)
	from := newShelf()
	u := newUploader(s.remote, from, quiet())
	ended := make(chan error, 1)
	go func() { ended <- u.run(t.Context()) }()
	for i := range byte(3) {
		from.put(record.Append(nil, uploaded(i+1)))
	}
	<-s.knocks
	<-s.knocks
	if !u.failing.Load() || u.stored.Load() != 0 {
		t.Error("it thinks that it has uploaded something")
	}
	s.shut.Store(false)
	from.put(record.Append(nil, uploaded(4)))
	from.put(record.Append(nil, uploaded(4))) // once more changes nothing
	from.close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if ids := s.ids(t); len(ids) != 4 || ids[0] != uploaded(4).ID.String() || u.stored.Load() != 5 || u.failing.Load() {
		t.Errorf("the server has %v, stored %d", ids, u.stored.Load())
	}
}

func TestUploaderLeavesOutWhatIsRefused(t *testing.T) {
	t.Parallel()
	s := newSlowServer(t, server.Config{MaxMessageBytes: 64 << 10})
	large := uploaded(2)
	body := make([]byte, 100<<10)
	rand.NewChaCha8([32]byte{1}).Read(body)
	large.Input.Data = body
	var all [][]byte
	for _, x := range []*record.Execution{uploaded(1), large, uploaded(3)} {
		all = append(all, record.Append(nil, x))
	}
	from := newShelf(append(all, []byte("nonsense"), record.Append(nil, uploaded(5)))...)
	from.close()
	var log bytes.Buffer
	u := newUploader(s.remote, from, slog.New(slog.NewTextHandler(&log, nil)))
	if err := u.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ids := s.ids(t); len(ids) != 3 || u.stored.Load() != 3 || u.refused.Load() != 2 || bytes.Count(log.Bytes(), []byte("refused")) != 2 {
		t.Errorf("the server has %v, stored %d, refused %d\n%s", ids, u.stored.Load(), u.refused.Load(), &log)
	}
}

func TestUploaderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSlowServer(t, server.Config{})
	s.shut.Store(true)
	for _, from := range []*shelf{newShelf(), newShelf(record.Append(nil, uploaded(1)))} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- newUploader(s.remote, from, quiet()).run(ctx) }()
		if len(from.all) > 0 {
			<-s.knocks
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	}
}

func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	sizes := func(sizes ...int) (batch [][]byte) {
		for _, size := range sizes {
			batch = append(batch, make([]byte, size))
		}
		return batch
	}
	for want, batch := range map[int][][]byte{
		0:           nil,
		1:           sizes(2*uploadBytes, 1),
		2:           sizes(uploadBytes-1, 1, 1),
		3:           sizes(1, 1, 1, uploadBytes),
		uploadCount: sizes(make([]int, uploadCount+1)...),
	} {
		if got := requestLen(batch); got != want {
			t.Errorf("a request has %d executions, want %d", got, want)
		}
	}
}

func TestRemoteGetsWhatWasRecorded(t *testing.T) {
	t.Parallel()
	s := newSlowServer(t, server.Config{})
	boot, x := uploaded(1), uploaded(2)
	x.Boot = boot.ID
	if _, err := s.remote.record(t.Context(), [][]byte{record.Append(nil, boot), record.Append(nil, x)}, nil); err != nil {
		t.Fatal(err)
	}
	bundle, err := s.get(t.Context(), x.ID.Short())
	if err != nil || bundle.Execution.ID != x.ID || bundle.Boot == nil || bundle.Boot.ID != boot.ID {
		t.Errorf("got %+v (%v)", bundle, err)
	}
	if _, err := s.get(t.Context(), "ffffffff"); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown id: %v, want ErrUnknown", err)
	}
}

// TestLeaseIsKeptUntilItIsLost has two holders: the second is refused until the first has lost its lease (G-200).
func TestLeaseIsKeptUntilItIsLost(t *testing.T) {
	t.Parallel()
	s := newSlowServer(t, server.Config{})
	x := uploaded(1)
	if _, err := s.remote.record(t.Context(), [][]byte{record.Append(nil, x)}, nil); err != nil {
		t.Fatal(err)
	}
	first, err := s.acquire(t.Context(), x.ID, "first", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.acquire(t.Context(), x.ID, "second", time.Second); !errors.Is(err, ErrLeased) {
		t.Fatalf("the second holder gets %v, want ErrLeased", err)
	}
	held, stop := first.keep(t.Context())
	if _, err := s.remote.record(t.Context(), [][]byte{record.Append(nil, uploaded(2))}, first); err != nil {
		t.Errorf("recording with the lease: %v", err)
	}
	if err := first.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := s.acquire(t.Context(), x.ID, "second", time.Second)
	if err != nil || second.token <= first.token {
		t.Fatalf("lease %+v (%v) after %+v", second, err, first)
	}
	<-held.Done()
	stop()
	if err := context.Cause(held); !errors.Is(err, ErrLeased) {
		t.Errorf("the first holder learns %v, want ErrLeased", err)
	}
	if _, err := s.remote.record(t.Context(), [][]byte{record.Append(nil, uploaded(3))}, first); !errors.Is(err, ErrLeased) {
		t.Errorf("recording with a lease that was lost: %v, want ErrLeased", err)
	}
	held, stop = second.keep(t.Context())
	stop()
	if err := context.Cause(held); !errors.Is(err, context.Canceled) {
		t.Errorf("a lease that is not needed any more ends with %v", err)
	}
}
