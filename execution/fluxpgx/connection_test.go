package fluxpgx_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxpgx"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices"
)

// offline makes any attempt to reach something fail the test.
func offline(t *testing.T, config *pgxpool.Config) *pgxpool.Config {
	out := config.Copy()
	out.ConnConfig.DialFunc = func(_ context.Context, network, address string) (net.Conn, error) {
		t.Errorf("dialed %s %s", network, address)
		return nil, errors.New("offline")
	}
	out.ConnConfig.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		t.Errorf("looked up %s", host)
		return nil, errors.New("offline")
	}
	return out
}

func TestTypesThatAConnectionLoadsAreReplayed(t *testing.T) {
	t.Parallel()
	config := parse(t, testservices.Postgres(t))
	setup := open(t, config)
	if _, err := setup.Exec(t.Context(), "CREATE TYPE mood AS ENUM ('sad', 'ok')"); err != nil {
		t.Fatal(err)
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		types, err := conn.LoadTypes(ctx, []string{"mood", "_mood"})
		conn.TypeMap().RegisterTypes(types)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "SET search_path TO public")
		return err
	}
	p := program{"enum", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		var moods []string
		return &moods, db.QueryRow(ctx, "SELECT ARRAY['ok', $1]::mood[]", "sad").Scan(&moods)
	}}
	live := runLive(t, config, p)
	if live.err != nil {
		t.Fatal(live.err)
	}
	again, report := runReplay(t, offline(t, config), p, live.x)
	compare(t, live, again, report)
}

func TestConnectionsThatAreRefusedAreReplayed(t *testing.T) {
	t.Parallel()
	config := parse(t, "postgres://flux:secret@127.0.0.1:1/flux?sslmode=disable")
	p := program{"refused", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		_, err := db.Exec(ctx, "SELECT 1")
		var op *net.OpError
		return errors.As(err, &op), err
	}}
	live := runLive(t, config, p)
	if live.err == nil || live.value != true || live.x.Checkpoints[0].Error.Class != record.ClassRefused {
		t.Fatalf("live: %v, %+v", live.err, live.x.Checkpoints)
	}
	again, report := runReplay(t, offline(t, config), p, live.x)
	compare(t, live, again, report)
}

func TestUsersThatAreRefusedAreReplayed(t *testing.T) {
	t.Parallel()
	config := parse(t, testservices.Postgres(t))
	config.ConnConfig.User = "nobody"
	p := program{"user", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		_, err := db.Exec(ctx, "SELECT 1")
		return pgError(err)
	}}
	live := runLive(t, config, p)
	if e, ok := live.value.(pgconn.PgError); !ok || e.Code != "28000" {
		t.Fatalf("live: %#v, %v", live.value, live.err)
	}
	again, report := runReplay(t, offline(t, config), p, live.x)
	compare(t, live, again, report)
}

// TestReplayNeedsNoCertificate is G-128: a private authority when it was recorded, and none when it is replayed.
func TestReplayNeedsNoCertificate(t *testing.T) {
	t.Parallel()
	authority, address := startTLS(t, testservices.Postgres(t))
	config := parse(t, address+"?sslmode=verify-full")
	config.ConnConfig.TLSConfig.RootCAs = authority
	p := program{"tls", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		var n int
		return &n, db.QueryRow(ctx, "SELECT 1").Scan(&n)
	}}
	live := runLive(t, config, p)
	if live.err != nil {
		t.Fatal(live.err)
	}
	again, report := runReplay(t, offline(t, parse(t, address+"?sslmode=verify-full")), p, live.x)
	compare(t, live, again, report)

	rec, _ := recorder(t)
	ctx, x, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: live.x}, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := fluxpgx.Connect(ctx, rec, offline(t, parse(t, address+"?sslmode=verify-full")).ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var n int
	if err := conn.QueryRow(ctx, "SELECT 1").Scan(&n); err != nil || n != 1 {
		t.Errorf("plain connection: %d, %v", n, err)
	}
	x.End(nil)
}

// startTLS starts a proxy that speaks TLS for a server that does not.
func startTLS(t *testing.T, server string) (*x509.CertPool, string) {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	authority := x509.NewCertPool()
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	authority.AddCert(certificate)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	secure := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go proxyTLS(conn, secure, to.Host)
		}
	}()
	return authority, fmt.Sprintf("postgres://flux@%s%s", listener.Addr(), to.Path)
}

func proxyTLS(conn net.Conn, config *tls.Config, to string) {
	defer conn.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
		return
	}
	if _, err := conn.Write([]byte("S")); err != nil {
		return
	}
	secure := tls.Server(conn, config)
	go func() { _, _ = io.Copy(server, secure); server.Close() }()
	_, _ = io.Copy(secure, server)
}

func TestReplayStopsAtStatementsTheRecordDoesNotHave(t *testing.T) {
	t.Parallel()
	config := parse(t, testservices.Postgres(t))
	p := program{"insert", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		if err := table(ctx, db, "t_stop"); err != nil {
			return nil, err
		}
		_, err := db.Exec(ctx, "INSERT INTO t_stop VALUES ($1, $2)", 7, "seven")
		return nil, err
	}}
	live := runLive(t, config, p)
	for name, change := range map[string]func(ctx context.Context, db *pgxpool.Pool) error{
		"another value": func(ctx context.Context, db *pgxpool.Pool) error {
			_, err := db.Exec(ctx, "INSERT INTO t_stop VALUES ($1, $2)", 8, "eight")
			return err
		},
		"another statement": func(ctx context.Context, db *pgxpool.Pool) error {
			return db.QueryRow(ctx, "SELECT n FROM t_stop WHERE id = $1", 1).Scan(new(int))
		},
		"without arguments": func(ctx context.Context, db *pgxpool.Pool) error {
			_, err := db.Exec(ctx, "DELETE FROM t_stop")
			return err
		},
		"in a batch": func(ctx context.Context, db *pgxpool.Pool) error {
			b := &pgx.Batch{}
			b.Queue("DELETE FROM t_stop")
			return db.SendBatch(ctx, b).Close()
		},
		"a copy": func(ctx context.Context, db *pgxpool.Pool) error {
			return db.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
				_, err := c.Conn().PgConn().CopyFrom(ctx, new(bytesOf), "COPY t_stop FROM STDIN")
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := program{name, func(ctx context.Context, db *pgxpool.Pool) (any, error) {
				if err := table(ctx, db, "t_stop"); err != nil {
					return nil, err
				}
				if err := change(ctx, db); !errors.Is(err, execution.ErrStopped) {
					t.Errorf("error %v", err)
				}
				err := db.Ping(ctx)
				_, again := db.Exec(ctx, "INSERT INTO t_stop VALUES ($1, $2)", 7, "seven")
				if !errors.Is(again, execution.ErrStopped) {
					t.Errorf("after a stop: %v", again)
				}
				return nil, err
			}}
			_, report := runReplay(t, offline(t, config), p, live.x)
			if report.Outcome != execution.OutcomeStopped {
				t.Errorf("%v", report)
			}
		})
	}
}

// bytesOf is an empty reader.
type bytesOf struct{}

func (*bytesOf) Read([]byte) (int, error) { return 0, io.EOF }

func TestRecordingHasNoCredentials(t *testing.T) {
	t.Parallel()
	config := parse(t, "postgres://flux:secret@127.0.0.1:1/shop?sslmode=disable")
	live := runLive(t, config, program{"refused", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		return nil, db.Ping(ctx)
	}})
	if got, want := live.x.Checkpoints[0].Target, "127.0.0.1:1/shop"; got != want {
		t.Errorf("target %q, want %q", got, want)
	}
}

func TestHooksOfTheConfigurationAreKept(t *testing.T) {
	t.Parallel()
	config := parse(t, testservices.Postgres(t))
	var calls []string
	config.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { calls = append(calls, "before connect"); return nil }
	config.AfterConnect = func(context.Context, *pgx.Conn) error { calls = append(calls, "after connect"); return nil }
	config.PrepareConn = func(context.Context, *pgx.Conn) (bool, error) { calls = append(calls, "prepare"); return true, nil }
	config.AfterRelease = func(*pgx.Conn) bool { calls = append(calls, "release"); return false }
	config.ConnConfig.Tracer = queryTracer{&calls}
	live := runLive(t, config, program{"hooks", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		_, err := db.Exec(ctx, "SELECT 1")
		db.Close()
		return nil, err
	}})
	if got, want := fmt.Sprint(calls), "[before connect after connect prepare query release]"; live.err != nil || got != want {
		t.Errorf("calls %s, want %s; %v", got, want, live.err)
	}
}

type queryTracer struct{ calls *[]string }

func (q queryTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	*q.calls = append(*q.calls, "query")
	return ctx
}

func (queryTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
