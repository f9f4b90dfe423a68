package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/server"
)

// Each procedure without streams, as curl would call it.
func TestEveryUnaryProcedureSpeaksJSON(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	before := time.Now().UnixMilli()

	commit := mustPost(t, s, fluxv1connect.LogServiceCommitProcedure, `{"transaction":{
		"appends":[{"log":"event","messages":[{"type":"a"}]},{"log":"event","messages":[{"type":"b"}]},{"log":"custom/x","messages":[{"type":"c"}]}],
		"positions":[{"log":"event","consumer":"c","lastIndex":"5"}]}}`)
	firsts := commit["firstIndexes"].([]any)
	if len(firsts) != 3 {
		t.Fatalf("commit answered %v", commit)
	}
	since := fmt.Sprintf(`{"log":"event","since":"%d","typeFilter":"b","maxSize":5}`, before-1000)
	read := mustPost(t, s, fluxv1connect.LogServiceReadProcedure, since)
	if got := read["messages"].([]any); len(got) != 1 || got[0].(map[string]any)["type"] != "b" {
		t.Errorf("read %v, want the message of type b", read)
	}
	logs := mustPost(t, s, fluxv1connect.LogServiceListLogsProcedure, `{}`)["logs"].([]any)
	if len(logs) != 2 || logs[0].(map[string]any)["log"] != "event" || logs[0].(map[string]any)["firstIndex"] != firsts[0] {
		t.Errorf("logs %v", logs)
	}

	mustPost(t, s, fluxv1connect.LogServiceSetRetentionProcedure, `{"log":"event","seconds":"3600"}`)
	mustPost(t, s, fluxv1connect.LogServiceTruncateProcedure, fmt.Sprintf(`{"log":"event","throughIndex":"%s"}`, firsts[0]))
	event := mustPost(t, s, fluxv1connect.LogServiceListLogsProcedure, `{}`)["logs"].([]any)[0].(map[string]any)
	if event["retentionSeconds"] != "3600" || event["firstIndex"] == firsts[0] || event["appendedMessages"] != "2" {
		t.Errorf("log %v after an hour's retention and truncation through %v", event, firsts[0])
	}

	reset := mustPost(t, s, fluxv1connect.TrackingServiceResetPositionProcedure, `{"log":"event","consumer":"c","lastIndex":"-1"}`)
	if reset["lastIndex"] != "-1" {
		t.Errorf("reset answered %v", reset)
	}
	poll := mustPost(t, s, fluxv1connect.TrackingServicePollProcedure, `{"tracker":{"log":"event","consumer":"c","trackerId":"t"}}`)
	if got := poll["messages"].([]any); len(got) != 1 || got[0].(map[string]any)["type"] != "b" {
		t.Fatalf("poll answered %v, want the message that is left", poll)
	}
	mustPost(t, s, fluxv1connect.TrackingServiceStorePositionProcedure,
		fmt.Sprintf(`{"log":"event","consumer":"c","segments":{"start":0,"end":128},"lastIndex":"%s"}`, poll["lastIndex"]))
	consumer := mustPost(t, s, fluxv1connect.TrackingServiceGetConsumerProcedure, `{"log":"event","consumer":"c"}`)["consumer"].(map[string]any)
	if trackers := consumer["trackers"].([]any); len(trackers) != 1 || trackers[0].(map[string]any)["trackerId"] != "t" {
		t.Errorf("consumer %v, want its tracker", consumer)
	}
	if info := mustPost(t, s, fluxv1connect.AdminServiceInfoProcedure, `{}`); info["trackers"] != float64(1) || info["storeVersion"] == nil {
		t.Errorf("info %v", info)
	}
	mustPost(t, s, fluxv1connect.TrackingServiceDisconnectProcedure, `{"log":"event","consumer":"c","trackerId":"t"}`)
	list := mustPost(t, s, fluxv1connect.TrackingServiceListConsumersProcedure, `{"log":"event"}`)["consumers"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["trackers"] != nil {
		t.Errorf("consumers %v, want one without trackers", list)
	}
}

func TestRequestIsAnsweredByAConsumer(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	answered := make(chan map[string]any, 1)
	go func() {
		_, answer := post(t, s, fluxv1connect.LogServiceRequestProcedure, `{"log":"query","message":{"type":"Ask","json":{"n":20}}}`)
		answered <- answer
	}()
	var request map[string]any
	for request == nil {
		poll := mustPost(t, s, fluxv1connect.TrackingServicePollProcedure,
			`{"tracker":{"log":"query","consumer":"c","trackerId":"t","lastIndex":"-1"},"maxWaitMs":"10000"}`)
		if messages, ok := poll["messages"].([]any); ok {
			request = messages[0].(map[string]any)
		}
	}
	result := map[string]any{"type": "Answer", "json": 42, "target": request["source"], "requestId": request["requestId"]}
	body, err := json.Marshal(map[string]any{"log": "result", "messages": []any{result}})
	if err != nil {
		t.Fatal(err)
	}
	mustPost(t, s, fluxv1connect.LogServiceAppendProcedure, string(body))
	answer := next(t, "answer", answered)
	if got := answer["result"].(map[string]any); got["json"] != float64(42) || answer["requestIndex"] != request["index"] {
		t.Errorf("answer %v to %v", answer, request)
	}
}

func TestRequestWithoutAnswerTimesOut(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	status, answer := post(t, s, fluxv1connect.LogServiceRequestProcedure, `{"log":"command","message":{"type":"Do"},"timeoutMs":"20"}`)
	wantJSONError(t, status, answer, http.StatusGatewayTimeout, "timeout")
}

// wantJSONError checks an answer that is an error.
func wantJSONError(t testing.TB, status int, answer map[string]any, wantStatus int, code string) {
	t.Helper()
	details, _ := answer["details"].([]any)
	if len(details) != 1 {
		t.Errorf("status %d, %v: want a detail", status, answer)
		return
	}
	debug, _ := details[0].(map[string]any)["debug"].(map[string]any)
	if status != wantStatus || debug["code"] != code || debug["hint"] == "" || answer["message"] == "" {
		t.Errorf("status %d, %v: want %d and %s", status, answer, wantStatus, code)
	}
}

func TestIdempotencyKeyMakesAppendsAndCommitsRepeatable(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	body := `{"log":"event","messages":[{"type":"a"},{"type":"b"}],"idempotencyKey":"k"}`
	first := mustPost(t, s, fluxv1connect.LogServiceAppendProcedure, body)
	second := mustPost(t, s, fluxv1connect.LogServiceAppendProcedure, body)
	if fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("answers %v and %v differ", first, second)
	}
	if got := mustPost(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"event"}`)["messages"].([]any); len(got) != 2 {
		t.Errorf("%d messages, want 2", len(got))
	}
	status, answer := post(t, s, fluxv1connect.LogServiceCommitProcedure,
		`{"transaction":{"positions":[{"log":"event","consumer":"c","lastIndex":"5"}]},"idempotencyKey":"k"}`)
	wantJSONError(t, status, answer, http.StatusConflict, "conflict")
}

func TestConditionsAreChecked(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	appendIf := `{"transaction":{"appends":[{"log":"event","messages":[{"type":"a"}],"ifLastIndex":"-1"}]}}`
	mustPost(t, s, fluxv1connect.LogServiceCommitProcedure, appendIf)
	status, answer := post(t, s, fluxv1connect.LogServiceCommitProcedure, appendIf)
	wantJSONError(t, status, answer, http.StatusConflict, "conflict")

	storeIf := `{"transaction":{"positions":[{"log":"event","consumer":"c","segments":{"start":0,"end":64},"lastIndex":"9","ifPosition":{%s}}]}}`
	mustPost(t, s, fluxv1connect.LogServiceCommitProcedure, fmt.Sprintf(storeIf, ""))
	status, answer = post(t, s, fluxv1connect.LogServiceCommitProcedure, fmt.Sprintf(storeIf, ""))
	wantJSONError(t, status, answer, http.StatusConflict, "conflict")
	mustPost(t, s, fluxv1connect.LogServiceCommitProcedure, fmt.Sprintf(storeIf, `"ranges":[{"start":0,"end":64,"lastIndex":"9"}]`))
}

func TestReadGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	var messages []string
	for i := range 25 {
		messages = append(messages, fmt.Sprintf(`{"type":"t%d"}`, i%2))
	}
	mustPost(t, s, fluxv1connect.LogServiceAppendProcedure, `{"log":"event","messages":[`+strings.Join(messages, ",")+`]}`)
	read, at, rounds := 0, "0", 0
	for caughtUp := false; !caughtUp; rounds++ {
		answer := mustPost(t, s, fluxv1connect.LogServiceReadProcedure,
			fmt.Sprintf(`{"log":"event","minIndex":"%s","maxSize":4,"typeFilter":"t1"}`, at))
		found, _ := answer["messages"].([]any)
		read += len(found)
		at, caughtUp = answer["nextIndex"].(string), answer["caughtUp"] == true
	}
	if read != 12 || rounds != 4 {
		t.Errorf("%d messages in %d rounds, want 12 in 4", read, rounds)
	}
}

func TestNamespacesDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	mustPost(t, s, fluxv1connect.LogServiceAppendProcedure, `{"log":"event","messages":[{"type":"a"}]}`, "Flux-Namespace", "one")
	for ns, want := range map[string]int{"one": 1, "two": 0, "": 0} {
		read := mustPost(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"event"}`, "Flux-Namespace", ns)
		if messages, _ := read["messages"].([]any); len(messages) != want {
			t.Errorf("namespace %q has %d messages, want %d", ns, len(messages), want)
		}
	}
	status, answer := post(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"event"}`, "Flux-Namespace", "a/b")
	wantJSONError(t, status, answer, http.StatusBadRequest, "bad_request")
}
