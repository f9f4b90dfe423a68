package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/flux-go/flux/message"
)

// frame has the members of all results.
type frame struct {
	Type          string               `json:"@type"`
	RequestID     int64                `json:"requestId"`
	Timestamp     int64                `json:"timestamp"`
	Results       []json.RawMessage    `json:"results"`
	Message       string               `json:"message"`
	Success       bool                 `json:"success"`
	Position      message.Position     `json:"position"`
	Segment       message.SegmentRange `json:"segment"`
	Messages      json.RawMessage      `json:"messages"`
	LastSequence  int64                `json:"lastSequenceNumber"`
	AggregateIDs  map[string]string    `json:"aggregateIds"`
	Relationships []Relationship       `json:"relationships"`
	Value         *json.RawMessage     `json:"value"`
	Schedule      *json.RawMessage     `json:"schedule"`
	EventBatch    struct {
		AggregateID string          `json:"aggregateId"`
		Events      json.RawMessage `json:"events"`
	} `json:"eventBatch"`
	format       Format
	MessageBatch struct {
		Segment   message.SegmentRange `json:"segment"`
		Messages  json.RawMessage      `json:"messages"`
		LastIndex *message.Index       `json:"lastIndex"`
		Position  message.Position     `json:"position"`
		CaughtUp  bool                 `json:"caughtUp"`
	} `json:"messageBatch"`
}

// Every result that clients know is written as they expect it.
func TestResultsAreWrittenAsClientsReadThem(t *testing.T) {
	t.Parallel()
	for _, line := range frames(t, "testdata/results") {
		var f frame
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got := f.write(t)
		if want := parsed(t, []byte(line)); !reflect.DeepEqual(parsed(t, got), want) {
			t.Errorf("wrote %s\nwant  %s", got, line)
		}
		if !strings.HasPrefix(string(got), `{"@type":`) {
			t.Errorf("%s: the type is not first", got)
		}
	}
}

func frames(t *testing.T, path string) (lines []string) {
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		if !strings.HasPrefix(s.Text(), "#") {
			lines = append(lines, s.Text())
		}
	}
	if len(lines) < 20 {
		t.Fatalf("%s has %d frames", path, len(lines))
	}
	return lines
}

func parsed(t *testing.T, text []byte) (v any) {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// write writes the result from what is in the frame.
func (f *frame) write(t *testing.T) []byte {
	r := Result{ID: f.RequestID, Timestamp: f.Timestamp, Format: f.format}
	switch f.Type {
	case "void":
		return r.AppendVoid(nil)
	case "error":
		return r.AppendError(nil, f.Message)
	case "boolean":
		return r.AppendBoolean(nil, f.Success)
	case "claimSegmentResult":
		return r.AppendClaim(nil, f.Segment, f.Position)
	case "getPositionResult":
		return r.AppendPosition(nil, f.Position)
	case "getAggregateIdsResult":
		var all []Relationship
		for id, kind := range f.AggregateIDs {
			all = append(all, Relationship{AggregateID: id, AggregateType: kind})
		}
		return r.AppendAggregateIDs(nil, all)
	case "getRelationshipsResult":
		return r.AppendRelationships(nil, f.Relationships)
	case "getValueResult":
		return r.AppendValue(nil, f.value())
	case "getScheduleResult":
		return r.AppendSchedule(nil, f.schedule())
	case "resultBatch":
		return f.writeBatch(t)
	}
	return f.writeMessages(t, r)
}

func (f *frame) value() *Data {
	if f.Value == nil {
		return nil
	}
	d, _ := newReader(JSON, bytes.Clone(*f.Value), names{}).serialized()
	return &d
}

func (f *frame) schedule() *ScheduledMessage {
	if f.Schedule == nil {
		return nil
	}
	s := newReader(JSON, bytes.Clone(*f.Schedule), names{}).scheduledMessage()
	var stored struct{ Message struct{ Index message.Index } }
	_ = json.Unmarshal(*f.Schedule, &stored)
	s.Message.Index = stored.Message.Index
	return &s
}

func (f *frame) writeBatch(t *testing.T) []byte {
	var results [][]byte
	for _, raw := range f.Results {
		one := frame{format: f.format}
		if err := json.Unmarshal(raw, &one); err != nil {
			t.Fatal(err)
		}
		results = append(results, one.write(t))
	}
	return f.format.AppendBatch(nil, results)
}

func (f *frame) writeMessages(t *testing.T, r Result) []byte {
	var list MessageList
	switch f.Type {
	case "readResult":
		list = r.BeginRead(nil, f.MessageBatch.Segment)
		addMessages(t, &list, f.MessageBatch.Messages)
		return list.EndRead(f.MessageBatch.LastIndex, f.MessageBatch.Position, f.MessageBatch.CaughtUp)
	case "readFromIndexResult":
		list = r.BeginReadFromIndex(nil)
		addMessages(t, &list, f.Messages)
		return list.EndReadFromIndex()
	case "getEventsResult":
		list = r.BeginEvents(nil, f.EventBatch.AggregateID)
		addMessages(t, &list, f.EventBatch.Events)
		return list.EndEvents(f.LastSequence)
	}
	t.Fatalf("no way to write %s", f.Type)
	return nil
}

func addMessages(t *testing.T, list *MessageList, raw []byte) {
	var indexes []struct{ Index *message.Index }
	if err := json.Unmarshal(raw, &indexes); err != nil {
		t.Fatal(err)
	}
	r := newReader(JSON, raw, names{})
	for i, m := range r.messages() {
		if indexes[i].Index == nil {
			list.AddUnindexed(&m)
			continue
		}
		m.Index = *indexes[i].Index
		list.Add(&m)
	}
	if r.err != nil || r.bad != nil {
		t.Fatal(r.err, r.bad)
	}
}

func TestTextIsWrittenAsJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "plain", "a\"b\\c", "\x00\x1f\n\r\t\x7f", "é日本語😀", "a\xffb\xc3", "\u2028</script>", strings.Repeat("x", 1000) + "\n",
	} {
		got := appendString(nil, text)
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Errorf("%q: %s: %v", text, got, err)
		}
		if want := strings.ToValidUTF8(strings.ReplaceAll(text, "\xff", "\uFFFD"), "\uFFFD"); back != want {
			t.Errorf("%q came back as %q", text, back)
		}
	}
}

// Members that are absent are written as clients need them: lists and metadata never null, formats resolved.
func TestMessageHasNoNullThatClientsFailOn(t *testing.T) {
	t.Parallel()
	list := Result{ID: 1, Timestamp: 2}.BeginRead(nil, message.SegmentRange{})
	list.Add(&message.Message{Index: 1 << 60, Segment: -1, Routed: true, Timestamp: 3, ID: "m"})
	const want = `{"@type":"readResult","requestId":1,"messageBatch":{"segment":[0,0],"messages":[{"data":{"value":null,"type":null,` +
		`"revision":0,"format":"application/json"},"metadata":{},"segment":127,"index":1152921504606846976,"source":null,"target":null,` +
		`"requestId":null,"timestamp":3,"messageId":"m","originalRevision":0}],"lastIndex":null,"position":[],"caughtUp":true},"timestamp":2}`
	if got := string(list.EndRead(nil, message.Position{}, true)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
