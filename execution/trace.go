package execution

import (
	"encoding/hex"

	"github.com/flux-go/flux/execution/record"
)

// SetTrace makes a traceparent, as the W3C defines it, that of the execution, for who it calls. One that is malformed is ignored.
// Adapters of other protocols than HTTP use it with what came with a request.
func (x *Execution) SetTrace(traceparent string) {
	if x == nil || traceparent == "" {
		return
	}
	x.update(func() { x.head.Trigger.Trace = validTrace(traceparent) })
}

// Trace returns the traceparent for what the execution calls, "" when it came with none.
func (x *Execution) Trace() string {
	if x == nil {
		return ""
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return withSpan(x.head.Trigger.Trace, x.head.ID)
}

// withSpan returns a traceparent with the first 8 bytes of an id as its span, "" for one that is malformed, as a record that is
// resumed may have it.
func withSpan(trace string, span record.ID) string {
	if validTrace(trace) == "" {
		return ""
	}
	return trace[:36] + hex.EncodeToString(span[:8]) + trace[52:]
}

// validTrace returns a traceparent, "" when it is not of a version we know.
func validTrace(trace string) string {
	if len(trace) != 55 || trace[:3] != "00-" || trace[35] != '-' || trace[52] != '-' {
		return ""
	}
	if _, err := hex.DecodeString(trace[3:35] + trace[36:52] + trace[53:]); err != nil {
		return ""
	}
	return trace
}
