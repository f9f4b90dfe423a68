package recording

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

func TestListFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := request(1, "/orders/7")
	a.RequestID, a.Instance = "r-1", "host/1/1"
	a.Input = payload(t, map[string]any{"body": `{"orderId":1009,"note":"gift wrap"}`, "headers": map[string]any{"X-Shop": []string{"east"}}})
	b := failing(request(2, "/orders/70/items"), "insert order: duplicate key")
	b.Trigger.Method, b.Duration, b.Parent, b.Root, b.Relation = "PUT", 700*time.Millisecond, a.ID, a.ID, record.RelationRetry
	b.Logs = []record.LogLine{{Message: "Reserving stock for o-1009"}}
	b.Trigger.Trace = "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	c := request(3, "/health")
	c.Service, c.Trigger.Route, c.Trigger.Method = "billing", "/health", "GET"
	d := request(4, "custom/prices")
	d.Trigger.Kind, d.Trigger.Method, d.Duration, d.Status = record.TriggerMessage, "PriceChanged", 4*time.Second, record.StatusTimeout
	d.Links = []record.Link{{Kind: record.LinkCause, MessageID: "m-1", Log: "custom/prices"}, {Kind: record.LinkEffect, Execution: a.ID}}
	w.record(a, b, c, d)
	propose(t, w.e, &Pin{ID: c.ID})

	for name, test := range map[string]struct {
		filter Filter
		want   []byte
	}{
		"all":                   {Filter{}, []byte{4, 3, 2, 1}},
		"status":                {Filter{Status: record.StatusOK}, []byte{3, 1}},
		"failed":                {Filter{Failed: true}, []byte{4, 2}},
		"service":               {Filter{Service: "shop"}, []byte{4, 2, 1}},
		"service and status":    {Filter{Service: "shop", Status: record.StatusOK}, []byte{1}},
		"route":                 {Filter{Route: "POST /orders/{id}"}, []byte{4, 2, 1}},
		"route without method":  {Filter{Route: "/orders/{id}"}, []byte{4, 2, 1}},
		"route with another":    {Filter{Route: "GET /orders/{id}"}, nil},
		"path above":            {Filter{Path: "/orders"}, []byte{2, 1}},
		"path above with slash": {Filter{Path: "/orders/70/"}, []byte{2}},
		"path":                  {Filter{Path: "/orders/7"}, []byte{1}},
		"root path":             {Filter{Path: "/"}, []byte{3, 2, 1}},
		"part of a path":        {Filter{Path: "rders"}, []byte{2, 1}},
		"topic":                 {Filter{Path: "custom/prices"}, []byte{4}},
		"method":                {Filter{Method: "post"}, []byte{1}},
		"since":                 {Filter{Since: start.Add(3 * time.Second)}, []byte{4, 3}},
		"until":                 {Filter{Until: start.Add(3 * time.Second)}, []byte{2, 1}},
		"window":                {Filter{Since: start.Add(2 * time.Second), Until: start.Add(3 * time.Second)}, []byte{2}},
		"empty window":          {Filter{Since: start.Add(3 * time.Second), Until: start.Add(2 * time.Second)}, nil},
		"slow":                  {Filter{MinDuration: 500 * time.Millisecond}, []byte{4, 2}},
		"slower":                {Filter{MinDuration: 701 * time.Millisecond}, []byte{4}},
		"a little slow":         {Filter{MinDuration: 20 * time.Millisecond}, []byte{4, 3, 2, 1}},
		"error text":            {Filter{Text: "Duplicate KEY"}, []byte{2}},
		"log text":              {Filter{Text: "stock o-1009"}, []byte{2}},
		"payload text":          {Filter{Text: "1009"}, []byte{2, 1}},
		"path text":             {Filter{Text: "health"}, []byte{3}},
		"text in a header":      {Filter{Text: "east"}, nil},
		"text and path":         {Filter{Text: "1009", Path: "/orders/7"}, []byte{1}},
		"text of nobody":        {Filter{Text: "stock gift"}, nil},
		"where":                 {Filter{Where: conditions(t, "req.body.orderId=1009")}, []byte{1}},
		"where and failed":      {Filter{Where: conditions(t, "req.body.orderId=1009"), Failed: true}, nil},
		"request id":            {Filter{RequestID: "r-1"}, []byte{1}},
		"fingerprint":           {Filter{Fingerprint: record.Fingerprint(b)}, []byte{2}},
		"parent":                {Filter{Parent: a.ID}, []byte{2}},
		"root and relation":     {Filter{Root: a.ID, Relation: record.RelationRetry}, []byte{2}},
		"another relation":      {Filter{Root: a.ID, Relation: record.RelationReplay}, nil},
		"message":               {Filter{MessageID: "m-1"}, []byte{4}},
		"linked":                {Filter{Linked: a.ID}, []byte{4}},
		"kind":                  {Filter{Kind: record.TriggerMessage}, []byte{4}},
		"instance":              {Filter{Instance: "host/1/1"}, []byte{1}},
		"trace":                 {Filter{Trace: "0af7651916cd43dd8448eb211c80319c"}, []byte{2}},
		"pinned":                {Filter{Pinned: true}, []byte{3}},
	} {
		if got := w.list(&test.filter); string(got) != string(test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func conditions(t failer, all ...string) (parsed []Condition) {
	t.Helper()
	for _, text := range all {
		c, err := ParseCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, c)
	}
	return parsed
}

// TestListStopsWhenItHasWorkedEnough looks for what is not there, among so many that it takes several calls.
func TestListStopsWhenItHasWorkedEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []engine.Operation
	for i := range 500 {
		x := request(0, "/")
		x.ID = record.NewID()
		x.Start = start.Add(time.Duration(i) * time.Millisecond)
		body := make([]byte, 12_000)
		rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(body)
		x.Input = payload(t, map[string]any{"body": body, "wanted": i%125 == 0})
		all = append(all, newRecord(t, x))
	}
	propose(t, w.e, all...)
	want := 4
	f := &Filter{Where: conditions(t, "req.wanted=true")}
	calls, found, searched := 0, 0, start.Add(time.Hour).UnixMilli()
	for cursor := ""; calls == 0 || cursor != ""; calls++ {
		page, err := w.x.List(ns, f, cursor, 10)
		if err != nil || page.SearchedTo >= searched {
			t.Fatalf("search came from %d to %d (%v)", searched, page.SearchedTo, err)
		}
		cursor, searched, found = page.Next, page.SearchedTo, found+len(page.Items)
	}
	if calls < 2 || found != want {
		t.Errorf("%d calls found %d, want several that find %d", calls, found, want)
	}
}

func TestListRefusesBadCursors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, cursor := range []string{"x", "7", "00000000000000000", "zzzzzzzzzzzzzzzz"} {
		if _, err := w.x.List(ns, &Filter{}, cursor, 10); !errors.Is(err, ErrBadCursor) {
			t.Errorf("cursor %q: %v, want ErrBadCursor", cursor, err)
		}
	}
	if _, err := w.x.Issues(ns, nil, "x", 10); !errors.Is(err, ErrBadCursor) {
		t.Errorf("cursor of issues: %v, want ErrBadCursor", err)
	}
}
