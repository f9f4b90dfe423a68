package fluxpgx

import (
	"context"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flux-go/flux/execution"
)

// Config returns a copy of a configuration whose connections are recorded and replayed. Its tracer, dialer and hooks are kept.
// With a nil Recorder it is the configuration itself, as it is when it was made by Config.
func Config(rec *execution.Recorder, config *pgx.ConnConfig) *pgx.ConnConfig {
	if rec == nil || isInstrumented(config) {
		return config
	}
	return newAdapter(rec, config).instrument(config)
}

// PoolConfig is Config for pools.
func PoolConfig(rec *execution.Recorder, config *pgxpool.Config) *pgxpool.Config {
	if rec == nil || isInstrumented(config.ConnConfig) {
		return config
	}
	a := newAdapter(rec, config.ConnConfig)
	out := config.Copy()
	out.ConnConfig = a.instrument(config.ConnConfig)
	out.BeforeConnect = a.beforeConnect(config.BeforeConnect)
	out.AfterConnect = a.afterConnect(config.AfterConnect)
	out.PrepareConn = a.prepareConn(config)
	return out
}

func isInstrumented(config *pgx.ConnConfig) bool {
	tracers := []pgx.QueryTracer{config.Tracer}
	if several, ok := config.Tracer.(*multitracer.Tracer); ok {
		tracers = several.QueryTracers
	}
	return slices.ContainsFunc(tracers, func(t pgx.QueryTracer) bool { _, ok := t.(tracer); return ok })
}

// Connect is pgx.ConnectConfig with the configuration of ConfigIn.
func Connect(ctx context.Context, rec *execution.Recorder, config *pgx.ConnConfig) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, ConfigIn(ctx, rec, config))
}

// ConfigIn is Config for a connection that is going to be made under the context. In a replay it also leaves out what only a
// server can answer: TLS and authentication. The given configuration stays as it is.
func ConfigIn(ctx context.Context, rec *execution.Recorder, config *pgx.ConnConfig) *pgx.ConnConfig {
	config = Config(rec, config)
	if rec.ExecutionIn(ctx).Mode() == execution.ModeReplay {
		config = config.Copy()
		withoutServer(config)
	}
	return config
}

// replaysIn says that operations under the context are answered from a record.
func (a *adapter) replaysIn(ctx context.Context) bool {
	return a.rec.ExecutionIn(ctx).Mode() == execution.ModeReplay
}

// withoutServer removes from a configuration what a replay cannot do. Versions of pgx before v5.12 have not all of the later fields.
func withoutServer(config *pgx.ConnConfig) {
	config.TLSConfig, config.Fallbacks, config.ValidateConnect = nil, nil, nil
	fields := reflect.ValueOf(&config.Config).Elem()
	for _, name := range []string{"RequireAuth", "ChannelBinding", "SSLCertMode", "SSLNegotiation"} {
		if field := fields.FieldByName(name); field.IsValid() {
			field.SetZero()
		}
	}
}

// instrument returns the configuration with the hooks of the adapter.
func (a *adapter) instrument(config *pgx.ConnConfig) *pgx.ConnConfig {
	out := config.Copy()
	dial, lookup, after := config.DialFunc, config.LookupFunc, config.AfterNetConnect
	out.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if a.replaysIn(ctx) || address == virtualAddress.String() {
			return a.dialVirtual(ctx)
		}
		conn, err := dial(ctx, network, address)
		attemptOf(ctx).failed(err)
		return conn, err
	}
	out.LookupFunc = func(ctx context.Context, host string) ([]string, error) {
		if a.replaysIn(ctx) {
			return []string{host}, nil
		}
		addresses, err := lookup(ctx, host)
		attemptOf(ctx).failed(err)
		return addresses, err
	}
	out.AfterNetConnect = func(ctx context.Context, config *pgconn.Config, conn net.Conn) (net.Conn, error) {
		if w, ok := conn.(*wire); ok {
			return w, nil
		}
		if after != nil {
			var err error
			if conn, err = after(ctx, config, conn); err != nil {
				return conn, err
			}
		}
		return newWire(ctx, a, conn), nil
	}
	out.Tracer = tracer{a}
	if config.Tracer != nil {
		out.Tracer = multitracer.New(tracer{a}, config.Tracer)
	}
	return out
}

func (a *adapter) beforeConnect(next func(context.Context, *pgx.ConnConfig) error) func(context.Context, *pgx.ConnConfig) error {
	return func(ctx context.Context, config *pgx.ConnConfig) error {
		if a.replaysIn(ctx) {
			withoutServer(config)
			return nil
		}
		if next == nil {
			return nil
		}
		return next(ctx, config)
	}
}

// afterConnect makes what is done to set a connection up part of the connection, not of the execution that happened to need it.
func (a *adapter) afterConnect(next func(context.Context, *pgx.Conn) error) func(context.Context, *pgx.Conn) error {
	if next == nil {
		return nil
	}
	return func(ctx context.Context, conn *pgx.Conn) error {
		return next(context.WithValue(ctx, setupKey{}, true), conn)
	}
}

// prepareConn keeps connections of replays apart from real ones, and tells a connection which execution acquired it. In a replay
// each acquisition connects anew, so that an attempt that failed when it was recorded comes in its turn.
func (a *adapter) prepareConn(config *pgxpool.Config) func(context.Context, *pgx.Conn) (bool, error) {
	next := config.PrepareConn
	//lint:ignore SA1019 programs still set it
	if before := config.BeforeAcquire; next == nil && before != nil {
		next = func(ctx context.Context, conn *pgx.Conn) (bool, error) { return before(ctx, conn), nil }
	}
	return func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		w := wireOf(conn)
		if w != nil && (w.virtual != a.replaysIn(ctx) || w.virtual && w.used) {
			return false, nil
		}
		w.bind(ctx)
		if next == nil {
			return true, nil
		}
		return next(ctx, conn)
	}
}

// targetOf returns where a configuration connects to, without credentials.
func targetOf(config *pgx.ConnConfig) string {
	host := config.Host
	if !strings.HasPrefix(host, "/") {
		host = net.JoinHostPort(host, strconv.Itoa(int(config.Port)))
	}
	if config.Database == "" {
		return host
	}
	return host + "/" + config.Database
}
