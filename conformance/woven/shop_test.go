package woven

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/flux-go/flux/conformance/process"
	"github.com/flux-go/flux/internal/testservices"
	"github.com/flux-go/flux/internal/testservices/backing"
)

// shop is the program under test and what it knows.
type shop struct {
	binary         string
	address, calls string // on which it listens, for HTTP and for gRPC
	env            []string

	server    *process.Server
	postgres  *backing.Postgres
	redis     *backing.Server
	provider  *httptest.Server
	warehouse *grpc.Server
	asked     atomic.Int64 // requests to the provider, and calls of the warehouse
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{postgres: testservices.OwnPostgres(t), redis: testservices.OwnRedis(t)}
	s.provider = httptest.NewServer(http.HandlerFunc(s.provide))
	t.Cleanup(s.provider.Close)
	var err error
	if s.server, err = process.Start(t.TempDir(), "dev"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.server.Stop() })
	s.address, s.calls = freeAddress(t), freeAddress(t)
	s.env = append(
		os.Environ(), "SHOP_POSTGRES="+s.postgres.URL, "SHOP_REDIS="+s.redis.URL, "SHOP_PROVIDER="+s.provider.URL,
		"SHOP_WAREHOUSE="+s.keepWarehouse(t), "SHOP_ADDRESS="+s.address, "SHOP_CALLS="+s.calls, "SHOP_CURRENCY=EUR", "FLUX_SERVICE=shop",
	)
	s.build(t)
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

// keepWarehouse starts a warehouse, which has tea and what is broken, and returns its address.
func (s *shop) keepWarehouse(t *testing.T) string {
	t.Helper()
	items := health.NewServer()
	for _, item := range []string{"tea", "broken"} {
		items.SetServingStatus(item, grpc_health_v1.HealthCheckResponse_SERVING)
	}
	s.warehouse = grpc.NewServer(grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			s.asked.Add(1)
			return handle(ctx, req)
		}))
	grpc_health_v1.RegisterHealthServer(s.warehouse, items)
	l := listen(t)
	go s.warehouse.Serve(l)
	t.Cleanup(s.warehouse.Stop)
	return l.Addr().String()
}

// provide answers with a number, and fails for one item.
func (s *shop) provide(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	if strings.HasSuffix(r.URL.Path, "/broken") {
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, len(r.URL.Path))
}

// build builds the program as its author would. The cache of the go command is that of everybody.
func (s *shop) build(t *testing.T) {
	t.Helper()
	s.binary = filepath.Join(t.TempDir(), "shop")
	build := s.flux(t, "go", "build", "-o", s.binary, "./cmd/shop")
	build.Dir = "testdata/shop"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("flux go build: %v\n%s", err, out)
	}
}

func (s *shop) flux(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	flux, err := process.Binary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(flux, args...)
	command.Env = append(os.Environ(), "FLUX_URL="+s.server.URL)
	return command
}

// keepsVersion checks that the program was built with the version of a dependency that its go.mod says, not with ours.
func (s *shop) keepsVersion(t *testing.T, module, version string) {
	t.Helper()
	out, err := exec.Command("go", "version", "-m", s.binary).CombinedOutput()
	if err != nil {
		t.Fatalf("go version -m: %v\n%s", err, out)
	}
	_, after, _ := strings.Cut(string(out), module+"\t")
	lines := strings.SplitN(after, "\n", 3)
	if !strings.HasPrefix(lines[0], version) && (len(lines) < 2 || !strings.Contains(lines[1], "=>\t"+module+"\t"+version)) {
		t.Errorf("%s is not %s: %q", module, version, lines[:min(2, len(lines))])
	}
}

// run is one life of the program.
type run struct {
	command *exec.Cmd
	stderr  bytes.Buffer // to be read after ended
	ended   chan error   // how, once
}

// start starts the program and waits until it listens.
func (s *shop) start(t *testing.T, env ...string) *run {
	t.Helper()
	r := &run{command: exec.Command(s.binary), ended: make(chan error, 1)}
	r.command.Env = append(s.env, env...)
	r.command.Stderr = &r.stderr
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.command.Wait() }()
	for {
		conn, err := net.Dial("tcp", s.address)
		if err == nil {
			conn.Close()
			return r
		}
		select {
		case err := <-r.ended:
			t.Fatalf("the program ended: %v\n%s", err, &r.stderr)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends the program as a supervisor does.
func (r *run) stop(t *testing.T) {
	t.Helper()
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := <-r.ended; err != nil {
		t.Errorf("the program ended: %v", err)
	}
	t.Logf("the program wrote:\n%s", &r.stderr)
}

func (s *shop) order(t *testing.T, item string, header http.Header) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address+"/orders", strings.NewReader(`{"item":"`+item+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// check asks the program how it is with an item, as one call and as a stream, and returns how many pieces were ordered.
func (s *shop) check(t *testing.T, item string) (pieces int) {
	t.Helper()
	conn, err := grpc.NewClient(s.calls, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client, ask := grpc_health_v1.NewHealthClient(conn), &grpc_health_v1.HealthCheckRequest{Service: item}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "caller", "test")
	if answer, err := client.Check(ctx, ask); err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("check of %s: %v, %v", item, answer, err)
	}
	stream, err := client.Watch(ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	for {
		switch _, err := stream.Recv(); err {
		case nil:
			pieces++
		case io.EOF:
			return pieces
		default:
			t.Fatalf("watch of %s: %v", item, err)
		}
	}
}

// recorded exports the execution that began with a route and was answered with a status, 0 for a call, and returns the path of
// the file.
func (s *shop) recorded(t *testing.T, route string, status int) string {
	t.Helper()
	list, err := s.flux(t, "logs", "--json").Output()
	if err != nil {
		t.Fatalf("flux logs: %v", err)
	}
	for line := range strings.Lines(string(list)) {
		var row struct {
			ID         string `json:"id"`
			Route      string `json:"route"`
			HTTPStatus int    `json:"httpStatus"`
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if !strings.HasSuffix(row.Route, route) || row.HTTPStatus != status {
			continue
		}
		file := filepath.Join(t.TempDir(), "recorded.fluxrec")
		if out, err := s.flux(t, "export", row.ID, "-o", file).CombinedOutput(); err != nil {
			t.Fatalf("flux export: %v\n%s", err, out)
		}
		return file
	}
	t.Fatalf("no execution of %s with status %d in\n%s", route, status, list)
	return ""
}

// showsIn checks that the trace of an execution has some texts.
func (s *shop) showsIn(t *testing.T, file string, texts ...string) {
	t.Helper()
	out, err := s.flux(t, "trace", file).CombinedOutput()
	if err != nil {
		t.Fatalf("flux trace: %v\n%s", err, out)
	}
	for _, text := range texts {
		if !strings.Contains(string(out), text) {
			t.Errorf("%q is not in\n%s", text, out)
		}
	}
}

func (s *shop) stopServices() {
	s.postgres.Stop()
	s.redis.Stop()
	s.provider.Close()
	s.warehouse.Stop()
}

// replay replays a record in the program, and fails the test unless it does what is recorded.
func (s *shop) replay(t *testing.T, file string) {
	t.Helper()
	replay := s.flux(t, "replay", file, "--", s.binary)
	replay.Env = s.env
	if out, err := replay.CombinedOutput(); err != nil {
		t.Errorf("flux replay %s: %v\n%s", file, err, out)
	}
}
