package server_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/message"
	"github.com/flux-go/flux/server"
)

func TestEventsAreStoredAndPublishedOverJSON(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	appendEvents := func(fields string) (int, map[string]any) {
		return post(t, s, fluxv1connect.EventStoreServiceAppendEventsProcedure, `{"append":{"aggregate":"order-7",`+fields+`}}`)
	}
	status, answer := appendEvents(`"events":[{"type":"A","json":1},{"type":"B","json":2}],"ifLastSequence":-1`)
	if status != http.StatusOK || answer["firstIndex"] == nil {
		t.Fatalf("append: %d %v", status, answer)
	}
	if status, answer := appendEvents(`"events":[{"type":"C","json":3}],"ifLastSequence":0`); status != http.StatusConflict || answer["code"] != "aborted" {
		t.Errorf("append on an old state: %d %v, want a conflict", status, answer)
	}
	if status, answer := appendEvents(`"events":[{"type":"D","json":4}],"storeOnly":true`); status != http.StatusOK ||
		answer["firstSequence"] != "2" || answer["firstIndex"] != nil {
		t.Errorf("append that is stored only: %d %v", status, answer)
	}
	page := mustPost(t, s, fluxv1connect.EventStoreServiceGetEventsProcedure, `{"aggregate":"order-7","lastSequence":0,"maxSize":1}`)
	if events := page["events"].([]any); len(events) != 1 || events[0].(map[string]any)["type"] != "B" || page["more"] != true {
		t.Errorf("page %v", page)
	}
	all := mustPost(t, s, fluxv1connect.EventStoreServiceGetEventsProcedure, `{"aggregate":"order-7"}`)
	if events := all["events"].([]any); len(events) != 3 || events[2].(map[string]any)["index"] != "-1" {
		t.Errorf("events %v", all)
	}
	log := mustPost(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"event"}`)
	if messages := log["messages"].([]any); len(messages) != 2 || messages[0].(map[string]any)["index"] != answer["firstIndex"] {
		t.Errorf("event log %v", log)
	}
	list := mustPost(t, s, fluxv1connect.EventStoreServiceListAggregatesProcedure, `{"prefix":"order"}`)
	if got := list["aggregates"].([]any)[0].(map[string]any); got["aggregate"] != "order-7" || got["events"] != "3" {
		t.Errorf("aggregates %v", list)
	}
	deleted := mustPost(t, s, fluxv1connect.EventStoreServiceDeleteEventsProcedure, `{"aggregate":"order-7"}`)
	if gone := mustPost(t, s, fluxv1connect.EventStoreServiceGetEventsProcedure, `{"aggregate":"order-7"}`); deleted["deleted"] != "3" ||
		gone["events"] != nil || gone["lastSequence"] != "-1" {
		t.Errorf("deleted %v, then %v", deleted, gone)
	}
}

func TestRepeatedAppendOfEventsGivesTheSameAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	body := `{"append":{"aggregate":"a","events":[{"type":"A"}],"ifLastSequence":-1},"idempotencyKey":"k"}`
	first := mustPost(t, s, fluxv1connect.EventStoreServiceAppendEventsProcedure, body)
	if again := mustPost(t, s, fluxv1connect.EventStoreServiceAppendEventsProcedure, body); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("first %v, then %v", first, again)
	}
}

func TestRelationsOverJSON(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	mustPost(t, s, fluxv1connect.EventStoreServiceUpdateRelationsProcedure,
		`{"add":[{"entity":"e","aggregate":"a","aggregateType":"T"},{"entity":"e","aggregate":"b"}]}`)
	mustPost(t, s, fluxv1connect.EventStoreServiceRepairRelationsProcedure, `{"aggregate":"a","entities":["f"]}`)
	got := mustPost(t, s, fluxv1connect.EventStoreServiceGetRelationsProcedure, `{"entity":"e"}`)
	if relations := got["relations"].([]any); len(relations) != 1 || relations[0].(map[string]any)["aggregate"] != "b" {
		t.Errorf("relations %v", got)
	}
}

func TestValuesOverJSON(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	put := func(fields string) map[string]any {
		return mustPost(t, s, fluxv1connect.KeyValueServicePutValueProcedure, `{"put":{"key":"prices/tea",`+fields+`}}`)
	}
	if first, second := put(`"value":{"type":"P","json":{"eur":2}},"ifAbsent":true`), put(`"value":{"json":3},"ifAbsent":true`); first["stored"] != true ||
		second["stored"] != nil {
		t.Errorf("put if absent says %v, then %v", first, second)
	}
	got := mustPost(t, s, fluxv1connect.KeyValueServiceGetValuesProcedure, `{"keys":["prices/tea","none"]}`)["values"].([]any)
	if value := got[0].(map[string]any)["value"].(map[string]any); value["type"] != "P" || value["json"].(map[string]any)["eur"] != 2.0 ||
		got[1].(map[string]any)["value"] != nil {
		t.Errorf("values %v", got)
	}
	if list := mustPost(t, s, fluxv1connect.KeyValueServiceListValuesProcedure, `{"prefix":"prices/"}`); len(list["values"].([]any)) != 1 {
		t.Errorf("list %v", list)
	}
	if deleted := mustPost(t, s, fluxv1connect.KeyValueServiceDeleteValueProcedure, `{"key":"prices/tea"}`); deleted["deleted"] != true {
		t.Errorf("delete says %v", deleted)
	}
	if status, answer := post(t, s, fluxv1connect.KeyValueServiceDeleteValueProcedure, `{"key":""}`); status != http.StatusBadRequest {
		t.Errorf("delete of the empty key: %d %v", status, answer)
	}
}

func TestSchedulesOverJSON(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	due := time.Now().Add(time.Hour).UnixMilli()
	mustPost(t, s, fluxv1connect.ScheduleServiceScheduleProcedure,
		fmt.Sprintf(`{"schedule":{"scheduleId":"later","at":%d,"message":{"type":"T","json":1}}}`, due))
	mustPost(t, s, fluxv1connect.ScheduleServiceScheduleProcedure,
		`{"schedule":{"scheduleId":"never","afterMs":7200000,"message":{"type":"T"}}}`)
	got := mustPost(t, s, fluxv1connect.ScheduleServiceGetScheduleProcedure, `{"scheduleId":"later"}`)["schedule"].(map[string]any)
	if got["due"] != fmt.Sprint(due) || got["message"].(map[string]any)["json"] != 1.0 {
		t.Errorf("schedule %v, due %d", got, due)
	}
	page := mustPost(t, s, fluxv1connect.ScheduleServiceListSchedulesProcedure, `{"maxSize":1}`)
	last := page["schedules"].([]any)[0].(map[string]any)
	rest := mustPost(t, s, fluxv1connect.ScheduleServiceListSchedulesProcedure,
		fmt.Sprintf(`{"after":{"scheduleId":%q,"due":%s}}`, last["scheduleId"], last["due"]))
	if page["more"] != true || rest["schedules"].([]any)[0].(map[string]any)["scheduleId"] != "never" {
		t.Errorf("first page %v, second %v", page, rest)
	}
	if canceled := mustPost(t, s, fluxv1connect.ScheduleServiceCancelScheduleProcedure, `{"scheduleId":"never"}`); canceled["canceled"] != true {
		t.Errorf("cancel says %v", canceled)
	}
	if status, answer := post(t, s, fluxv1connect.ScheduleServiceGetScheduleProcedure, `{"scheduleId":"never"}`); status != http.StatusNotFound {
		t.Errorf("get of a canceled schedule: %d %v", status, answer)
	}
	for _, bad := range []string{`"message":{}`, `"afterMs":1`, `"afterMs":9223372036854775807,"message":{}`} {
		body := `{"schedule":{"scheduleId":"bad",` + bad + `}}`
		if status, answer := post(t, s, fluxv1connect.ScheduleServiceScheduleProcedure, body); status != http.StatusBadRequest {
			t.Errorf("schedule %s: %d %v", bad, status, answer)
		}
	}
}

// A consumer finds the message of a schedule that is due at once.
func TestScheduledMessagesAreTracked(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	mustPost(t, s, fluxv1connect.ScheduleServiceScheduleProcedure,
		`{"schedule":{"scheduleId":"now","afterMs":0,"message":{"type":"T","json":"hello"}}}`)
	batch := mustPost(t, s, fluxv1connect.TrackingServicePollProcedure,
		`{"tracker":{"log":"schedule","consumer":"c","trackerId":"t","lastIndex":-1},"maxWaitMs":30000}`)
	if messages := batch["messages"].([]any); len(messages) != 1 || messages[0].(map[string]any)["json"] != "hello" {
		t.Errorf("batch %v", batch)
	}
}

// One transaction changes logs and all kinds of state, or none when a condition of one part does not hold.
func TestTransactionsSpanAllState(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	data := base64.StdEncoding.EncodeToString(block(t, 1, "T", message.Snappy))
	commit := func(last int) (int, map[string]any) {
		return post(t, s, fluxv1connect.LogServiceCommitProcedure, fmt.Sprintf(`{"transaction":{
			"appends":[{"log":"command","blocks":%q}],
			"events":[{"aggregate":"a","blocks":%q,"ifLastSequence":%d}],
			"values":[{"key":"k","value":{"json":%d}}],
			"deletedValues":["absent"],
			"schedules":[{"scheduleId":"s","afterMs":3600000,"block":%q}],
			"canceledSchedules":["absent"]}}`, data, data, last, last, data))
	}
	status, answer := commit(-1)
	got, _ := answer["firstIndexes"].([]any)
	if status != http.StatusOK || len(got) != 7 || got[1] != "0" || fmt.Sprint(got[3:]) != "[1 0 1 0]" {
		t.Fatalf("commit: %d %v", status, answer)
	}
	if status, answer := commit(7); status != http.StatusConflict {
		t.Fatalf("commit on a state that is not: %d %v", status, answer)
	}
	values := mustPost(t, s, fluxv1connect.KeyValueServiceGetValuesProcedure, `{"keys":["k"]}`)["values"].([]any)
	if got := values[0].(map[string]any)["value"].(map[string]any)["json"]; got != -1.0 {
		t.Errorf("the transaction that was refused left value %v", got)
	}
	if log := mustPost(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"command"}`); len(log["messages"].([]any)) != 1 {
		t.Errorf("log %v", log)
	}
}
