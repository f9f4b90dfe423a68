package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
)

var startRows = []row{
	{"P12", "start, size of the binary, memory when idle", "≤ 100 ms / ≤ 60 MB / ≤ 60 MB", benchStart},
}

// benchStart builds the binary and runs it on an empty directory.
func benchStart(ctx context.Context, e *env) ([]result, error) {
	dir, remove, err := e.tempDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	binary := filepath.Join(dir, "flux")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "github.com/flux-go/flux/cmd/flux")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return nil, err
	}
	var starts latencies
	var resident float64
	for i := range 10 {
		took, megabytes, err := startOnce(ctx, binary, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		starts = append(starts, took)
		resident = max(resident, megabytes)
	}
	results := []result{
		result{What: "empty directory → first durable answer, p50", Value: float64(starts.percentile(0.5).Milliseconds()), Unit: "ms"}.timed(starts),
		{What: "size of the binary", Value: float64(info.Size()) / 1e6, Unit: "MB", Settings: "stripped"},
	}
	if runtime.GOOS == "linux" {
		results = append(results, result{What: "resident memory when idle", Value: resident, Unit: "MB"})
	}
	return results, nil
}

// startOnce starts the binary, has it store a message, and returns how long that took and how much memory it then uses.
func startOnce(ctx context.Context, binary, dir string) (took time.Duration, megabytes float64, err error) {
	address, err := freeAddress()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	serve := exec.CommandContext(ctx, binary, "serve", "--data", dir, "--listen", address)
	if err := serve.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		err = errors.Join(err, serve.Process.Kill())
		_ = serve.Wait() // killed
	}()
	if err := storeFirst(ctx, "http://"+address); err != nil {
		return 0, 0, err
	}
	took = time.Since(start)
	megabytes, err = residentMegabytes(serve.Process.Pid)
	return took, megabytes, err
}

// storeFirst appends a message as soon as the server lets it.
func storeFirst(ctx context.Context, url string) error {
	client := fluxv1connect.NewLogServiceClient(http.DefaultClient, url)
	request := &fluxv1.AppendRequest{Log: eventLog.String(), Messages: []*fluxv1.Message{{Type: departureType}}}
	for {
		_, err := client.Append(ctx, connect.NewRequest(request))
		if connect.CodeOf(err) != connect.CodeUnavailable {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// residentMegabytes returns what a process occupies in memory, on Linux; elsewhere 0.
func residentMegabytes(pid int) (float64, error) {
	if runtime.GOOS != "linux" {
		return 0, nil
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kilobytes) * 1024 / 1e6, err
		}
	}
	return 0, errors.New("no VmRSS in the status of the process")
}
