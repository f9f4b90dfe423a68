package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/server"
)

// charge returns an execution, failed unless status says otherwise.
func charge(id byte, status record.Status) *record.Execution {
	x := &record.Execution{
		ID: record.ID{0: id, 6: 0x40, 8: 0x80}, Service: "payments", RequestID: fmt.Sprintf("r-%d", id),
		Start: time.Date(2026, 11, 22, 9, 0, int(id), 0, time.UTC), Duration: 30 * time.Millisecond, Status: status, HTTPStatus: 200,
		Trigger: record.Trigger{Kind: record.TriggerHTTP, Method: "POST", Route: "POST /charges/{id}", Path: fmt.Sprintf("/charges/%d", id)},
		Input:   record.Payload{Data: fmt.Appendf(nil, `{"body":"{\"amount\":%d}"}`, 100+int(id))},
	}
	if status.Failed() {
		x.HTTPStatus, x.Error = 500, &record.Error{Class: record.ClassApp, Message: "card declined"}
	}
	return x
}

func encoded(all ...*record.Execution) (out [][]byte) {
	for _, x := range all {
		out = append(out, record.Append(nil, x))
	}
	return out
}

func executionClient(t testing.TB, s *server.Server) fluxv1connect.ExecutionServiceClient {
	t.Helper()
	return fluxv1connect.NewExecutionServiceClient(h2(t), s.URL())
}

func recordAll(t testing.TB, c fluxv1connect.ExecutionServiceClient, all ...*record.Execution) {
	t.Helper()
	answer, err := c.RecordExecutions(t.Context(), connect.NewRequest(&fluxv1.RecordExecutionsRequest{Executions: encoded(all...)}))
	if err != nil || len(answer.Msg.GetOutcomes()) != len(all) {
		t.Fatalf("recorded %v (%v)", answer, err)
	}
}

// TestExecutionsAreJSON goes through the life of an execution as curl would.
func TestExecutionsAreJSON(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	text := func(x *record.Execution) string { return base64.StdEncoding.EncodeToString(record.Append(nil, x)) }
	body := fmt.Sprintf(`{"executions":[%q,%q,"bm9uc2Vuc2U="]}`, text(charge(0xa1, record.StatusError)), text(charge(0xa2, record.StatusOK)))
	outcomes := fmt.Sprint(mustPost(t, s, fluxv1connect.ExecutionServiceRecordExecutionsProcedure, body)["outcomes"])
	if strings.Count(outcomes, "outcome:stored") != 2 || strings.Count(outcomes, "outcome:refused reason:bad execution") != 1 {
		t.Errorf("outcomes are %s", outcomes)
	}
	list := func(filter string) string {
		return fmt.Sprint(mustPost(t, s, fluxv1connect.ExecutionServiceListExecutionsProcedure, `{"filter":{`+filter+`}}`)["executions"])
	}
	for filter, want := range map[string]string{
		``: "a2a1", `"failed":true`: "a1", `"text":"declined card"`: "a1", `"where":["req.body.amount=262"]`: "a2",
		`"path":"/charges/161"`: "a1", `"service":"payments","status":"ok"`: "a2", `"requestId":"r-9"`: "",
	} {
		got := list(filter)
		order := ""
		for _, id := range []string{"a2", "a1"} {
			if strings.Contains(got, "id:"+id+"000000-") {
				order += id
			}
		}
		if order != want {
			t.Errorf("filter %s: %s, want %s", filter, got, want)
		}
	}

	got := mustPost(t, s, fluxv1connect.ExecutionServiceGetExecutionProcedure, `{"id":"A100"}`)
	summary := got["summary"].(map[string]any)
	if got["execution"] != text(charge(0xa1, record.StatusError)) || summary["error"] != "card declined" || summary["failed"] != true {
		t.Errorf("execution %v", got)
	}
	issue := mustPost(t, s, fluxv1connect.ExecutionServiceGetIssueProcedure, fmt.Sprintf(`{"fingerprint":%q}`, summary["fingerprint"]))["issue"]
	if text := fmt.Sprint(issue); !strings.Contains(text, "title:card declined") || !strings.Contains(text, "sample:map[") {
		t.Errorf("issue %s", text)
	}
	mustPost(t, s, fluxv1connect.ExecutionServiceResolveIssueProcedure, fmt.Sprintf(`{"fingerprint":%q}`, summary["fingerprint"]))
	issues := mustPost(t, s, fluxv1connect.ExecutionServiceListIssuesProcedure, `{"status":"resolved","service":"payments"}`)["issues"].([]any)
	if len(issues) != 1 {
		t.Errorf("resolved issues %v", issues)
	}

	id := summary["id"].(string)
	mustPost(t, s, fluxv1connect.ExecutionServicePinExecutionProcedure, `{"id":"a100"}`)
	removed := mustPost(t, s, fluxv1connect.ExecutionServiceDeleteExecutionsProcedure, fmt.Sprintf(`{"ids":[%q]}`, id))
	if fmt.Sprint(removed["pinned"]) != "["+id+"]" {
		t.Errorf("removed %v", removed)
	}
	mustPost(t, s, fluxv1connect.ExecutionServiceSetExecutionRetentionProcedure, `{"retention":{"executions":"5"}}`)
	totals := mustPost(t, s, fluxv1connect.ExecutionServiceGetExecutionRetentionProcedure, `{}`)
	if totals["pinned"] != "1" || totals["executions"] != "1" || totals["retention"].(map[string]any)["seconds"] != "2592000" {
		t.Errorf("totals %v", totals)
	}
	mustPost(t, s, fluxv1connect.ExecutionServicePinExecutionProcedure, `{"id":"a100","unpin":true}`)
	removed = mustPost(t, s, fluxv1connect.ExecutionServiceDeleteExecutionsProcedure, fmt.Sprintf(`{"ids":[%q]}`, id))
	if fmt.Sprint(removed["deleted"]) != "["+id+"]" {
		t.Errorf("removed %v", removed)
	}
}

func TestLeasesExcludeEachOther(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	recordAll(t, executionClient(t, s), charge(0xa1, record.StatusError))
	id := charge(0xa1, record.StatusError).ID
	acquire := fmt.Sprintf(`{"executionId":%q,"holder":"one"}`, id)
	lease := mustPost(t, s, fluxv1connect.ExecutionServiceAcquireLeaseProcedure, acquire)["lease"].(map[string]any)
	status, answer := post(t, s, fluxv1connect.ExecutionServiceAcquireLeaseProcedure, strings.Replace(acquire, "one", "two", 1))
	wantJSONError(t, status, answer, http.StatusConflict, "conflict")
	if !strings.Contains(fmt.Sprint(answer["message"]), "is being resumed by one until") {
		t.Errorf("the second holder is told %v", answer["message"])
	}
	fence, err := json.Marshal(map[string]any{"executionId": id, "token": lease["token"]})
	if err != nil {
		t.Fatal(err)
	}
	mustPost(t, s, fluxv1connect.ExecutionServiceRenewLeaseProcedure, fmt.Sprintf(`{"fence":%s,"ttlMs":"5000"}`, fence))
	mustPost(t, s, fluxv1connect.ExecutionServiceRecordExecutionsProcedure, fmt.Sprintf(`{"fence":%s}`, fence))
	if got := mustPost(t, s, fluxv1connect.ExecutionServiceGetExecutionProcedure, `{"id":"a100"}`)["lease"]; got == nil {
		t.Error("the execution does not show its lease")
	}
	if released := mustPost(t, s, fluxv1connect.ExecutionServiceReleaseLeaseProcedure, fmt.Sprintf(`{"fence":%s}`, fence)); released["released"] != true {
		t.Errorf("released %v", released)
	}
	for _, procedure := range []string{
		fluxv1connect.ExecutionServiceRenewLeaseProcedure, fluxv1connect.ExecutionServiceRecordExecutionsProcedure,
	} {
		status, answer = post(t, s, procedure, fmt.Sprintf(`{"fence":%s}`, fence))
		wantJSONError(t, status, answer, http.StatusConflict, "conflict")
	}
}

func TestExecutionsRefuseBadValues(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	c := executionClient(t, s)
	other := charge(0xa1, record.StatusOK)
	other.ID[15] = 1
	recordAll(t, c, charge(0xa1, record.StatusOK), other)
	list := fluxv1connect.ExecutionServiceListExecutionsProcedure
	for _, test := range []struct {
		procedure, body, code, message string
		status                         int
	}{
		{list, `{"filter":{"status":"fine"}}`, "bad_request", "use one of running, ok,", 400},
		{list, `{"filter":{"since":"-1"}}`, "bad_request", "since -1", 400},
		{list, `{"filter":{"since":"5","until":"5"}}`, "bad_request", "not after", 400},
		{list, `{"filter":{"minDurationUs":"-5"}}`, "bad_request", "min_duration_us", 400},
		{list, `{"filter":{"text":"?!"}}`, "bad_request", "no word", 400},
		{list, `{"filter":{"where":["amount"]}}`, "bad_request", "no operator", 400},
		{list, `{"filter":{"trace":"0af7"}}`, "bad_request", "32 hexadecimal digits", 400},
		{list, `{"filter":{"parent":"7"}}`, "bad_request", "hexadecimal digits", 400},
		{list, `{"cursor":"7"}`, "bad_request", "bad cursor", 400},
		{list, `{"maxSize":1001}`, "bad_request", "max_size", 400},
		{fluxv1connect.ExecutionServiceGetExecutionProcedure, `{"id":"a100"}`, "bad_request", "may be any of a1000000-", 400},
		{fluxv1connect.ExecutionServiceGetExecutionProcedure, `{"id":"a1"}`, "bad_request", "use 4 to 32", 400},
		{fluxv1connect.ExecutionServiceGetExecutionProcedure, `{"id":"ffff"}`, "not_found", "no execution ffff", 404},
		{fluxv1connect.ExecutionServiceGetIssueProcedure, `{"fingerprint":"ffff"}`, "not_found", "no issue ffff", 404},
		{fluxv1connect.ExecutionServiceListIssuesProcedure, `{"status":"closed"}`, "bad_request", "use open", 400},
		{fluxv1connect.ExecutionServiceAcquireLeaseProcedure, `{"executionId":"` + other.ID.String() + `"}`, "bad_request", "holder", 400},
		{fluxv1connect.ExecutionServiceAcquireLeaseProcedure, `{"executionId":"` + record.NewID().String() + `","holder":"h"}`, "not_found", "no execution", 404},
		{fluxv1connect.ExecutionServiceSetExecutionRetentionProcedure, `{"retention":{"seconds":"-2"}}`, "bad_request", "-2 seconds", 400},
	} {
		status, answer := post(t, s, test.procedure, test.body)
		wantJSONError(t, status, answer, test.status, test.code)
		if message := fmt.Sprint(answer["message"]); !strings.Contains(message, test.message) {
			t.Errorf("%s: %s, want %q", test.body, message, test.message)
		}
	}
}

// TestTailGoesOnAfterTheServerWasAway reconnects with the cursor of the last answer: nothing is lost, nothing comes twice
// (F-41), whatever way executions end.
func TestTailGoesOnAfterTheServerWasAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := server.Start(t.Context(), server.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	c := executionClient(t, first)
	recordAll(t, c, charge(1, record.StatusOK), charge(2, record.StatusOK), charge(3, record.StatusError))
	stream, err := c.TailExecutions(t.Context(), connect.NewRequest(&fluxv1.TailExecutionsRequest{Backlog: 2}))
	if err != nil {
		t.Fatal(err)
	}
	var seen []byte
	after := readTail(t, stream, &seen, 2)
	recordAll(t, c, charge(4, record.StatusTimeout))
	after = max(after, readTail(t, stream, &seen, 3))
	recordAll(t, c, charge(5, record.StatusRunning), charge(6, record.StatusCancelled))
	if err := first.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for stream.Receive() {
		after = max(after, collectTail(t, stream, &seen))
	}
	wantCode(t, stream.Err(), connect.CodeUnavailable, "closing")

	second := start(t, server.Config{Dir: dir})
	c = executionClient(t, second)
	recordAll(t, c, charge(5, record.StatusCrashed), charge(7, record.StatusInterrupted), charge(8, record.StatusStopped))
	stream, err = c.TailExecutions(t.Context(), connect.NewRequest(&fluxv1.TailExecutionsRequest{After: &after}))
	if err != nil {
		t.Fatal(err)
	}
	for len(seen) == 0 || seen[len(seen)-1] != 8 {
		readTail(t, stream, &seen, len(seen)+1)
	}
	last := map[byte]int{}
	for _, id := range seen {
		last[id]++
	}
	for id := byte(2); id <= 8; id++ {
		if n := last[id]; n == 0 || n > 1 && id != 5 { // 5 ran when it was seen first
			t.Errorf("%d was seen %d times: %v", id, n, seen)
		}
	}
}

// TestTailSaysAtOnceWhereToGoOn breaks a tail that has seen nothing: what comes meanwhile is not lost.
func TestTailSaysAtOnceWhereToGoOn(t *testing.T) {
	t.Parallel()
	c := executionClient(t, start(t, server.Config{}))
	recordAll(t, c, charge(1, record.StatusOK))
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := c.TailExecutions(ctx, connect.NewRequest(&fluxv1.TailExecutionsRequest{}))
	if err != nil || !stream.Receive() || len(stream.Msg().GetExecutions()) > 0 {
		t.Fatalf("the first response is %v (%v, %v)", stream.Msg(), err, stream.Err())
	}
	after := stream.Msg().GetAfter()
	cancel()
	recordAll(t, c, charge(2, record.StatusOK))
	if stream, err = c.TailExecutions(t.Context(), connect.NewRequest(&fluxv1.TailExecutionsRequest{After: &after})); err != nil {
		t.Fatal(err)
	}
	var seen []byte
	if readTail(t, stream, &seen, 1); seen[0] != 2 {
		t.Errorf("seen is %v, want what came after the tail broke", seen)
	}
}

type tailStream = connect.ServerStreamForClient[fluxv1.TailExecutionsResponse]

// readTail reads until n executions were seen, and returns where to go on.
func readTail(t *testing.T, stream *tailStream, seen *[]byte, n int) (after int64) {
	t.Helper()
	for len(*seen) < n && stream.Receive() {
		after = collectTail(t, stream, seen)
	}
	if len(*seen) < n {
		t.Fatalf("tail ended after %v: %v", *seen, stream.Err())
	}
	return after
}

func collectTail(t *testing.T, stream *tailStream, seen *[]byte) (after int64) {
	t.Helper()
	for _, summary := range stream.Msg().GetExecutions() {
		id, err := record.ParseID(summary.GetId())
		if err != nil {
			t.Error(err)
		}
		*seen = append(*seen, id[0])
	}
	return stream.Msg().GetAfter()
}

func TestTailRefusesNonsense(t *testing.T) {
	t.Parallel()
	c := executionClient(t, start(t, server.Config{}))
	before := int64(-1)
	for _, request := range []*fluxv1.TailExecutionsRequest{
		{After: &before}, {Backlog: -1}, {Backlog: 1001}, {Filter: &fluxv1.ExecutionFilter{Status: "fine"}},
	} {
		stream, err := c.TailExecutions(t.Context(), connect.NewRequest(request))
		if err == nil {
			for stream.Receive() {
				t.Errorf("%v is answered", request)
			}
			err = stream.Err()
		}
		if err == nil || errors.Is(err, t.Context().Err()) {
			t.Errorf("%v: %v", request, err)
		}
		wantCode(t, err, connect.CodeInvalidArgument, "bad_request")
	}
}

func TestNamespacesDoNotSeeEachOthersExecutions(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	x := charge(0xa1, record.StatusError)
	body := fmt.Sprintf(`{"executions":[%q]}`, base64.StdEncoding.EncodeToString(record.Append(nil, x)))
	mustPost(t, s, fluxv1connect.ExecutionServiceRecordExecutionsProcedure, body, "Flux-Namespace", "one")
	for ns, want := range map[string]int{"one": 1, "two": 0, "": 0} {
		list := mustPost(t, s, fluxv1connect.ExecutionServiceListExecutionsProcedure, `{}`, "Flux-Namespace", ns)
		issues := mustPost(t, s, fluxv1connect.ExecutionServiceListIssuesProcedure, `{}`, "Flux-Namespace", ns)
		executions, _ := list["executions"].([]any)
		found, _ := issues["issues"].([]any)
		if len(executions) != want || len(found) != want {
			t.Errorf("namespace %q has %v and %v, want %d of each", ns, list, issues, want)
		}
	}
	status, answer := post(t, s, fluxv1connect.ExecutionServiceGetExecutionProcedure, `{"id":"a100"}`, "Flux-Namespace", "two")
	wantJSONError(t, status, answer, http.StatusNotFound, "not_found")
}

// TestJanitorExpiresExecutions lets a day pass.
func TestJanitorExpiresExecutions(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s := start(t, server.Config{Clock: clock, RetentionEvery: time.Millisecond})
	c := executionClient(t, s)
	recordAll(t, c, charge(1, record.StatusOK), charge(2, record.StatusOK))
	mustPost(t, s, fluxv1connect.ExecutionServicePinExecutionProcedure, fmt.Sprintf(`{"id":%q}`, charge(2, record.StatusOK).ID))
	mustPost(t, s, fluxv1connect.ExecutionServiceSetExecutionRetentionProcedure, `{"retention":{"seconds":"3600"}}`)
	ahead.Store(int64(24 * time.Hour))
	eventually(t, "the one that is not pinned is gone", func() bool {
		list, err := c.ListExecutions(t.Context(), connect.NewRequest(&fluxv1.ListExecutionsRequest{}))
		return err == nil && len(list.Msg.GetExecutions()) == 1 && list.Msg.GetExecutions()[0].GetPinned()
	})
}

// TestWhatAServiceRecordsIsFound runs a service with a recorder, and finds its failure, and the start of its process, by what
// people know of it.
func TestWhatAServiceRecordsIsFound(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	recorder, err := execution.Connect(execution.Config{Service: "payments", URL: s.URL(), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	service := httptest.NewServer(recorder.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil { // what nobody reads is not recorded
			t.Error(err)
		}
		http.Error(w, "no funds", http.StatusInternalServerError)
	})))
	defer service.Close()
	body := `{"orderId":1009,"card":"4111"}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, service.URL+"/charges/7?dry=1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if err := recorder.Close(t.Context()); err != nil { // which waits until the server has it all
		t.Fatal(err)
	}
	c := executionClient(t, s)
	for _, filter := range []*fluxv1.ExecutionFilter{
		{Failed: true},
		{Path: "/charges"},
		{Method: "POST", Status: "error"},
		{Where: []string{"req.body.orderId=1009"}},
		{Text: "1009"},
		{Where: []string{"trigger.query~dry"}},
	} {
		list, err := c.ListExecutions(t.Context(), connect.NewRequest(&fluxv1.ListExecutionsRequest{Filter: filter}))
		if err != nil || len(list.Msg.GetExecutions()) != 1 || list.Msg.GetExecutions()[0].GetHttpStatus() != 500 {
			t.Errorf("%v finds %v (%v)", filter, list, err)
			continue
		}
		id := list.Msg.GetExecutions()[0].GetId()
		found, err := c.GetExecution(t.Context(), connect.NewRequest(&fluxv1.GetExecutionRequest{Id: id[:8], Boot: true}))
		if err != nil || len(found.Msg.GetExecution()) == 0 || len(found.Msg.GetBoot()) == 0 {
			t.Errorf("%s is %v (%v), want it with the start of its process", id, found.Msg.GetSummary(), err)
		}
	}
}
