package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/server"
)

// TestProcessesAreListed tells of a process as curl would (F-54).
func TestProcessesAreListed(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	s := start(t, server.Config{Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	report := fluxv1connect.ExecutionServiceReportProcessProcedure
	list := func(headers ...string) string {
		return fmt.Sprint(mustPost(t, s, fluxv1connect.ExecutionServiceListProcessesProcedure, `{"service":"shop"}`, headers...)["processes"])
	}
	process := `"instance":"host-7-x","service":"shop","version":"1.2","host":"host","pid":"7","counters":{"kept":"9","lostFull":"2"},"silent":true`
	if again := mustPost(t, s, report, `{"process":{`+process+`}}`)["againMs"]; again != "10000" {
		t.Errorf("tell again after %v ms", again)
	}
	if got := list(); !strings.Contains(got, "host:host") || !strings.Contains(got, "kept:9 lostFull:2") || strings.Contains(got, "silent") {
		t.Errorf("processes %s", got)
	}
	if got := list("Flux-Namespace", "other"); got != "<nil>" {
		t.Errorf("another namespace has %s", got)
	}
	ahead.Store(int64(time.Minute))
	if got := list(); !strings.Contains(got, "silent:true") {
		t.Errorf("after a minute of silence: %s", got)
	}
	mustPost(t, s, report, `{"process":{`+process+`},"leaving":true}`)
	if got := list(); got != "<nil>" {
		t.Errorf("after it has left: %s", got)
	}
	for _, bad := range []string{`{}`, `{"process":{"service":"shop"}}`, `{"process":{"instance":"i","service":"shop","host":"` + strings.Repeat("h", 257) + `"}}`} {
		status, answer := post(t, s, report, bad)
		wantJSONError(t, status, answer, http.StatusBadRequest, "bad_request")
	}
}
