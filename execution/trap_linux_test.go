//go:build amd64 || arm64

package execution_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// trapVariable says to a child of this test what to do when the trap is set.
const trapVariable = "FLUX_TEST_TRAP"

// reachingOut is what a trapped process must not do, each by what does it.
var reachingOut = map[string]func(dir string) error{
	"connect": func(string) error {
		conn, err := net.Dial("tcp", "127.0.0.1:1")
		if err == nil {
			conn.Close()
		}
		return err
	},
	"DNS": func(string) error {
		_, err := (&net.Resolver{PreferGo: true}).LookupHost(context.Background(), "shop.invalid")
		return err
	},
	"exec":   func(string) error { return exec.Command("/bin/sh", "-c", "exit 0").Run() },
	"write":  func(dir string) error { return os.WriteFile(filepath.Join(dir, "out"), nil, 0o600) },
	"append": func(dir string) error { return os.Truncate(filepath.Join(dir, "config.json"), 0) },
	"mkdir":  func(dir string) error { return os.Mkdir(filepath.Join(dir, "new"), 0o700) },
	"rename": func(dir string) error {
		return os.Rename(filepath.Join(dir, "logo.png"), filepath.Join(dir, "new.png"))
	},
	"remove": func(dir string) error { return os.Remove(filepath.Join(dir, "logo.png")) },
}

// TestReplayReachesNothing is G-197. A child process records a program that connects, looks a name up, changes files and runs a
// command, and replays it after it told the kernel to end the process at any of these. Other children do them without a replay, and
// must end.
func TestReplayReachesNothing(t *testing.T) {
	t.Parallel()
	if what := os.Getenv(trapVariable); what != "" {
		trapped(t, what)
		return
	}
	if out, err := trappedChild(t, "replay"); err != nil || !strings.Contains(out, "outcome: same\n") {
		t.Errorf("%v\n%s", err, out)
	}
	for what := range reachingOut {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if out, err := trappedChild(t, what); err == nil || !strings.Contains(out, "SIGSYS") {
				t.Errorf("the trap let it through: %v\n%s", err, out)
			}
		})
	}
}

func trappedChild(t *testing.T, what string) (string, error) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReplayReachesNothing$")
	child.Env = append(os.Environ(), trapVariable+"="+what, "TMPDIR="+t.TempDir())
	out, err := child.CombinedOutput()
	if strings.Contains(string(out), "no trap: ") && os.Getenv("CI") != "true" {
		t.Skip(string(out))
	}
	return string(out), err
}

// trapped is what a child does.
func trapped(t *testing.T, what string) {
	dir := folder(t)
	defer os.Exit(0) // what the test would clean up, it may not
	if act := reachingOut[what]; act != nil {
		setTrap()
		fmt.Println("survived:", act(dir))
		return
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("charged")) }))
	tool, address := shell(t), strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	rec, kept := recorder(t)
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest, Method: "reach"}, nil)
	live := reachOut(ctx, rec, dir, tool, address)
	x.End(nil)
	of := <-kept
	server.Close()
	remove(t, dir)
	remove(t, tool)
	setTrap()
	ctx, x, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: of}, nil)
	if err != nil {
		t.Fatal(err)
	}
	again := reachOut(ctx, rec, dir, tool, address)
	x.End(nil)
	if slices.Equal(live, again) && len(live) == 5 {
		fmt.Println("outcome:", x.Report().Outcome)
	} else {
		fmt.Printf("live\n%q\nreplayed\n%q\n", live, again)
	}
}

// reachOut does all there is, and returns what it saw.
func reachOut(ctx context.Context, rec *execution.Recorder, dir, tool, address string) (seen []string) {
	see := func(what any, err error) { seen = append(seen, fmt.Sprintf("%s %v", what, err)) }
	client := &http.Client{Transport: rec.Transport(&http.Transport{DisableKeepAlives: true})}
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	resp, err := client.Do(req)
	if err == nil {
		err = resp.Body.Close()
	}
	see("charge", err)
	files := execution.Files(ctx)
	see(files.ReadFile(filepath.Join(dir, "config.json")))
	see("files", errors.Join(
		files.MkdirAll(filepath.Join(dir, "new"), 0o700), files.WriteFile(filepath.Join(dir, "new/out"), []byte("1"), 0o600),
		files.Rename(filepath.Join(dir, "new/out"), filepath.Join(dir, "new/final")), files.Remove(filepath.Join(dir, "logo.png")),
	))
	see(files.ReadFile(filepath.Join(dir, "new/final")))
	var out bytes.Buffer
	cmd := command(ctx, tool, "echo from the command")
	cmd.Stdout = &out
	err = execution.RunCommand(ctx, cmd, nil)
	see(out.String(), err)
	return seen
}

// setTrap has the kernel send SIGSYS to this process, which the Go runtime ends it for, when it makes a socket, runs a program, or
// changes a file.
func setTrap() {
	const (
		noNewPrivileges, setFilter, allThreads = 38, 1, 1
		allow, signal                          = 0x7fff0000, 0x00030000
		number, openFlags                      = 0, 16 + 2*8 // where struct seccomp_data has them
	)
	stop := []uint32{
		syscall.SYS_SOCKET, syscall.SYS_CONNECT, syscall.SYS_EXECVE, syscall.SYS_UNLINKAT, syscall.SYS_MKDIRAT, syscall.SYS_RENAMEAT,
		syscall.SYS_FTRUNCATE, syscall.SYS_TRUNCATE, syscall.SYS_LINKAT, syscall.SYS_SYMLINKAT, syscall.SYS_FCHMODAT,
	}
	filter := []syscall.SockFilter{{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, K: number}}
	for i, n := range stop {
		filter = append(filter, syscall.SockFilter{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, Jt: uint8(len(stop) - i + 3), K: n})
	}
	filter = append(filter,
		syscall.SockFilter{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, Jf: 2, K: syscall.SYS_OPENAT},
		syscall.SockFilter{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, K: openFlags},
		syscall.SockFilter{Code: syscall.BPF_JMP | syscall.BPF_JSET | syscall.BPF_K, Jt: 1, K: syscall.O_WRONLY | syscall.O_RDWR | syscall.O_CREAT | syscall.O_TRUNC},
		syscall.SockFilter{Code: syscall.BPF_RET | syscall.BPF_K, K: allow},
		syscall.SockFilter{Code: syscall.BPF_RET | syscall.BPF_K, K: signal},
	)
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	call, known := map[string]uintptr{"amd64": 317, "arm64": 277}[runtime.GOARCH]
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, _, err := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivileges, 1, 0, 0, 0, 0)
	if err == 0 {
		_, _, err = syscall.RawSyscall(call, setFilter, allThreads, uintptr(unsafe.Pointer(&program)))
	}
	if err != 0 || !known {
		fmt.Println("no trap: seccomp:", err)
		os.Exit(0)
	}
}
