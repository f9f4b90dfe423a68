package journal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
	"pgregory.net/rapid"
)

// testDisk is the disk without syncing, which can be made to fail, and knows what a power cut leaves.
type testDisk struct {
	disk
	failWrite, failSync, failTruncate, failCreate atomic.Bool

	syncs atomic.Int64
	gate  chan struct{} // unless nil, each sync of a file takes one from it

	mu    sync.Mutex
	files map[string]*testFile
}

var errDisk = errors.New("no space left on device")

func (d *testDisk) create(name string) (file, error) {
	if d.failCreate.Load() {
		return nil, errDisk
	}
	f, err := d.disk.create(name)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files == nil {
		d.files = make(map[string]*testFile)
	}
	d.files[name] = &testFile{file: f, disk: d}
	return d.files[name], nil
}

func (d *testDisk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, name)
	return d.disk.remove(name)
}

// syncFolder makes the files that are there survive a power cut, empty.
func (d *testDisk) syncFolder(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		f.isNamed = true
	}
	return nil
}

// powerCut returns what is found after one.
func (d *testDisk) powerCut(t rapid.TB, dir, image string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := copyFolder(image, dir); err != nil {
		t.Fatal(err)
	}
	for name, f := range d.files {
		copied := filepath.Join(image, strings.TrimPrefix(name, dir))
		err := os.Remove(copied)
		if f.isNamed && err == nil {
			err = os.WriteFile(copied, f.durable, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

type testFile struct {
	file
	disk    *testDisk
	isNamed bool
	durable []byte
	dirty   map[int64][]byte // written and not synced, by place
}

// WriteAt writes half of what it should when it fails.
func (f *testFile) WriteAt(data []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.failWrite.Load() {
		n, _ := f.file.WriteAt(data[:len(data)/2], at)
		return n, errDisk
	}
	if f.dirty == nil {
		f.dirty = make(map[int64][]byte)
	}
	f.dirty[at] = bytes.Clone(data)
	return f.file.WriteAt(data, at)
}

// Sync loses for ever what it cannot sync, as operating systems do.
func (f *testFile) Sync() error {
	f.disk.syncs.Add(1)
	if f.disk.gate != nil {
		<-f.disk.gate
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	dirty := f.dirty
	f.dirty = nil
	if f.disk.failSync.Load() {
		return errDisk
	}
	for at, data := range dirty {
		if missing := int(at) + len(data) - len(f.durable); missing > 0 {
			f.durable = append(f.durable, make([]byte, missing)...)
		}
		copy(f.durable[at:], data)
	}
	return nil
}

func (f *testFile) Truncate(size int64) error {
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
	image := filepath.Join(t.TempDir(), "image")
	if err := copyFolder(image, dir); err != nil {
		t.Fatal(err)
	}
	return image
}

// copyFolder copies until no file is removed meanwhile.
func copyFolder(to, from string) error {
	for {
		err := os.CopyFS(to, os.DirFS(from))
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.RemoveAll(to); err != nil {
			return err
		}
	}
}

// idleForTest waits until nothing is pending in the writer.
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

// write returns the checkpoint of a write that keeps its number as shape: recovery numbers anew.
func write(number uint32, state record.State) *record.Checkpoint {
	return &record.Checkpoint{Number: number, Boundary: "http", Shape: strconv.Itoa(int(number)), Effect: record.EffectWrite, State: state, Start: 5, Duration: 7}
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
