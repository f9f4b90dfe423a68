// Package fluxpgx records PostgreSQL through pgx and pgxpool, and replays it without a server.
//
//	config, err := pgxpool.ParseConfig(url)
//	pool, err := pgxpool.NewWithConfig(ctx, fluxpgx.PoolConfig(rec, config))
//
// The pool, its connections, and all code that uses them are those of pgx, unchanged.
//
// # How it works
//
// Tracers of pgx can watch, but not answer, so the recording is done on the wire: a connection is wrapped where its messages are
// clear, after TLS, and both directions are read as they pass. Tracers only say which execution a message belongs to.
//
//	pgx ──Parse, Bind, Execute, Query──►┐ wire ├──► PostgreSQL       recorded: passed on as it is, read on the way
//	    ◄──DataRow, CommandComplete─────┘      ├──► nothing          replayed: answered from the record
//
// An operation is a statement that is executed: each of a batch is one, and a COPY with its data. It is known by its decoded
// content, the text and the bound values, never by the name of a prepared statement or of a portal: those depend on what a
// connection did before. That a statement is prepared and described is recorded when it happens, as an operation without effect.
//
// Values are recorded as the text of PostgreSQL when the bytes can be had back from it, else as bytes. Replay encodes them in the
// format that is asked for.
//
// # Invariants
//
//	P1  Messages pass unchanged, whatever becomes of the recording.
//	P2  A connection is either real or of a replay, for all of its life. Pools keep the two apart.
//	P3  In a replay nothing is resolved, dialed, or sent.
//	P4  Statements between BEGIN and COMMIT, and those of a batch that writes, are one transaction of the record.
//
// # Limits
//
// A replay of a plain connection that asks for TLS needs [Connect], or a configuration whose sslmode is prefer or disable: [Config]
// cannot know for which execution pgx is going to connect. Cancel requests go to the server and are not recorded; the outcome they
// bring is. A COPY FROM STDIN in a resume is refused when the record has one that was completed: its data is not known before it is
// sent. Portals that are executed in several steps, function calls, and replication are passed on and not recorded. What is
// done with a *pgconn.PgConn belongs to the execution that acquired the connection, or did the last statement on it.
package fluxpgx
