package flux

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// App is one running instance of an application: its connection to a server, what it publishes and what it handles. It is
// safe for concurrent use.
type App struct {
	config   Config
	conn     *connection
	producer *producer
	log      *slog.Logger
	offline  bool // there is no server

	// An App closes in two steps: first Run has to end, which may need everything else.
	closing, ctx    context.Context
	stopRun, cancel context.CancelFunc
	following       sync.WaitGroup // what runs until ctx ends

	answers map[message.Type]*answers // by the type of their log
	values  *valueReader
	mu      struct {
		sync.Mutex
		running  chan struct{} // closed when Run has returned; nil while it does not run
		consumed []*Handlers
		problems []error // of registering handlers
	}
}

// Connect returns an App as soon as the server answers. It returns the problems of the configuration, or [ErrUnavailable]
// when the server was not reached within the configured time or before ctx ended. From then on an App comes back from lost
// connections by itself. Close it in the end.
func Connect(ctx context.Context, c Config) (*App, error) {
	c = c.WithDefaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if mode, _ := c.Recorder.Process(); mode == execution.ModeReplay {
		return newApp(c, true), nil
	}
	a := newApp(c, false)
	reaching, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	if err := a.conn.reach(reaching); err != nil {
		a.conn.close()
		return nil, err
	}
	return a, nil
}

// Offline returns an App without a server, for [ReplayMessage]: what records do not answer returns [ErrUnavailable], and
// [App.Run] gives no messages to handlers. [Connect] does the same in a process that flux replay started.
func Offline(c Config) (*App, error) {
	c = c.WithDefaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return newApp(c, true), nil
}

func newApp(c Config, offline bool) *App {
	a := &App{config: c, conn: dial(c), log: c.Logger, offline: offline}
	a.closing, a.stopRun = context.WithCancel(context.Background())
	a.ctx, a.cancel = context.WithCancel(context.Background())
	limits := producerLimits{windowBytes: c.WindowBytes, messageBytes: c.MaxMessageBytes}
	a.producer = newProducer(a.conn.publish, limits, func(err error) {
		a.log.Warn("publishing: connection lost", "error", err)
	})
	a.values = newValueReader(a)
	a.answers = map[message.Type]*answers{
		message.Result:      newAnswers(a, message.Result),
		message.WebResponse: newAnswers(a, message.WebResponse),
	}
	return a
}

// ClientID returns the id that tells this instance of the application apart.
func (a *App) ClientID() string { return a.config.ClientID }

// Run gives messages to the registered handlers until ctx ends or a consumer stops with an error. Then the handlers finish
// the batches they have in hand, within [Config.StopTimeout], and the positions are stored before Run returns. Its error
// is that of the consumer, never that of ctx.
//
// Run also returns when every consumer has come to its end, see [Consumer.Until]. An App without handlers just waits. All
// handlers have to be registered before; Run returns what was wrong with them. It can run again after it has returned.
func (a *App) Run(ctx context.Context) error {
	trackers, err := a.startRun()
	if err != nil {
		return err
	}
	defer a.endRun()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.closing, cancel)()
	if mode, of := a.config.Recorder.Process(); mode != execution.ModeOff {
		return a.runRecorded(ctx, of)
	}
	if len(trackers) == 0 || a.offline {
		<-ctx.Done()
		return nil
	}
	defer a.config.Recorder.Attend(record.TriggerMessage, a.findHandler)()
	errs := make(chan error, len(trackers))
	for _, t := range trackers {
		go func() { errs <- t.run(ctx) }()
	}
	for range trackers {
		if failed := <-errs; failed != nil {
			err = errors.Join(err, failed)
			cancel()
		}
	}
	return err
}

func (a *App) startRun() ([]*tracker, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing.Err() != nil {
		return nil, ErrClosed
	}
	if a.mu.running != nil {
		return nil, errors.New("flux: app is running already")
	}
	if err := errors.Join(a.mu.problems...); err != nil {
		return nil, err
	}
	a.mu.running = make(chan struct{})
	var trackers []*tracker
	for _, h := range a.mu.consumed {
		for _, table := range h.tables {
			trackers = append(trackers, newTracker(a, h, table))
		}
	}
	return trackers, nil
}

func (a *App) endRun() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.mu.running)
	a.mu.running = nil
}

// Close ends [App.Run], waits until everything that was published is on disk, and disconnects. When ctx ends before that,
// Close disconnects at once and returns why. A handler must not close its own App, for it would wait for itself.
func (a *App) Close(ctx context.Context) error {
	a.stopRun()
	a.mu.Lock()
	running := a.mu.running
	a.mu.Unlock()
	var err error
	if running != nil {
		err = waitFor(ctx, running)
	}
	err = errors.Join(err, a.producer.drain(ctx))
	a.cancel()
	a.producer.close()
	a.values.close()
	a.following.Wait()
	a.conn.close()
	return err
}

// problem notes what is wrong with a registration, for Run to return.
func (a *App) problem(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.problems = append(a.mu.problems, fmt.Errorf(format, args...))
}

// requestContext returns ctx with the deadline that requests have.
func (a *App) requestContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, a.config.RequestTimeout, errLate(a.config.RequestTimeout))
}

// errLate returns the error of a request that was not answered in time.
func errLate(timeout time.Duration) error {
	return fmt.Errorf("no answer within %s: %w", timeout.Round(time.Millisecond), context.DeadlineExceeded)
}
