// Package autopgx records what programs that do not import Flux do with pgx and its pools. flux go links it into those that have
// pgx among their modules; see package auto.
//
//	pgxpool.New, pgxpool.NewWithConfig   a pool whose connections are recorded
//	pgx.Connect, pgx.ConnectConfig       a connection that is recorded
//	sql.Open("pgx", …), stdlib.OpenDB    database/sql is recorded, in package auto, and its connections are not
//	stdlib.OpenDBFromPool                the connections of the pool are recorded, and database/sql is not
//
// So each statement is recorded once, whichever way it takes.
package autopgx

import (
	"context"
	"database/sql/driver"
	_ "unsafe" // for go:linkname

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flux-go/flux/execution/auto"
	"github.com/flux-go/flux/execution/fluxpgx"
)

// connectHook is a variable of the woven pgx: it sees the configuration of every connection that is made.
//
//go:linkname connectHook __flux_pgx_connect
var connectHook func(context.Context, *pgx.ConnConfig) *pgx.ConnConfig

// poolHook is a variable of the woven pgxpool: it sees the configuration of every pool.
//
//go:linkname poolHook __flux_pgx_pool
var poolHook func(*pgxpool.Config) *pgxpool.Config

// forSQLHook and poolConnectorHook are variables of the woven stdlib: one sees the contexts under which it connects, the other
// the connectors that take their connections from a pool.
//
//go:linkname forSQLHook __flux_pgx_for_sql
var forSQLHook func(context.Context) context.Context

//go:linkname poolConnectorHook __flux_pgx_pool_connector
var poolConnectorHook func(driver.Connector) driver.Connector

func init() {
	if auto.Recorder() == nil {
		return
	}
	connectHook, poolHook, forSQLHook = connect, pool, forSQL
	poolConnectorHook = func(c driver.Connector) driver.Connector { return auto.RecordedConnector{Connector: c} }
}

func connect(ctx context.Context, config *pgx.ConnConfig) *pgx.ConnConfig {
	if isForSQL(ctx) {
		return config
	}
	return fluxpgx.ConfigIn(ctx, auto.Recorder(), config)
}

func pool(config *pgxpool.Config) *pgxpool.Config { return fluxpgx.PoolConfig(auto.Recorder(), config) }

// forSQLKey marks contexts under which database/sql gets a connection.
type forSQLKey struct{}

func forSQL(ctx context.Context) context.Context { return context.WithValue(ctx, forSQLKey{}, true) }

func isForSQL(ctx context.Context) bool { return ctx.Value(forSQLKey{}) != nil }
