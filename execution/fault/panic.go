package fault

import (
	"fmt"
	"path"
	"runtime"
	"strconv"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// maxStackBytes is how much of the text of a stack is kept. A stack of endless recursion is long and says the same.
const maxStackBytes = 32 << 10

// OfPanic takes apart the value that recover returned and the stack of the goroutine, as debug.Stack writes it when it is
// called in the deferred function. Its class is always that of panics. For a value that is an error, the chain is that of
// the error.
func OfPanic(value any, stack []byte, own ...Kind) *record.Error {
	var e *record.Error
	if err, ok := value.(error); ok {
		e = Of(err, own...)
	} else {
		e = &record.Error{Message: panicText(value), Type: fmt.Sprintf("%T", value)}
	}
	e.Class = record.ClassPanic
	e.Frames = framesOfText(string(stack))
	if len(stack) > maxStackBytes {
		stack = stack[:maxStackBytes]
	}
	e.Stack = strings.ToValidUTF8(string(stack), "")
	return e
}

// panicText writes a value as the runtime does. Its own methods may panic.
func panicText(value any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("(no text: printing a %T panicked)", value)
		}
	}()
	text = fmt.Sprint(value)
	if len(text) > maxTextBytes {
		text = strings.ToValidUTF8(text[:maxTextBytes], "") + "…"
	}
	return text
}

// framesOfText returns the places in the text of a stack from the innermost function that panicked on. They are those that
// [Frames] would return.
func framesOfText(stack string) (places []record.Frame) {
	lines := strings.Split(stack, "\n")
	for i := range lines {
		if strings.HasPrefix(lines[i], "panic(") { // what is above belongs to deferred functions
			lines = lines[i+1:]
			break
		}
	}
	for i := 0; i+1 < len(lines); i++ {
		frame, ok := frameOfText(lines[i], lines[i+1])
		if !ok {
			continue
		}
		if p := placeOf(frame.Function); !p.standard && !p.flux(frame.File) {
			places = append(places, p.frame(frame))
		}
	}
	return places
}

// frameOfText reads the two lines of a function: "pkg.(*T).Method(0x1, …)" and "\t/file.go:12 +0x1f".
func frameOfText(call, at string) (frame runtime.Frame, ok bool) {
	at, ok = strings.CutPrefix(at, "\t")
	if !ok {
		return frame, false
	}
	call, _, _ = strings.Cut(call, " in goroutine ") // "created by f in goroutine 7"
	call, created := strings.CutPrefix(call, "created by ")
	if open := strings.LastIndexByte(call, '('); open > 0 && !created {
		call = call[:open]
	}
	at, _, _ = strings.Cut(at, " ")
	colon := strings.LastIndexByte(at, ':')
	if colon < 0 || path.Ext(at[:colon]) == "" {
		return frame, false
	}
	line, err := strconv.Atoi(at[colon+1:])
	return runtime.Frame{Function: call, File: at[:colon], Line: line}, err == nil
}
