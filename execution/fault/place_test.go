package fault_test

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// here returns the file, as records name it, and the line of its caller.
func here() (file string, line int) {
	_, file, line, _ = runtime.Caller(1)
	return "execution/fault/" + path.Base(file), line
}

// ask is an operation of an adapter.
func ask(stack **fault.Stack) { *stack = fault.Here(0) }

func TestCallIsTheLineOfTheUser(t *testing.T) {
	t.Parallel()
	var stack *fault.Stack
	file, line := here()
	slices.SortFunc([]int{2, 1}, func(_, _ int) int { ask(&stack); return 0 })
	frames := stack.Frames()
	if len(frames) != 3 || !strings.HasSuffix(frames[0].Function, ".ask") {
		t.Fatalf("frames are %+v, want ask, the function of the test in it, and the test", frames)
	}
	for _, frame := range frames[1:] {
		if frame.File != file || frame.Line != line+1 || !strings.Contains(frame.Function, "TestCallIsTheLineOfTheUser") {
			t.Errorf("frame %+v, want %s:%d", frame, file, line+1)
		}
	}
	if call := stack.Call(); call != frames[0] {
		t.Errorf("call is %+v, want the innermost frame %+v", call, frames[0])
	}
}

func TestCaptureSkipsCallers(t *testing.T) {
	t.Parallel()
	var stack *fault.Stack
	func() { stack = fault.Here(1) }()
	file, line := here()
	if call := stack.Call(); call.File != file || call.Line != line-1 {
		t.Errorf("call is %+v, want %s:%d", call, file, line-1)
	}
	stack = fault.Here(100)
	if call := stack.Call(); (call != record.Frame{}) || stack.Frames() != nil {
		t.Errorf("call is %+v above all callers", call)
	}
}

// tracedError is as packages of errors do it that note where an error was made.
type tracedError struct{ counters []tracedCounter }

type tracedCounter uintptr

func (e *tracedError) Error() string               { return "traced" }
func (e *tracedError) StackTrace() []tracedCounter { return e.counters }

type calledError struct{ counters []uintptr }

func (e *calledError) Error() string      { return "called" }
func (e *calledError) Callers() []uintptr { return e.counters }

func TestErrorsThatCarryTheirStackTellIt(t *testing.T) {
	t.Parallel()
	counters := make([]uintptr, 8)
	file, line := here()
	counters = counters[:runtime.Callers(1, counters)]
	traced := &tracedError{}
	for _, counter := range counters {
		traced.counters = append(traced.counters, tracedCounter(counter))
	}
	for _, err := range []error{traced, &calledError{counters}} {
		frames := fault.Of(fmt.Errorf("load: %w", err)).Frames
		if len(frames) != 1 || frames[0].File != file || frames[0].Line != line+1 {
			t.Errorf("frames of %T are %+v, want %s:%d", err, frames, file, line+1)
		}
	}
}

// recovered returns what is recorded of a function that panics.
func recovered(f func()) (e *record.Error) {
	defer func() { e = fault.OfPanic(recover(), debug.Stack()) }()
	f()
	return nil
}

type order struct{ total int }

func TestPanicsTellTheirPlace(t *testing.T) {
	t.Parallel()
	file, line := here()
	e := recovered(func() {
		var missing *order
		missing.total++
	})
	if e.Class != record.ClassPanic || e.Type != "runtime.errorString" && e.Type != "runtime.errorAddressString" || !strings.Contains(e.Message, "nil pointer") {
		t.Errorf("class %s, type %s, message %q", e.Class, e.Type, e.Message)
	}
	if len(e.Frames) == 0 || e.Frames[0].File != file || e.Frames[0].Line != line+3 {
		t.Errorf("frames are %+v, want %s:%d first", e.Frames, file, line+3)
	}
	if !strings.Contains(e.Stack, "goroutine ") || fault.Rebuild(e) == nil {
		t.Errorf("stack is %q", e.Stack)
	}
}

func TestPanicsOfAnyValue(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	tests := []struct {
		value         any
		message, kind string
	}{
		{"text", "text", "string"},
		{7, "7", "int"},
		{order{3}, "{3}", "fault_test.order"},
		{fmt.Errorf("with %w", cause), "with cause", "*fmt.wrapError"},
		{(*brokenError)(nil), "(no text: Error of *fault_test.brokenError panicked)", "*fault_test.brokenError"},
	}
	for _, test := range tests {
		e := recovered(func() { panic(test.value) })
		if e.Message != test.message || e.Type != test.kind {
			t.Errorf("%T: message %q and type %s, want %q and %s", test.value, e.Message, e.Type, test.message, test.kind)
		}
	}
}

// brokenError panics whatever it is asked.
type brokenError struct{ text string }

func (e *brokenError) Error() string   { return e.text }
func (e *brokenError) Timeout() bool   { return e.text == "" }
func (e *brokenError) Is(error) bool   { return e.text == "" }
func (e *brokenError) Unwrap() []error { return []error{errors.New(e.text)} }

func TestErrorsWhoseMethodsPanic(t *testing.T) {
	t.Parallel()
	e := fault.Of(fmt.Errorf("load: %w", errors.Join(&tracedError{}, (*brokenError)(nil))))
	if e == nil || len(e.Chain) != 3 || e.Chain[2].Type != "*fault_test.brokenError" {
		t.Errorf("taken is %+v", e)
	}
	if fault.Rebuild(e) == nil {
		t.Error("nothing is rebuilt")
	}
}

func BenchmarkHere(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		deep(12, func() { fault.Here(0) })
	}
}

// deep calls a function below n others.
func deep(n int, f func()) {
	if n == 0 {
		f()
		return
	}
	deep(n-1, f)
}

func BenchmarkCall(b *testing.B) {
	var stack *fault.Stack
	deep(12, func() { stack = fault.Here(0) })
	b.ReportAllocs()
	for b.Loop() {
		_ = stack.Call()
	}
}
