package backing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
)

// StartMariaDB starts the MariaDB that is in the PATH, or where Debian keeps it, on dir, which is empty. Its URL is a data
// source name of Go's driver, for an empty database. It knows no users and asks for no passwords, and syncs nothing. It
// returns ErrNotInstalled or ErrStart.
func StartMariaDB(ctx context.Context, dir string) (*Server, error) {
	program, err := mariadbProgram()
	if err != nil {
		return nil, err
	}
	as, err := user.Current()
	if err != nil {
		return nil, err
	}
	// A database is a directory. Without tables of privileges, which take seconds to make, a directory is all there must be.
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, "flux"), 0o700); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s := &Server{
		URL: "flux@tcp(" + address + ")/flux", dir: dir, signal: "TERM", // it does not listen to INT
		ping: func(ctx context.Context) error { return pingMariaDB(ctx, address) },
	}
	s.command = []string{
		program, "--no-defaults", "--user=" + as.Username, "--datadir=" + data, "--skip-grant-tables",
		"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(port), "--socket=" + filepath.Join(dir, "socket"), "--pid-file=" + filepath.Join(dir, "pid"),
		"--innodb-flush-method=nosync", "--innodb-use-native-aio=0", "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M",
		"--skip-log-bin", "--skip-name-resolve", "--character-set-server=utf8mb4",
	}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// mariadbProgram finds the server, which Debian keeps outside the PATH of most users.
func mariadbProgram() (string, error) {
	for _, name := range []string{"mariadbd", "/usr/sbin/mariadbd"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("MariaDB: %w", ErrNotInstalled)
}

// pingMariaDB returns nil when a server at the address greets: with a packet that begins with the version of the protocol.
func pingMariaDB(ctx context.Context, address string) error {
	const header, version = 4, 10
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	var greeting [header + 1]byte
	if _, err := io.ReadFull(conn, greeting[:]); err != nil {
		return err
	}
	if greeting[header] != version {
		return errors.New("not the greeting of MariaDB")
	}
	return nil
}
