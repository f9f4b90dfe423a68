package woven

import (
	"bytes"
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

	"github.com/flux-go/flux/conformance/process"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/internal/testservices"
	"github.com/flux-go/flux/internal/testservices/backing"
)

// shop is the program under test and what it knows.
type shop struct {
	binary, address string
	env             []string

	server   *process.Server
	postgres *backing.Postgres
	redis    *backing.Server
	provider *httptest.Server
	asked    atomic.Int64 // requests to the provider
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	l.Close()
	s.env = append(
		os.Environ(), "SHOP_POSTGRES="+s.postgres.URL, "SHOP_REDIS="+s.redis.URL, "SHOP_PROVIDER="+s.provider.URL,
		"SHOP_ADDRESS="+s.address, "SHOP_CURRENCY=EUR", "FLUX_SERVICE=shop",
	)
	s.build(t)
	return s
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

// recorded exports the execution that was answered with a status and returns the path of the file.
func (s *shop) recorded(t *testing.T, status string) string {
	t.Helper()
	list, err := s.flux(t, "logs", "--json").Output()
	if err != nil {
		t.Fatalf("flux logs: %v", err)
	}
	for line := range strings.Lines(string(list)) {
		var row struct {
			ID         string `json:"id"`
			HTTPStatus int    `json:"httpStatus"`
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if fmt.Sprint(row.HTTPStatus) != status {
			continue
		}
		file := filepath.Join(t.TempDir(), status+".fluxrec")
		if out, err := s.flux(t, "export", row.ID, "-o", file).CombinedOutput(); err != nil {
			t.Fatalf("flux export: %v\n%s", err, out)
		}
		return file
	}
	t.Fatalf("no execution with status %s in\n%s", status, list)
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
}

// replay starts the program as flux replay does, and returns its report.
func (s *shop) replay(t *testing.T, file string) *execution.Report {
	t.Helper()
	dir := t.TempDir()
	control := execution.Control{Bundle: file, Report: filepath.Join(dir, "report"), Nonce: "this one"}
	data, err := json.Marshal(control)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "control")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	run := s.start(t, execution.EnvReplay+"="+path)
	s.order(t, "", http.Header{execution.HeaderReplay: {control.Nonce}})
	run.stop(t)
	if data, err = os.ReadFile(control.Report); err != nil {
		t.Fatal(err)
	}
	report := new(execution.Report)
	if err := json.Unmarshal(data, report); err != nil {
		t.Fatal(err)
	}
	return report
}
