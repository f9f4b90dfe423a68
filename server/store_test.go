package server_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/server"
)

func TestBackupIsAStoreWithEverythingInIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]server.Config{"disk": {Dir: t.TempDir()}, "memory": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, c)
			for range 20 {
				publishTo(t, s, "event")
			}
			dir := t.TempDir()
			unpack(t, backup(t, s), dir)
			restored := start(t, server.Config{Dir: dir})
			if n := len(readTypes(t, restored)); n != 20*128 {
				t.Errorf("%d messages restored, want %d", n, 20*128)
			}
			if c.Dir == "" {
				return
			}
			if left, err := filepath.Glob(filepath.Join(c.Dir, "backup*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// backup returns the archive, whose size the server must have told in its first part.
func backup(t *testing.T, s *server.Server) []byte {
	t.Helper()
	stream, err := fluxv1connect.NewAdminServiceClient(h2(t), s.URL()).Backup(t.Context(), connect.NewRequest(&fluxv1.BackupRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	total := uint64(0)
	for stream.Receive() {
		total = max(total, stream.Msg().GetTotalBytes())
		archive.Write(stream.Msg().GetData())
	}
	if stream.Err() != nil || total != uint64(archive.Len()) {
		t.Fatalf("archive of %d bytes, announced %d: %v", archive.Len(), total, stream.Err())
	}
	return archive.Bytes()
}

func unpack(t *testing.T, archive []byte, dir string) {
	t.Helper()
	files := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(header.Name)), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBackupThatWasCutOffIsRemovedAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, "backup.incomplete")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, server.Config{Dir: dir})
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

// failing is a disk that is full once it is told so.
type failing struct{ full atomic.Bool }

func (f *failing) MaybeError(op errorfs.Op) error {
	if f.full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		return syscall.ENOSPC
	}
	return nil
}

func (f *failing) String() string { return "failing" }

func TestFullDiskEndsWritingAndNotReading(t *testing.T) {
	t.Parallel()
	disk := &failing{}
	s := start(t, server.WithStore(server.Config{}, func(o engine.Options) (*engine.Engine, error) {
		o.FS = errorfs.Wrap(vfs.NewMem(), disk)
		return engine.Open("store", o)
	}))
	publishTo(t, s, "event")
	stream := logClient(t, s).Publish(t.Context())
	disk.full.Store(true)

	tx := &fluxv1.Transaction{Appends: []*fluxv1.LogAppend{{Log: "event", Messages: []*fluxv1.Message{{Type: "a"}}}}}
	if err := stream.Send(&fluxv1.PublishRequest{Transaction: tx}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Receive()
	if err != nil || answer.GetError().GetDetail().GetCode() != "read_only" || answer.GetError().GetDetail().GetHint() == "" {
		t.Errorf("published on a full disk: %v, %v", answer, err)
	}
	status, refused := post(t, s, fluxv1connect.LogServiceAppendProcedure, `{"log":"event","messages":[{"type":"a"}]}`)
	wantJSONError(t, status, refused, http.StatusServiceUnavailable, "read_only")
	if n := len(readTypes(t, s)); n != 128 {
		t.Errorf("%d messages to read, want 128", n)
	}
	if status, body := get(t, s, "/health"); status != http.StatusServiceUnavailable || !strings.Contains(body, "no space left") {
		t.Errorf("health: %d %q", status, body)
	}
	if info := mustPost(t, s, fluxv1connect.AdminServiceInfoProcedure, `{}`); info["readOnlyReason"] == nil {
		t.Errorf("info %v", info)
	}
	if err := stream.CloseRequest(); err != nil {
		t.Error(err)
	}
}

func TestOldMessagesAreDeleted(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s := start(t, server.Config{Clock: clock, RetentionEvery: time.Millisecond})
	mustPost(t, s, fluxv1connect.LogServiceAppendProcedure, `{"log":"command","messages":[{"type":"a"}]}`)
	mustPost(t, s, fluxv1connect.LogServiceAppendProcedure, `{"log":"event","messages":[{"type":"a"}]}`)
	ahead.Store(int64(31 * 24 * time.Hour))
	eventually(t, "the command is deleted", func() bool {
		return mustPost(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"command"}`)["messages"] == nil
	})
	if mustPost(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"event"}`)["messages"] == nil {
		t.Error("the event is gone too")
	}
}

func TestMetricsCountWhatHappens(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	publishTo(t, s, "event")
	post(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"nonsense"}`)
	track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "c", TrackerId: "t"})
	var body string
	for _, want := range []string{
		"flux_messages_appended_total 128\n",
		`flux_transactions_total{outcome="committed"} 1` + "\n",
		"flux_commit_seconds_count 1\n",
		"flux_consumers 1\n",
		"flux_trackers 1\n",
		`flux_calls_total{code="ok",procedure="/flux.v1.LogService/Append"} 1` + "\n",
		`flux_calls_total{code="bad_request",procedure="/flux.v1.LogService/Read"} 1` + "\n",
		"flux_store_read_only 0\n",
		"go_goroutines ",
	} {
		eventually(t, want, func() bool {
			_, body = get(t, s, "/metrics")
			return strings.Contains(body, want)
		})
	}
}
