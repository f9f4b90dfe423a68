package tracking

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// Options configure a service. The zero value is usable.
type Options struct {
	// Clock gives the time. Defaults to time.Now.
	Clock func() time.Time
	// Logger gets what goes wrong in the background. Defaults to silence.
	Logger *slog.Logger
}

// Service lets consumers follow logs. Safe for concurrent use.
type Service struct {
	engine    *engine.Engine
	logs      *messagelog.Logs
	positions *position.Positions
	options   Options
	watches   watches

	background background

	mu struct {
		sync.Mutex
		clusters map[clusterID]*cluster
		// connections has the trackers whose latest request came over each connection.
		connections map[any]map[*member]struct{}
		hubs        map[logID]*hub
	}
}

// New returns a service. Create it after logs and positions, and before the first transaction.
func New(e *engine.Engine, logs *messagelog.Logs, positions *position.Positions, o Options) *Service {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{engine: e, logs: logs, positions: positions, options: o}
	s.background.done = make(chan struct{})
	s.mu.clusters = make(map[clusterID]*cluster)
	s.mu.connections = make(map[any]map[*member]struct{})
	s.mu.hubs = make(map[logID]*hub)
	e.Subscribe(s.observe)
	return s
}

func (s *Service) now() time.Time { return s.options.Clock() }

// observe is the engine's subscriber.
func (s *Service) observe(events []any) {
	for _, event := range events {
		switch event := event.(type) {
		case messagelog.Appended:
			s.watches.note(event)
		case position.Changed:
			if c := s.lookup(clusterID{event.Namespace, event.Consumer}); c != nil {
				c.moved(event)
			}
		}
	}
	s.watches.wake()
}

// purgeInterval is how often trackers are looked at that may have taken too long.
const purgeInterval = 250 * time.Millisecond

// Run purges trackers that take too long, until ctx ends. Then it ends what the service has under way in the background, and
// waits for it. It may be called once.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(purgeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.purge(s.now())
		case <-ctx.Done():
			s.background.end()
			return nil
		}
	}
}

// background is what goes on after the call that began it.
type background struct {
	// done is closed when everything has to end.
	done chan struct{}
	mu   struct {
		sync.Mutex
		ended   bool
		running sync.WaitGroup
	}
}

// begin starts f, unless the service has ended.
func (b *background) begin(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.mu.ended {
		b.mu.running.Go(f)
	}
	return !b.mu.ended
}

// end waits until all has ended.
func (b *background) end() {
	b.mu.Lock()
	if !b.mu.ended {
		b.mu.ended = true
		close(b.done)
	}
	b.mu.Unlock()
	b.mu.running.Wait()
}

// StorePosition raises the position of a consumer in some segments and returns when that is on disk. Errors are
// ErrBadTracker and those of the engine.
func (s *Service) StorePosition(ctx context.Context, ns message.Namespace, c position.Consumer, segments message.SegmentRange, last message.Index) error {
	if err := segments.Validate(); err != nil {
		return badRequest(err)
	}
	return s.propose(ctx, ns, c, &position.Store{Consumer: c, Segments: segments, Last: last})
}

// ResetPosition moves a whole consumer to an index, in either direction, and returns when that is on disk. Its trackers go
// on from there. Errors are ErrBadTracker and those of the engine.
func (s *Service) ResetPosition(ctx context.Context, ns message.Namespace, c position.Consumer, last message.Index) error {
	return s.propose(ctx, ns, c, &position.Reset{Consumer: c, Last: last})
}

func (s *Service) propose(ctx context.Context, ns message.Namespace, c position.Consumer, op engine.Operation) error {
	if err := c.Validate(); err != nil {
		return badRequest(err)
	}
	return s.engine.Propose(ctx, &engine.Transaction{Namespace: ns, Operations: []engine.Operation{op}})
}
