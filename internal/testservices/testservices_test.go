package testservices

import (
	"bufio"
	"context"
	"database/sql"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
)

func TestPostgresDatabasesAreEmptyAndApart(t *testing.T) {
	t.Parallel()
	one, two := Postgres(t), Postgres(t)
	query(t, one, "CREATE TABLE orders (id int)")
	if got := query(t, one, "SELECT count(*) FROM pg_tables WHERE tablename = 'orders'"); got != int64(1) {
		t.Errorf("tables in the first database: %v", got)
	}
	if got := query(t, two, "SELECT count(*) FROM pg_tables WHERE tablename = 'orders'"); got != int64(0) {
		t.Errorf("tables in the second database: %v", got)
	}
}

func TestPostgresStopsAndComesBackWithItsData(t *testing.T) {
	t.Parallel()
	server := OwnPostgres(t)
	query(t, server.URL, "CREATE TABLE orders AS SELECT 7 AS id")
	server.Stop()
	if conn, err := pgx.Connect(t.Context(), server.URL); err == nil {
		conn.Close(t.Context())
		t.Fatal("a stopped server accepts connections")
	}
	require(t, server.Start(t.Context()))
	if got := query(t, server.URL, "SELECT id FROM orders"); got != int32(7) {
		t.Errorf("id = %v", got)
	}
	if got := query(t, server.Socket, "SELECT id FROM orders"); got != int32(7) {
		t.Errorf("over the socket: id = %v", got)
	}
}

func TestRedisStopsAndComesBackWithItsData(t *testing.T) {
	t.Parallel()
	server := OwnRedis(t)
	redis(t, server.URL, "SET greeting hello")
	server.Stop()
	if conn, err := net.Dial("tcp", address(t, server.URL)); err == nil {
		conn.Close()
		t.Fatal("a stopped server accepts connections")
	}
	require(t, server.Start(t.Context()))
	if got := redis(t, server.URL, "STRLEN greeting"); got != ":5" {
		t.Errorf("STRLEN greeting = %q", got)
	}
}

func TestMariaDBStopsAndComesBackWithItsData(t *testing.T) {
	t.Parallel()
	server := OwnMariaDB(t)
	db, err := sql.Open("mysql", server.URL)
	require(t, err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE orders AS SELECT 7 AS id")
	require(t, err)
	server.Stop()
	if err := db.Ping(); err == nil {
		t.Fatal("a stopped server accepts connections")
	}
	require(t, server.Start(t.Context()))
	var id int
	if err := db.QueryRow("SELECT id FROM orders").Scan(&id); err != nil || id != 7 {
		t.Errorf("id = %d, %v", id, err)
	}
}

func TestRedisDatabasesAreApart(t *testing.T) {
	t.Parallel()
	one, two := Redis(t), Redis(t)
	if one == two {
		t.Fatalf("both are %s", one)
	}
	redis(t, one, "SET greeting hello")
	if got := redis(t, two, "EXISTS greeting"); got != ":0" {
		t.Errorf("EXISTS greeting in the second database = %q", got)
	}
}

// TestServersDoNotOutliveAPanic runs this binary with a test that starts all servers, tells where they are, and panics.
func TestServersDoNotOutliveAPanic(t *testing.T) {
	t.Parallel()
	if os.Getenv("FLUX_TEST_PANIC") != "" {
		os.Stdout.WriteString("servers: " + Postgres(t) + " " + Redis(t) + " mysql://" + mariadbAddress(t, OwnMariaDB(t).URL) + "\n")
		panic("as told")
	}
	Postgres(t) // skips where a server is missing
	Redis(t)
	OwnMariaDB(t)
	child := exec.Command(os.Args[0], "-test.run=^TestServersDoNotOutliveAPanic$")
	child.Env = append(os.Environ(), "FLUX_TEST_PANIC=1")
	out, err := child.Output()
	if err == nil {
		t.Fatal("the panic is gone")
	}
	_, line, _ := strings.Cut(string(out), "servers: ")
	line, _, _ = strings.Cut(line, "\n")
	urls := strings.Fields(line)
	if len(urls) != 3 {
		t.Fatalf("servers: %q in %q", urls, out)
	}
	for _, url := range urls {
		awaitGone(t, address(t, url))
	}
}

// awaitGone waits until nobody accepts connections at the address any more; the time limit of the test is the only one.
func awaitGone(t *testing.T, address string) {
	t.Helper()
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
		<-time.After(10 * time.Millisecond)
	}
}

func query(t *testing.T, url, sql string) (value any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if !strings.HasPrefix(sql, "SELECT") {
		_, err = conn.Exec(t.Context(), sql)
	} else {
		err = conn.QueryRow(t.Context(), sql).Scan(&value)
	}
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// redis sends a command in the form that people type, and returns the first line of the answer.
func redis(t *testing.T, server, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address(t, server))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, database, _ := strings.Cut(strings.TrimPrefix(server, "redis://"), "/")
	if _, err := conn.Write([]byte("SELECT " + database + "\r\n" + command + "\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	if !lines.Scan() || lines.Text() != "+OK" || !lines.Scan() {
		t.Fatalf("%s: %q, %v", command, lines.Text(), lines.Err())
	}
	return lines.Text()
}

func mariadbAddress(t *testing.T, name string) string {
	t.Helper()
	config, err := mysql.ParseDSN(name)
	if err != nil {
		t.Fatal(err)
	}
	return config.Addr
}

func address(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
