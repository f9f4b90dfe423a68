package why

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// A sign is a text by which a rule knows a failure of the program itself.
type sign struct {
	rule, category string
	pattern        *regexp.Regexp
	title          string // with what the pattern's group matched
	suggestion     string
}

// panics are the panics of the Go runtime.
var panics = []sign{
	{"panic.nil-map", "program", regexp.MustCompile(`assignment to entry in nil map`), "a map was written to that was never made", "make the map before writing to it"},
	{"panic.nil", "program", regexp.MustCompile(`nil pointer dereference|invalid memory address`), "a nil pointer was used", "find what was nil on this line, and where it should have been set or checked"},
	{"panic.index", "program", regexp.MustCompile(`index out of range \[?(.*?)\]?$`), "an index was out of range: %s", "check the length before indexing"},
	{"panic.slice", "program", regexp.MustCompile(`slice bounds out of range \[?(.*?)\]?$`), "slice bounds were out of range: %s", "check the length before slicing"},
	{"panic.type", "program", regexp.MustCompile(`interface conversion: (.*)`), "a value has another type: %s", "use the form of type assertion with two results"},
	{"panic.send-closed", "program", regexp.MustCompile(`send on closed channel`), "something was sent on a closed channel", "let only the sender close the channel, once all is sent"},
	{"panic.close-closed", "program", regexp.MustCompile(`close of (?:closed|nil) channel`), "a channel was closed that was closed already, or nil", "close it in one place, or with sync.Once"},
	{"panic.map-race", "program", regexp.MustCompile(`concurrent map (?:read and map write|writes|iteration and map write)`), "goroutines used a map at the same time", "guard the map with a mutex; go test -race shows where"},
	{"panic.deadlock", "program", regexp.MustCompile(`all goroutines are asleep`), "all goroutines wait for each other", "find who should have sent, unlocked or closed"},
	{"panic.divide", "program", regexp.MustCompile(`integer divide by zero`), "an integer was divided by zero", "check the divisor"},
	{"panic.negative-waitgroup", "program", regexp.MustCompile(`negative WaitGroup counter`), "Done was called more often than Add", "pair each Add with one Done, or use WaitGroup.Go"},
	{"panic.stack", "program", regexp.MustCompile(`stack overflow|stack exceeds`), "a function calls itself without end", "look at which functions repeat in the stack"},
}

// panicked finds panics.
func panicked(q *inquiry) []Finding {
	e := q.x.Error
	if e == nil || e.Class != record.ClassPanic {
		return nil
	}
	f := Finding{
		Rule: "panic.program", Category: "program", Confidence: Certain, Title: "panic: " + q.headline(), Frame: q.frame(),
		Suggestion: "the program itself called panic: look at why on this line",
	}
	for _, s := range panics {
		if title, ok := s.match(e.Message); ok {
			f.Rule, f.Title, f.Suggestion = s.rule, title, s.suggestion
			break
		}
	}
	if before := q.lastDone(); before != nil {
		f.Operations = []uint32{before.Number}
		f.Evidence = append(f.Evidence, Fact{"after", describe(before)})
	}
	return []Finding{f}
}

func (s *sign) match(message string) (title string, ok bool) {
	m := s.pattern.FindStringSubmatch(message)
	switch {
	case m == nil:
		return "", false
	case len(m) > 1:
		return fmt.Sprintf(s.title, cmp.Or(m[1:]...)), true
	}
	return s.title, true
}

// lastDone returns the last operation with effect, whatever came of it.
func (q *inquiry) lastDone() *record.Checkpoint {
	for i := len(q.x.Checkpoints) - 1; i >= 0; i-- {
		if cp := &q.x.Checkpoints[i]; cp.Effect != record.EffectNone {
			return cp
		}
	}
	return nil
}

// crashed finds executions whose process died.
func crashed(q *inquiry) []Finding {
	if q.x.Status != record.StatusCrashed {
		return nil
	}
	f := Finding{
		Rule: "process.died", Category: "crash", Confidence: Certain, Title: "the process died before this ended",
		Suggestion: "look at how it ended: kill, out of memory, os.Exit, a panic in another goroutine",
	}
	for i := range q.x.Checkpoints {
		if cp := &q.x.Checkpoints[i]; cp.State == record.StateInDoubt || cp.State == record.StateIntent {
			f.Operations = append(f.Operations, cp.Number)
			f.Evidence = append(f.Evidence, Fact{"in doubt", describe(cp)})
			f.Frame = cp.Call
		}
	}
	return []Finding{f}
}

// errorTexts are failures of the program that their text tells.
var errorTexts = []sign{
	{"decode.html", "decoding", regexp.MustCompile(`invalid character '<' looking for beginning of value`), "a page was decoded as JSON", "check status and content type before decoding"},
	{"decode.empty", "decoding", regexp.MustCompile(`unexpected end of JSON input|^EOF$|: EOF$`), "what was to be decoded ended too soon", "check that there is a body, and that it is complete"},
	{"decode.type", "decoding", regexp.MustCompile(`cannot unmarshal (.*)`), "a value has another type than expected: %s", "compare the type with what is sent"},
	{"decode.unknown-field", "decoding", regexp.MustCompile(`unknown field (.*)`), "a field is not known: %s", "add the field, or allow unknown ones"},
	{"decode.syntax", "decoding", regexp.MustCompile(`invalid character (.*)`), "what was decoded is not JSON: character %s", "look at the body, and check its content type before decoding"},
	{"decode.number", "decoding", regexp.MustCompile(`(?:strconv|parsing) .*?"(.*?)": (?:invalid syntax|value out of range)`), "%q is not a number that fits", "check the input before it is parsed"},
	{"decode.time", "decoding", regexp.MustCompile(`parsing time (.*)`), "a time could not be parsed: %s", "check the layout and the input"},
	{"input.invalid", "input", regexp.MustCompile(`(?i)validation|is required|must (?:be|not|have)|invalid (?:value|input|argument|request)`), "the input was found invalid", "answer with status 400, and say which field"},
	{"config.missing-env", "configuration", regexp.MustCompile(`(?i)environment variable (\S+)|(?:missing|unset|not set).*?\b([A-Z][A-Z0-9_]{2,})\b`), "a setting of the environment is missing: %s", "set it where the service is started"},
	{"sql.no-rows", "database", regexp.MustCompile(`sql: no rows in result set|no rows in result set`), "a row was expected, and there was none", "treat a missing row as an answer of its own"},
	{"sql.tx-done", "database", regexp.MustCompile(`transaction has already been committed or rolled back|tx is closed`), "a transaction was used after its end", "look for the Commit, Rollback or cancelled context before it"},
	{"redis.nil", "cache", regexp.MustCompile(`^redis: nil$|: redis: nil$`), "a key was expected, and there was none", "treat a missing key as an answer of its own"},
	{"file.not-found", "file", regexp.MustCompile(`(?:open|stat) (.*?): no such file or directory`), "the file %s does not exist", "check the path, and what is deployed with the program"},
	{"file.permission", "file", regexp.MustCompile(`(?:open|stat|mkdir) (.*?): permission denied`), "the file %s may not be used", "check owner and permissions"},
	{"disk.full", "capacity", regexp.MustCompile(`no space left on device`), "the disk is full", "free space, or move the data"},
	{"files.limit", "capacity", regexp.MustCompile(`too many open files`), "the process has too many files and connections open", "close bodies and rows, and raise the limit"},
	{"http.written-twice", "program", regexp.MustCompile(`superfluous response.WriteHeader`), "the answer was written twice", "return after writing an error"},
	{"auth.token", "input", regexp.MustCompile(`(?i)token (?:is expired|has expired|is invalid|signature)`), "a token was not accepted", "get a new token, and check the clocks of both sides"},
}

// decoding finds failures of decoding what an operation answered.
func decoding(q *inquiry) []Finding {
	return q.textRules(func(s *sign) bool { return s.category == "decoding" })
}

// program finds failures of the program itself that its error tells.
func program(q *inquiry) []Finding {
	return q.textRules(func(s *sign) bool { return s.category != "decoding" })
}

func (q *inquiry) textRules(want func(*sign) bool) []Finding {
	if q.x.Error == nil {
		return nil
	}
	for i := range errorTexts {
		s := &errorTexts[i]
		title, ok := s.match(q.x.Error.Message)
		if !ok || !want(s) {
			continue
		}
		f := Finding{Rule: s.rule, Category: s.category, Confidence: Likely, Title: title, Frame: q.frame(), Suggestion: s.suggestion}
		f.Evidence = append(f.Evidence, Fact{"error", shorten(q.headline(), 200)})
		if s.category == "decoding" {
			q.blameAnswer(&f)
		}
		return []Finding{f}
	}
	return nil
}

// blameAnswer adds the operation whose answer was decoded: the last that answered with a body, if it is the last of all.
func (q *inquiry) blameAnswer(f *Finding) {
	cp := q.lastDone()
	if cp == nil || cp.Boundary != "http" || responseBody(cp) == "" {
		return
	}
	f.Operations = []uint32{cp.Number}
	f.Evidence = append(f.Evidence, Fact{"decoded", responseBody(cp)}, Fact{"of", fmt.Sprintf("%s (%d)", describe(cp), statusOf(cp))})
	if kind, _ := field(cp.Response.Data, "header", "Content-Type").([]any); len(kind) > 0 {
		f.Evidence = append(f.Evidence, Fact{"content type", fmt.Sprint(kind[0])})
	}
}

// grpcCodes are the codes of gRPC. Source: gRPC, "Status codes and their use".
var grpcCodes = []meaning{
	{"Canceled", "grpc.canceled", "the call was given up", "the caller went away, or a sibling failed first"},
	{"Unknown", "grpc.unknown", "the service failed in a way it does not name", "look at its log"},
	{"InvalidArgument", "grpc.invalid-argument", "the service found the request invalid", "compare the request with what it expects"},
	{"DeadlineExceeded", "grpc.deadline", "the time of the call was over", "find out why it is slow; it may have taken effect"},
	{"NotFound", "grpc.not-found", "the service has no such thing", "check the id in the request"},
	{"AlreadyExists", "grpc.already-exists", "the thing is there already", "look for it first"},
	{"PermissionDenied", "grpc.permission", "these credentials may not do that", "check what they are allowed to do"},
	{"ResourceExhausted", "grpc.exhausted", "the service is at a limit", "try again with increasing pauses, or send less"},
	{"FailedPrecondition", "grpc.precondition", "the service is in a state that this contradicts", "read the state and decide again"},
	{"Aborted", "grpc.aborted", "a concurrent change came first", "repeat the whole operation"},
	{"OutOfRange", "grpc.out-of-range", "the request goes past the end", "check the range"},
	{"Unimplemented", "grpc.unimplemented", "the service does not have this method", "check versions and address"},
	{"Internal", "grpc.internal", "the service has an error of its own", "look at its log"},
	{"Unavailable", "grpc.unavailable", "the service is not there", "try again after a pause; check that it runs"},
	{"DataLoss", "grpc.data-loss", "the service lost data", "look at its log at once"},
	{"Unauthenticated", "grpc.unauthenticated", "the service did not accept the credentials", "check that they are there, valid and not expired"},
}

// grpcCode finds calls that a service refused.
func grpcCode(q *inquiry) []Finding {
	var found []Finding
	for _, cp := range q.suspects {
		if m, ok := lookup(grpcCodes, code(cp)); ok && cp.Boundary == "grpc" {
			found = append(found, about(cp, m.rule, "upstream", confidenceOf(q, cp), strings.TrimSpace(cp.Target+" "+cp.Shape)+": "+m.what, m.suggestion))
		}
	}
	return found
}
