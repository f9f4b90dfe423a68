package native

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/internal/auth"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/eventstore"
	"github.com/flux-go/flux/internal/keyvalue"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/recording"
	"github.com/flux-go/flux/internal/schedule"
	"github.com/flux-go/flux/internal/tracking"
)

// Options are what a Service works with. All are required unless a default is named.
type Options struct {
	Engine     *engine.Engine
	Logs       *messagelog.Logs
	Tracking   *tracking.Service
	Executions *recording.Executions
	// Tokens are those that callers need. Nil means that everybody may do everything.
	Tokens *auth.Tokens
	// MaxMessageBytes bounds one message of a stream, one request without stream, and the size of a block when unpacked.
	MaxMessageBytes int
	// BackupDir is where a backup is kept while it is sent.
	BackupDir string
	// Version is that of the program, for people.
	Version  string
	Observer Observer
	Logger   *slog.Logger
	Clock    func() time.Time
}

// Service serves the native API.
type Service struct {
	engine          *engine.Engine
	logs            *messagelog.Logs
	tracking        *tracking.Service
	executions      *recording.Executions
	tokens          *auth.Tokens
	maxMessageBytes int
	attendance      *attendance
	processes       *processes
	backupDir       string
	backingUp       sync.Mutex
	version         string
	started         time.Time
	observer        Observer
	logger          *slog.Logger
	clock           func() time.Time

	// closing ends when streams are to end.
	closing    context.Context
	endStreams context.CancelFunc
}

// New returns the service. It has nothing of its own to close, but EndStreams must be called once.
func New(o Options) *Service {
	s := &Service{
		engine:          o.Engine,
		logs:            o.Logs,
		tracking:        o.Tracking,
		executions:      o.Executions,
		tokens:          o.Tokens,
		maxMessageBytes: o.MaxMessageBytes,
		attendance:      newAttendance(),
		processes:       newProcesses(),
		backupDir:       o.BackupDir,
		version:         o.Version,
		started:         o.Clock(),
		observer:        o.Observer,
		logger:          o.Logger,
		clock:           o.Clock,
	}
	s.closing, s.endStreams = context.WithCancel(context.Background())
	return s
}

// EndStreams makes the service take no more calls and end its streams: they finish what they have in hand and tell their
// clients to connect again.
func (s *Service) EndStreams() { s.endStreams() }

// Handler serves all procedures of the schema, each at its path, and says of other paths that there is nothing.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	options := connect.WithHandlerOptions(append(codecs(),
		connect.WithRequestGate(s.gate),
		connect.WithInterceptors(interceptor{s}),
		connect.WithRecover(s.recovered), // within the interceptor, so that the call is counted and answered like others
		connect.WithReadMaxBytes(s.maxMessageBytes),
		connect.WithConditionalHandlerOptions(compression),
	)...)
	mux.Handle(fluxv1connect.NewLogServiceHandler(logService{s}, options))
	mux.Handle(fluxv1connect.NewTrackingServiceHandler(trackingService{s}, options))
	mux.Handle(fluxv1connect.NewEventStoreServiceHandler(eventStoreService{s, eventstore.New(s.engine)}, options))
	mux.Handle(fluxv1connect.NewKeyValueServiceHandler(keyValueService{s, keyvalue.New(s.engine)}, options))
	mux.Handle(fluxv1connect.NewScheduleServiceHandler(scheduleService{s, schedule.New(s.engine)}, options))
	mux.Handle(fluxv1connect.NewExecutionServiceHandler(executionService{s}, options))
	mux.Handle(fluxv1connect.NewAdminServiceHandler(adminService{s}, options))
	return s.guard(mux)
}

// compression says from which size on answers are compressed for clients that take gzip. What streams carry is compressed
// already, and gzip is slower than everything else that happens to it.
func compression(spec connect.Spec) []connect.HandlerOption {
	minBytes := 4 << 10
	if spec.StreamType != connect.StreamTypeUnary {
		minBytes = math.MaxInt
	}
	return []connect.HandlerOption{connect.WithCompressMinBytes(minBytes)}
}

// recovered makes an internal error of a panic in a handler.
func (s *Service) recovered(_ context.Context, spec connect.Spec, _ http.Header, cause any) error {
	return fmt.Errorf("panic in %s: %v\n%s", spec.Procedure, cause, debug.Stack())
}
