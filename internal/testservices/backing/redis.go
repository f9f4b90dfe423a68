package backing

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
)

// redisDatabases is how many databases a Redis server has, so that every test of a binary can have one.
const redisDatabases = 4096

// StartRedis starts the Redis that is in the PATH on dir. Its URL names database 0 of 4096. It keeps what it has when it
// stops, and loads that when it starts again. It returns ErrNotInstalled or ErrStart.
func StartRedis(ctx context.Context, dir string) (*Server, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server: %w", ErrNotInstalled)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s := &Server{URL: "redis://" + address + "/0", dir: dir, ping: func(ctx context.Context) error { return pingRedis(ctx, address) }}
	s.command = []string{
		program, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
		"--databases", strconv.Itoa(redisDatabases), "--save", "3600 1",
	}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// pingRedis returns nil when a Redis at the address has loaded its data and answers.
func pingRedis(ctx context.Context, address string) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if line = strings.TrimSpace(line); line != "+PONG" {
		return fmt.Errorf("answer to PING: %s", line)
	}
	return nil
}
