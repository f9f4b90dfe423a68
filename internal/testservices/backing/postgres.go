package backing

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Fast are settings of a PostgreSQL server whose data nobody needs after a crash: nothing is synced.
var Fast = []string{"fsync=off", "synchronous_commit=off", "full_page_writes=off"}

// Postgres is a PostgreSQL server with one user, flux, who needs no password, and an empty database of the same name.
type Postgres struct {
	Server

	// Socket is what clients on this machine connect to when they want the fastest way: a Unix socket in the directory.
	Socket string
}

// StartPostgres starts the PostgreSQL that is in the PATH, or the newest one where Debian keeps them, on dir, which is empty
// and has a path of at most 80 bytes. Settings have the form "name=value"; with none it syncs every commit. It returns
// ErrNotInstalled or ErrStart. A process of root runs it as the user postgres, for PostgreSQL refuses root.
func StartPostgres(ctx context.Context, dir string, settings ...string) (*Postgres, error) {
	initdb, err := postgresProgram("initdb")
	if err != nil {
		return nil, err
	}
	as, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	create := exec.CommandContext(ctx, initdb, "-D", data, "-U", "flux", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	create.SysProcAttr, create.Dir = as, dir
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: initdb: %w\n%s", ErrStart, err, out)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &Postgres{Socket: fmt.Sprintf("postgres:///flux?host=%s&port=%d&user=flux", dir, port)}
	p.URL = fmt.Sprintf("postgres://flux@127.0.0.1:%d/flux?sslmode=disable", port)
	p.dir, p.as, p.ping = dir, as, p.answers
	p.command = []string{filepath.Join(filepath.Dir(initdb), "postgres"), "-D", data, "-k", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(port)}
	for _, setting := range settings {
		p.command = append(p.command, "-c", setting)
	}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	if err := p.CreateDatabase(ctx, "flux"); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// CreateDatabase makes an empty database, which clients reach with its name in place of flux in the URL.
func (p *Postgres) CreateDatabase(ctx context.Context, name string) error {
	conn, err := p.maintenance(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return err
}

// maintenance connects to the database that is always there.
func (p *Postgres) maintenance(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(p.Socket)
	if err != nil {
		return nil, err
	}
	config.Database = "postgres"
	return pgx.ConnectConfig(ctx, config)
}

func (p *Postgres) answers(ctx context.Context) error {
	conn, err := p.maintenance(ctx)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// postgresProgram finds a program of PostgreSQL: in the PATH, or where Debian keeps those of its newest version.
func postgresProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.EvalSymlinks(path)
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL: %w", ErrNotInstalled)
	}
	return slices.MaxFunc(found, byVersion), nil
}

// byVersion compares paths with a version in them: shorter numbers are lower.
func byVersion(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// unprivileged gives dir to the user postgres when this process is run by root, and lets that user reach it.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w: no user postgres", ErrNotInstalled)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	for parent := filepath.Dir(dir); strings.HasPrefix(parent, os.TempDir()+"/"); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o711); err != nil {
			return nil, err
		}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, os.Chown(dir, uid, gid)
}
