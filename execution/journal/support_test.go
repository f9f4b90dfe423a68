package journal

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// testDisk is the disk without syncing, which can be made to fail.
type testDisk struct {
	disk
	failWrite, failSync, failTruncate, failCreate atomic.Bool

	syncs atomic.Int64
	gate  chan struct{} // unless nil, each sync of a file takes one from it
}

var errDisk = errors.New("no space left on device")

func (d *testDisk) create(name string) (file, error) {
	if d.failCreate.Load() {
		return nil, errDisk
	}
	f, err := d.disk.create(name)
	return testFile{f, d}, err
}

func (d *testDisk) syncFolder(string) error { return nil }

type testFile struct {
	file
	disk *testDisk
}

// WriteAt writes half of what it should when it fails.
func (f testFile) WriteAt(data []byte, at int64) (int, error) {
	if f.disk.failWrite.Load() {
		n, _ := f.file.WriteAt(data[:len(data)/2], at)
		return n, errDisk
	}
	return f.file.WriteAt(data, at)
}

func (f testFile) Sync() error {
	f.disk.syncs.Add(1)
	if f.disk.gate != nil {
		<-f.disk.gate
	}
	if f.disk.failSync.Load() {
		return errDisk
	}
	return nil
}

func (f testFile) Truncate(size int64) error {
	if f.disk.failTruncate.Load() {
		return errDisk
	}
	return f.file.Truncate(size)
}

func open(t testing.TB, dir string, config *Config) *Journal {
	t.Helper()
	if config == nil {
		config = &Config{}
	}
	if config.fs == nil {
		config.fs = new(testDisk)
	}
	j, err := Open(dir, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// crashImage returns a copy of what the journals in dir have written so far: what is found after their processes died.
func crashImage(t testing.TB, dir string) string {
	t.Helper()
	image := t.TempDir()
	if err := os.CopyFS(image, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return image
}

// idle waits until nothing is pending in the writer.
func (j *Journal) idleForTest() {
	for {
		j.mu.Lock()
		pending := len(j.mu.pending)
		j.mu.Unlock()
		if pending == 0 {
			return
		}
		runtime.Gosched()
	}
}

// drain returns all executions that wait, by id, and acknowledges them.
func drain(t testing.TB, j *Journal) map[record.ID]*record.Execution {
	t.Helper()
	all := make(map[record.ID]*record.Execution)
	j.Seal()
	for {
		batch, err := j.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range decode(t, batch) {
			all[x.ID] = x
		}
		if err := j.Acknowledge(); err != nil {
			t.Fatal(err)
		}
	}
}

func decode(t testing.TB, batch [][]byte) []*record.Execution {
	t.Helper()
	var all []*record.Execution
	for _, data := range batch {
		x, err := record.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	return all
}

// execution returns one with the given number in its id.
func execution(number byte, status record.Status) *record.Execution {
	return &record.Execution{
		ID: record.ID{number, 1}, Service: "payments", Status: status,
		Start: time.Unix(1_800_000_000+int64(number), 0).UTC(),
	}
}

func write(number uint32, state record.State) *record.Checkpoint {
	return &record.Checkpoint{Number: number, Boundary: "http", Effect: record.EffectWrite, State: state, Start: 5, Duration: 7}
}

func folders(t testing.TB, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "????????????????????????????????"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*", "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return all
}
