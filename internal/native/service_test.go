package native

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/recording"
	"github.com/flux-go/flux/internal/tracking"
)

type noObserver struct{}

func (noObserver) Called(string, string, time.Duration) {}
func (noObserver) Committed(time.Duration, error)       {}

// newService returns a service on a store in memory.
func newService(t testing.TB) *Service {
	t.Helper()
	e, err := engine.OpenMemory(engine.Options{MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	logs := messagelog.New(e)
	s := New(Options{
		Engine: e, Logs: logs, Tracking: tracking.New(e, logs, position.New(e), tracking.Options{}), Executions: recording.New(e),
		MaxMessageBytes: 1 << 20,
		Observer:        noObserver{}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Clock: time.Now,
	})
	t.Cleanup(s.EndStreams)
	return s
}

// Whatever is sent to a procedure is answered, and is never a defect of the server.
func FuzzJSONRequests(f *testing.F) {
	names := slices.Sorted(maps.Keys(procedures))
	names = slices.DeleteFunc(names, func(name string) bool {
		switch name {
		case fluxv1connect.LogServiceResultsProcedure, fluxv1connect.AdminServiceBackupProcedure,
			fluxv1connect.ExecutionServiceTailExecutionsProcedure, fluxv1connect.ExecutionServiceAttendProcedure:
			return true // streams
		}
		return isTwoWay(name)
	})
	for i := range names {
		for _, body := range []string{
			`{}`, `{`, `null`, `[]`, `{"log":"event"}`, `{"log":"custom/\u0000","messages":[{}]}`,
			`{"log":"event","consumer":"c","lastIndex":"9223372036854775807","segments":{"start":-1,"end":500}}`,
			`{"log":"event","messages":[{"json":{"a":1},"key":"k"}],"idempotencyKey":"k"}`,
			`{"log":"event","minIndex":"-9223372036854775808","maxSize":10000,"typeFilter":".*"}`,
			`{"transaction":{"appends":[{"log":"event","blocks":"Rmx4QgEA"}],"positions":[{"log":"event","consumer":"c"}]}}`,
			`{"tracker":{"log":"event","consumer":"c","trackerId":"t","weight":-1,"maxBytes":2147483647}}`,
			`{"log":"query","message":{"type":"a"},"timeoutMs":"10"}`,
			`{"id":"0123","fingerprint":"0123","executions":["AUUA","eA=="],"fence":{"executionId":"0123","token":"-1"}}`,
			`{"filter":{"status":"ok","text":"a","where":["req.a=1"],"path":"/a","since":"-1"},"cursor":"ffffffffffffffff"}`,
		} {
			f.Add(uint(i), body)
		}
	}
	s := newService(f)
	handler := s.Handler()
	f.Fuzz(func(t *testing.T, procedure uint, body string) {
		name := names[procedure%uint(len(names))]
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond*200) // some may wait for minutes
		defer cancel()
		request := httptest.NewRequestWithContext(ctx, http.MethodPost, name, strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		if response.Code == http.StatusInternalServerError || response.Code == 0 {
			t.Errorf("%s %q: status %d %s", name, body, response.Code, response.Body)
		}
	})
}
