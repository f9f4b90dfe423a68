package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/flux-go/flux/internal/auth"
	"github.com/flux-go/flux/internal/capacitor"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/eventstore"
	"github.com/flux-go/flux/internal/keyvalue"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/native"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/recording"
	"github.com/flux-go/flux/internal/schedule"
	"github.com/flux-go/flux/internal/tracking"
)

// Server is a running server. Safe for concurrent use.
type Server struct {
	config  Config
	started time.Time
	engine  *engine.Engine
	logs    *messagelog.Logs
	native  *native.Service
	// capacitor serves clients of Flux Capacitor and Fluxzero.
	capacitor *capacitor.Handler
	metrics   *metrics
	listener  net.Listener
	http      *httpActor
	group     group

	stopping chan struct{} // closed when it is to end
	stop     sync.Once
	done     chan struct{} // closed when it has ended
	err      error         // valid once done is closed
}

// Start starts a server, which then runs until Shutdown, until ctx ends, or until a part of it breaks. It returns when the
// server takes requests. Errors are ErrBadConfig, auth.ErrBadTokens, those of the engine's Open, and those of listening.
func Start(ctx context.Context, c Config) (*Server, error) {
	c = c.WithDefaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Server{config: c, started: c.Clock(), stopping: make(chan struct{}), done: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	s.group.start()
	unlink := context.AfterFunc(ctx, s.interrupt)
	go func() {
		<-s.stopping
		unlink()
		s.end()
	}()
	return s, nil
}

// open makes everything that the server consists of, or leaves nothing behind.
func (s *Server) open(ctx context.Context) (err error) {
	var tokens *auth.Tokens
	if s.config.TokensFile != "" {
		if tokens, err = auth.Load(s.config.TokensFile); err != nil {
			return err
		}
	}
	// Listening comes first: it is what fails when a second server is started by mistake.
	if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", s.config.Listen); err != nil {
		return err
	}
	if s.engine, err = s.openEngine(); err != nil {
		return errors.Join(err, s.listener.Close())
	}
	s.wire(tokens)
	return nil
}

func (s *Server) openEngine() (*engine.Engine, error) {
	options := engine.Options{Clock: s.config.Clock, CacheBytes: s.config.CacheBytes, Logger: s.config.Logger}
	switch {
	case s.config.hooks.openStore != nil:
		return s.config.hooks.openStore(options)
	case s.config.Dir == "":
		return engine.OpenMemory(options)
	}
	e, err := engine.Open(s.config.Dir, options)
	if err != nil {
		return nil, err
	}
	// A backup that was cut off with its server holds on to files that the store does not need any more.
	for _, suffix := range []string{"", ".incomplete"} {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.config.Dir, backupDir+suffix)))
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// backupDir is the directory, in that of the store, of a backup while it is sent.
const backupDir = "backup"

// wire hands each part what it works with.
func (s *Server) wire(tokens *auth.Tokens) {
	c := s.config
	s.logs = messagelog.New(s.engine)
	positions := position.New(s.engine)
	followers := tracking.New(s.engine, s.logs, positions, tracking.Options{Clock: c.Clock, Logger: c.Logger})
	scheduler := schedule.NewScheduler(s.engine, schedule.Options{Clock: c.Clock, Logger: c.Logger})
	executions := recording.New(s.engine)
	s.metrics = newMetrics(s.engine)
	s.native = native.New(native.Options{
		Engine: s.engine, Logs: s.logs, Tracking: followers, Executions: executions, Tokens: tokens, MaxMessageBytes: c.MaxMessageBytes,
		BackupDir: filepath.Join(c.Dir, backupDir), Version: Version(), Observer: s.metrics, Logger: c.Logger, Clock: c.Clock,
	})
	s.metrics.register(consumerCollector{s.native})
	s.capacitor = capacitor.New(capacitor.Options{
		Engine: s.engine, Logs: s.logs, Positions: positions, Tracking: followers, Streams: eventstore.New(s.engine),
		Values: keyvalue.New(s.engine), Schedules: schedule.New(s.engine), Tokens: tokens, Version: Version(), Logger: c.Logger, Clock: c.Clock,
	})
	s.metrics.register(trafficCollector{s.capacitor})
	s.http = newHTTPActor(s.listener, s.handler(), s.native.EndStreams, c)
	janitor := &janitor{engine: s.engine, logs: s.logs, executions: executions, every: c.RetentionEvery, clock: c.Clock, logger: c.Logger}
	s.group = group{
		ended: s.interrupt,
		actors: []actor{
			untilCanceled("tracking", followers.Run),
			untilCanceled("scheduler", scheduler.Run),
			untilCanceled("janitor", janitor.run),
			untilCanceled("capacitor", s.capacitor.Run),
			s.http.actor(),
		},
	}
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL is where clients on this machine reach the server.
func (s *Server) URL() string {
	addr := s.listener.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(addr.Port))
}

// Done is closed when the server has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Wait waits until the server has ended and returns why: nil after Shutdown or the end of the context of Start.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}

// Shutdown ends the server: it takes no more calls, ends its streams so that clients connect again elsewhere, finishes what
// it has in hand, and closes the store. When ctx ends first, calls under way are cut off; what was committed stays so. It
// returns what Wait returns. Further calls do the same.
func (s *Server) Shutdown(ctx context.Context) error {
	s.interrupt()
	select {
	case <-s.done:
	case <-ctx.Done():
		s.http.cut()
		<-s.done
	}
	return s.err
}

func (s *Server) interrupt() { s.stop.Do(func() { close(s.stopping) }) }

// end stops everything in the order opposite to that of its start.
func (s *Server) end() {
	err := s.group.stop()
	s.err = errors.Join(err, s.engine.Close())
	close(s.done)
}
