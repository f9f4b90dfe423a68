package execution_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

type hasLogValue struct{}

func (hasLogValue) LogValue() slog.Value { return slog.StringValue("resolved") }

// TestHandlerRecordsLinesAndForwardsThem is F-23.
func TestHandlerRecordsLinesAndForwardsThem(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t)
	var direct, through bytes.Buffer
	noTime := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	write := func(ctx context.Context, handler slog.Handler) {
		log := slog.New(handler).With("service", "shop").WithGroup("order").With("id", 7)
		log.InfoContext(ctx, "begun", "amount", 1.5, "took", 3*time.Second, slog.Group("customer", "name", "A", "vip", true))
		_, _ = execution.Do(ctx, execution.Op{Boundary: "world", Shape: "x", Effect: record.EffectRead}, func(context.Context) (int, error) { return 1, nil })
		log.WarnContext(ctx, "odd", "err", errors.New("went wrong"), "value", hasLogValue{}, "any", []int{1, 2})
		log.DebugContext(ctx, "detail")
	}
	write(t.Context(), slog.NewTextHandler(&direct, noTime))
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	write(ctx, rec.Handler(slog.NewTextHandler(&through, noTime)))
	x.End(nil)
	of := <-kept
	if direct.String() != through.String() {
		t.Errorf("directly:\n%s\nthrough the recorder:\n%s", direct.String(), through.String())
	}
	want := []struct {
		after uint32
		level int
		text  string
		attrs string
	}{
		{0, 0, "begun", `{"order":{"amount":1.5,"customer":{"name":"A","vip":true},"id":7,"took":"3s"},"service":"shop"}`},
		{1, 4, "odd", `{"order":{"any":[1,2],"err":"went wrong","id":7,"value":"resolved"},"service":"shop"}`},
		{1, -4, "detail", `{"order":{"id":7},"service":"shop"}`},
	}
	if len(of.Logs) != len(want) {
		t.Fatalf("recorded %+v", of.Logs)
	}
	for i, w := range want {
		got := of.Logs[i]
		if got.After != w.after || got.Level != w.level || got.Message != w.text || string(got.Attrs.Data) != w.attrs || got.Lane != "root" ||
			got.At <= 0 || !strings.HasSuffix(got.Source.File, "slog_test.go") {
			t.Errorf("line %d: %+v %s", i, got, got.Attrs.Data)
		}
	}
}

func TestReportComparesLogs(t *testing.T) {
	t.Parallel()
	program := func(lines ...string) func(context.Context, *world) error {
		return func(ctx context.Context, w *world) error {
			log := slog.New((&execution.Recorder{}).Handler(slog.DiscardHandler))
			for _, line := range lines {
				log.InfoContext(ctx, line)
			}
			return nil
		}
	}
	// The handler records what the one behind it wants, so it must want something.
	slogged := func(lines ...string) func(context.Context, *world) error {
		return func(ctx context.Context, w *world) error {
			log := slog.New((&execution.Recorder{}).Handler(slog.NewTextHandler(&bytes.Buffer{}, nil)))
			for _, line := range lines {
				log.InfoContext(ctx, line)
			}
			return nil
		}
	}
	if of := run(t, newWorld(), program("unwanted")); len(of.Logs) != 0 {
		t.Errorf("recorded %+v", of.Logs)
	}
	of := run(t, newWorld(), slogged("a", "b", "c", "d"))
	report := replay(t, newWorld(), of, nil, slogged("a", "c", "x", "d"))
	var got []string
	for _, l := range report.Logs {
		got = append(got, l.Change+l.Line.Message)
	}
	if strings.Join(got, " ") != "=a -b =c +x =d" {
		t.Errorf("compared: %v", got)
	}
	if report.Outcome != execution.OutcomeSame {
		t.Errorf("lines of a log are no reason to diverge: %v", report)
	}
}

func TestLogLinesOverTheLimitAreCounted(t *testing.T) {
	t.Parallel()
	kept := make(chan *record.Execution, 1)
	rec, err := execution.New(execution.Config{
		Service: "shop", Keep: execution.Keep{All: true}, Limits: execution.Limits{Logs: 3}, OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	log := slog.New(rec.Handler(slog.NewTextHandler(&bytes.Buffer{}, nil)))
	for range 5 {
		log.InfoContext(ctx, "line")
	}
	x.End(nil)
	if of := <-kept; len(of.Logs) != 3 || of.Dropped.Logs != 2 {
		t.Errorf("%d lines, %+v dropped", len(of.Logs), of.Dropped)
	}
	_ = rec.Close(t.Context())
}
