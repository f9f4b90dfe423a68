package why

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// A rule looks at an inquiry and returns what it found.
type rule func(*inquiry) []Finding

// failureRules look for the cause of a failure, in the order in which they win over each other when equally sure.
var failureRules = []rule{
	panicked, crashed, sqlState, redisError, grpcCode, transport, httpAnswer, deadlines, decoding, poolExhausted, program,
}

// answers maps statuses of HTTP to what they mean for who called.
var answers = []struct {
	low, high  int
	rule, what string
	suggestion string
}{
	{429, 429, "http.rate-limited", "limits how often it may be called", "wait as long as Retry-After says, and try again with increasing pauses"},
	{401, 401, "http.unauthenticated", "did not accept the credentials", "check that the credentials are there, valid and not expired"},
	{403, 403, "http.forbidden", "does not allow this to these credentials", "check what the credentials are allowed to do"},
	{404, 404, "http.not-found", "has no such thing", "check the address and the id in it"},
	{408, 408, "http.request-timeout", "waited too long for the request", "send the request faster, or in smaller parts"},
	{409, 409, "http.conflict", "is in a state that this contradicts", "read the current state and decide again"},
	{413, 413, "http.too-large", "does not take so large a request", "send less at once"},
	{422, 422, "http.invalid", "found the content invalid", "compare the request with what it expects"},
	{400, 499, "http.client-error", "found the request wrong", "compare the request with what it expects"},
	{502, 502, "http.bad-gateway", "got no valid answer from behind it", "the fault is there; with an idempotency key it is safe to try again"},
	{503, 503, "http.unavailable", "is not available", "the fault is there; try again after a pause"},
	{504, 504, "http.gateway-timeout", "got no answer in time from behind it", "it may have taken effect: ask before trying again, or use an idempotency key"},
	{500, 599, "http.server-error", "failed", "the fault is there, not in the request, unless the body says otherwise"},
}

// httpAnswer finds calls that were answered with a status of failure.
func httpAnswer(q *inquiry) []Finding {
	var found []Finding
	for _, cp := range q.suspects {
		status := statusOf(cp)
		for _, a := range answers {
			if status < a.low || status > a.high {
				continue
			}
			f := about(cp, a.rule, "upstream", confidenceOf(q, cp), fmt.Sprintf("%s answered %d: it %s", hostOf(cp.Target), status, a.what), a.suggestion)
			if body := responseBody(cp); body != "" {
				f.Evidence = append(f.Evidence, Fact{"answer", body})
			}
			found = append(found, f)
			break
		}
	}
	return found
}

// confidenceOf says how surely the failure came from an operation.
func confidenceOf(q *inquiry, cp *record.Checkpoint) Confidence {
	switch {
	case cp.Error != nil && cp.Error.Message != "" && strings.Contains(q.text, cp.Error.Message):
		return Certain
	case len(q.suspects) == 1 || cp.Failure && mentions(q.text, cp):
		return Likely
	case len(q.suspects) > 0 && q.suspects[0] == cp && isLast(q.x, cp):
		return Likely
	}
	return Possible
}

// isLast says that nothing but operations without effect came after it in its lane.
func isLast(x *record.Execution, cp *record.Checkpoint) bool {
	for i := int(cp.Number) + 1; i < len(x.Checkpoints); i++ {
		if after := &x.Checkpoints[i]; after.Lane == cp.Lane && after.Effect != record.EffectNone {
			return false
		}
	}
	return true
}

// failures maps classes of errors of the network to what they mean.
var failures = map[record.ErrorClass]struct{ rule, what, suggestion string }{
	record.ClassDNSNotFound:  {"net.dns-not-found", "its name does not exist", "check the host name in the configuration, and the resolver"},
	record.ClassDNSTemporary: {"net.dns-temporary", "its name could not be resolved", "the resolver failed: check it, and try again"},
	record.ClassRefused:      {"net.refused", "nothing listens at its address", "check that it runs, and the port in the configuration"},
	record.ClassReset:        {"net.reset", "it closed the connection in the middle", "it may have restarted or crashed: look at its log"},
	record.ClassUnreachable:  {"net.unreachable", "there is no way to its address", "check the network and the routes between here and there"},
	record.ClassTLSExpired:   {"tls.expired", "its certificate has expired", "renew the certificate, and check the clock of this machine"},
	record.ClassTLSVerify:    {"tls.untrusted", "its certificate is not trusted", "check who issued the certificate, the name in it, and the roots here"},
	record.ClassTLSHandshake: {"tls.handshake", "no secure connection could be agreed on", "check that it speaks TLS on this port, and which versions"},
	record.ClassEOF:          {"net.eof", "it closed the connection without an answer", "it may have restarted, or closed an idle connection: try again if that is safe"},
	record.ClassUnexpectedEOF: {
		"net.cut", "its answer ended in the middle", "it may have crashed while it answered, or a proxy cut it off",
	},
	record.ClassProto:    {"net.protocol", "its answer is not of the protocol", "check that the address is that of the right service and port"},
	record.ClassTooLarge: {"net.too-large", "a message is larger than allowed", "raise the limit, or send less at once"},
	record.ClassClosed:   {"net.closed", "the connection was closed here", "it was used after Close, or the program was shutting down"},
}

// transport finds calls that failed before or instead of an answer.
func transport(q *inquiry) []Finding {
	var found []Finding
	for _, cp := range q.suspects {
		if cp.Error == nil {
			continue
		}
		if f, ok := failures[cp.Error.Class]; ok && code(cp) != "" && isSQL(cp) && len(code(cp)) == 5 {
			continue // the server answered with a code, which says more
		} else if ok {
			found = append(found, about(cp, f.rule, "network", confidenceOf(q, cp), "no answer from "+cmp.Or(hostOf(cp.Target), cp.Boundary)+": "+f.what, f.suggestion))
		}
	}
	return found
}

// deadlines finds out whose time ran out, or who gave up.
func deadlines(q *inquiry) []Finding {
	for _, cp := range q.suspects {
		if cp.Error == nil {
			continue
		}
		took := cp.Duration.Round(1e5).String()
		switch cp.Error.Class {
		case record.ClassDeadline:
			if cp.Duration < 1e6 && cp.Start > 0 && q.x.Status == record.StatusTimeout {
				return []Finding{about(cp, "context.already-done", "timeout", Likely,
					"the time of the request was over before "+describe(cp)+" began",
					"look at what took the time before it: "+q.slowest())}
			}
			return []Finding{about(cp, "timeout.operation", "timeout", confidenceOf(q, cp), describe(cp)+" did not answer within "+took,
				"find out why it is slow; it may have taken effect, so repeat it only with an idempotency key")}
		case record.ClassCanceled:
			return []Finding{about(cp, "canceled.operation", "canceled", confidenceOf(q, cp), describe(cp)+" was given up after "+took,
				"the client went away, or a sibling failed first: see the other findings")}
		}
	}
	return q.ownDeadline()
}

// ownDeadline finds executions that ran out of time or were given up without an operation to blame.
func (q *inquiry) ownDeadline() []Finding {
	switch q.x.Status {
	case record.StatusTimeout:
		return []Finding{{
			Rule: "timeout.execution", Category: "timeout", Confidence: Certain, Frame: q.frame(),
			Title: "the time of the request was over after " + q.x.Duration.Round(1e6).String(), Suggestion: "look at what took the time: " + q.slowest(),
		}}
	case record.StatusCancelled:
		return []Finding{{
			Rule: "canceled.client", Category: "canceled", Confidence: Likely, Frame: q.frame(),
			Title: "the client gave up after " + q.x.Duration.Round(1e6).String(), Suggestion: "compare that with how long the client waits: " + q.slowest(),
		}}
	}
	return nil
}

// slowest names the operation that took longest.
func (q *inquiry) slowest() string {
	var slow *record.Checkpoint
	for i := range q.x.Checkpoints {
		if cp := &q.x.Checkpoints[i]; slow == nil || cp.Duration > slow.Duration {
			slow = cp
		}
	}
	if slow == nil {
		return "no operation was recorded, so it was the program itself"
	}
	return fmt.Sprintf("op %d (%s) took %v of %v", slow.Number, describe(slow), slow.Duration.Round(1e5), q.x.Duration.Round(1e5))
}
