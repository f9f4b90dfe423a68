package messagelog

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

const day = 24 * int64(time.Hour/time.Millisecond)

// expire runs the transactions that are due at the time of the clock and returns how many operations they have.
func (s *store) expire(t failer) int {
	t.Helper()
	due, err := s.logs.Expired([]message.Namespace{ns}, s.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, tx := range due {
		count += len(tx.Operations)
		s.do(t, tx.Operations...)
	}
	return count
}

// payloads returns what a log shows, without indexes.
func (s *store) payloads(t failer, log message.Log) int {
	t.Helper()
	return len(readAll(t, s.fromLogs(log), message.Beginning, unlimited))
}

func TestRetentionByTypeAndSetting(t *testing.T) {
	t.Parallel()
	commands := message.Log{Type: message.Command}
	documents := message.Log{Type: message.Document, Topic: "films"}
	for _, test := range []struct {
		name string
		log  message.Log
		set  Retention
		kept int64 // in milliseconds, -1 for ever
	}{
		{"commands by default", commands, 0, 30 * day},
		{"custom by default", prices, 0, 30 * day},
		{"events by default", events, 0, -1},
		{"documents by default", documents, 0, -1},
		{"commands for ever", commands, Forever, -1},
		{"events for a minute", events, 60_000, 60_000},
		{"commands for a millisecond", commands, 1, 1},
		{"commands for the longest time", commands, maxRetention, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t)
			s.do(t, &SetRetention{test.log, test.set})
			s.append(t, test.log, "old")
			start := s.clock.milli.Load()
			if test.kept < 0 {
				s.clock.milli.Store(start + 3650*day)
				if n := s.expire(t); n != 0 || s.payloads(t, test.log) != 1 {
					t.Errorf("%d logs expire after ten years, want none", n)
				}
				return
			}
			s.clock.milli.Store(start + test.kept - 1)
			if n := s.expire(t); n != 0 || s.payloads(t, test.log) != 1 {
				t.Errorf("%d logs expire a millisecond too early", n)
			}
			s.clock.milli.Store(start + test.kept)
			s.append(t, test.log, "new")
			if n := s.expire(t); n != 1 || s.payloads(t, test.log) != 1 {
				t.Errorf("%d logs expire, %d messages are left, want 1 and 1", n, s.payloads(t, test.log))
			}
			if n := s.expire(t); n != 0 {
				t.Errorf("%d logs expire again, want none", n)
			}
		})
	}
}

func TestBadRetentionIsRefused(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for _, r := range []Retention{-2, math.MinInt64, maxRetention + 1, math.MaxInt64} {
		if err := s.try(&SetRetention{events, r}); !errors.Is(err, ErrBadRetention) {
			t.Errorf("retention of %d: %v, want ErrBadRetention", r, err)
		}
	}
	bad := message.Log{Type: message.Custom}
	for _, op := range []engine.Operation{&SetRetention{bad, 1}, &Truncate{bad, 1}, &Expire{bad}} {
		if err := s.try(op); !errors.Is(err, message.ErrBadLog) {
			t.Errorf("%T of a log without topic: %v, want ErrBadLog", op, err)
		}
	}
	if logs, err := s.logs.List(ns); err != nil || len(logs) != 0 {
		t.Errorf("logs %v (%v) after refusals, want none", logs, err)
	}
}

// TestRetentionRaisedInTimeSavesMessages raises the retention between the decision that a log expires and its commit.
func TestRetentionRaisedInTimeSavesMessages(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	s.do(t, &SetRetention{prices, 1000})
	s.append(t, prices, "a")
	s.clock.milli.Add(1000)
	due, err := s.logs.Expired([]message.Namespace{ns}, s.clock.now())
	if err != nil || len(due) != 1 {
		t.Fatalf("%d transactions are due (%v), want 1", len(due), err)
	}
	s.do(t, &SetRetention{prices, Forever})
	s.do(t, due[0].Operations...)
	if got := s.payloads(t, prices); got != 1 {
		t.Errorf("%d messages are left, want 1", got)
	}
}

func TestRetentionSurvivesRestart(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	s.do(t, &SetRetention{prices, 5000})
	s.reopen(t)
	head := s.head(t, prices)
	if kept, limited := head.KeptFor(prices); kept != 5*time.Second || !limited || head.Last != message.Beginning {
		t.Errorf("kept for %v (limited %v), last index %d, want 5s for a log without messages", kept, limited, head.Last)
	}
}

func TestExpiryWaitsForAWholeEntry(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	s.do(t, &SetRetention{prices, 1000})
	payloads := make([]string, 1<<15+10)
	s.append(t, prices, payloads[:1<<15-5]...)
	s.expire(t)
	s.append(t, prices, payloads...) // the last 5 have indexes of the next millisecond
	s.clock.milli.Store(2000)
	if n, left := s.expire(t), s.payloads(t, prices); n != 1 || left != 5 {
		t.Errorf("%d logs expire, %d messages are left, want 1 and 5", n, left)
	}
	if n := s.expire(t); n != 0 {
		t.Errorf("%d logs expire again, want none", n)
	}
	s.append(t, prices, "x")
	s.append(t, prices, "y")
	s.clock.milli.Store(2001)
	if n, left := s.expire(t), s.payloads(t, prices); n != 1 || left != 2 {
		t.Errorf("%d logs expire, %d messages are left, want 1 and 2", n, left)
	}
	s.do(t, &Truncate{prices, 1 << 62})
	if n := s.expire(t); n != 0 {
		t.Errorf("%d logs without messages expire, want none", n)
	}
}

func TestTruncationTellsSubscribersOnceAndNeverGoesBack(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	var told []Truncated
	s.Subscribe(func(events []any) {
		for _, event := range events {
			if event, ok := event.(Truncated); ok {
				told = append(told, event)
			}
		}
	})
	first := s.append(t, events, "a", "b", "c")
	for _, through := range []message.Index{message.Beginning, first - 1, first + 1, first, first + 1, 1 << 62} {
		s.do(t, &Truncate{message.Log{Type: message.Notification}, through})
	}
	want := []Truncated{{ns, events, first - 1}, {ns, events, first + 1}, {ns, events, first + 2}}
	if !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if head := s.head(t, events); head.Truncated != first+2 || head.Last != first+2 || head.Messages != 3 {
		t.Errorf("head %+v, want everything up to %d truncated", head, first+2)
	}
}

func TestTruncateAndAppendInOneGroupLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	a := newAppend(t, events, block(t, "a", "b"))
	s.do(t, a, &Truncate{events, 1 << 62}, newAppend(t, events, block(t, "c")))
	view := s.View()
	defer view.Close()
	it, err := view.ScanPrefix(messagePrefix(ns, events))
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for it.Next() {
		keys++
	}
	if err := it.Close(); err != nil || keys != 1 {
		t.Errorf("%d entries are stored (%v), want 1", keys, err)
	}
	if got, want := readAll(t, s.fromView(events), message.Beginning, unlimited), fmt.Sprintf("%d=c", s.head(t, events).Last); !slices.Equal(got, []string{want}) {
		t.Errorf("log has %q, want %q", got, want)
	}
}
