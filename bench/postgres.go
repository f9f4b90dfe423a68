package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flux-go/flux/internal/testservices/backing"
)

// postgres is a PostgreSQL server on a directory of its own, with its default settings: every commit is synced. It is
// reached through a socket, which is the fastest way there is.
type postgres struct {
	*pgxpool.Pool
	server *backing.Postgres
}

func startPostgres(ctx context.Context, dir string, connections int) (*postgres, error) {
	server, err := backing.StartPostgres(ctx, dir)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.New(ctx, fmt.Sprintf("%s&pool_max_conns=%d", server.Socket, connections))
	if err != nil {
		server.Stop()
		return nil, err
	}
	return &postgres{Pool: pool, server: server}, nil
}

func (p *postgres) stop() {
	p.Close()
	p.server.Stop()
}
