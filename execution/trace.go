package execution

import (
	"encoding/hex"
	"net/http"
)

// SetTrace makes a traceparent, as the W3C defines it, that of the execution, for who it calls. One that is malformed is ignored.
// Adapters of other protocols than HTTP use it with what came with a request.
func (x *Execution) SetTrace(traceparent string) {
	if x == nil || traceparent == "" {
		return
	}
	trace := traceOf(http.Header{headerTrace: {traceparent}})
	x.update(func() { x.trace = trace })
}

// Trace returns the traceparent for what the execution calls, "" when it came with none.
func (x *Execution) Trace() string {
	if x == nil {
		return ""
	}
	x.mu.Lock()
	trace, id := x.trace, x.head.ID
	x.mu.Unlock()
	if trace == "" {
		return ""
	}
	return trace[:36] + hex.EncodeToString(id[:8]) + trace[52:]
}
