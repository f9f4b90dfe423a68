package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// errNoPostgres is returned where PostgreSQL is not installed.
var errNoPostgres = errors.New("PostgreSQL is not installed")

// postgres is a PostgreSQL server on a directory of its own, with its default settings: every commit is synced.
type postgres struct {
	*pgxpool.Pool
	server *exec.Cmd
}

// startPostgres runs the server that Debian's package, or the PATH, has. It reaches it through a socket in dir, which is the
// fastest way there is.
func startPostgres(ctx context.Context, dir string, connections int) (*postgres, error) {
	initdb, err := postgresProgram("initdb")
	if err != nil {
		return nil, err
	}
	as, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	create := exec.CommandContext(ctx, initdb, "-D", data, "-U", "bench", "-A", "trust")
	create.SysProcAttr, create.Dir = as, dir
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	p := &postgres{server: exec.Command(filepath.Join(filepath.Dir(initdb), "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=")}
	p.server.SysProcAttr, p.server.Dir = as, dir
	if err := p.server.Start(); err != nil {
		return nil, err
	}
	if err := p.connect(ctx, dir, connections); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func (p *postgres) connect(ctx context.Context, dir string, connections int) (err error) {
	url := fmt.Sprintf("host=%s user=bench dbname=postgres pool_max_conns=%d", dir, connections)
	if p.Pool, err = pgxpool.New(ctx, url); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := p.Ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		}
	}
}

func (p *postgres) stop() error {
	if p.Pool != nil {
		p.Close()
	}
	if err := p.server.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return p.server.Wait()
}

// postgresProgram finds a program of PostgreSQL: in the PATH, or where Debian keeps those of its newest version.
func postgresProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", errNoPostgres
	}
	return found[len(found)-1], nil
}

// unprivileged gives dir to the user postgres when this process is run by root, for whom PostgreSQL does not run.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w: no user postgres", errNoPostgres)
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
