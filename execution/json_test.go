package execution

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// texts are hard to write in JSON.
var texts = []string{
	"", "plain", `{"a": "b\\"}`, "two\nlines", "tab\tand\x00\x7f", "<a href='x'>&amp;</a>", "grüße", "\u2028\u2029", "broken \xff utf-8", "ends with {",
}

// TestTextsAreWrittenAsEncodingJSONDoes keeps the hashes of requests as they were.
func TestTextsAreWrittenAsEncodingJSONDoes(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		if got, want := appendText(nil, text), reflected(text); string(got) != string(want) {
			t.Errorf("text %q: %s, want %s", text, got, want)
		}
		body := record.NewBody([]byte(text), 100)
		if got, want := appendBody(nil, &body), reflected(body); string(got) != string(want) {
			t.Errorf("body %q: %s, want %s", text, got, want)
		}
	}
}

func TestMessagesAreWrittenAsTheirStruct(t *testing.T) {
	t.Parallel()
	rec, err := New(Config{Service: "test", Limits: Limits{BodyBytes: 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close(t.Context())
	_, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	for _, text := range texts {
		header := http.Header{"B": {text, "second"}, "A": {"first"}, "Date": nil, text: {"", text}}
		live := &liveMessage{
			method: text, url: text, host: text, status: len(text), reason: text, proto: text, uncompressed: text == "", unread: text != "",
			header: x.copyHeader(header), encoding: []string{"chunked"}[:len(text)%2], trailer: http.Header{"T": {text}},
		}
		live.announce(3)
		live.capture.begin(x)
		_, _ = io.WriteString(&live.capture, text)
		live.capture.cut()
		_, _ = io.WriteString(&live.capture, text+"more")
		body, chunks := live.capture.result()
		want := reflected(&httpMessage{
			Method: text, URL: text, Host: text, Status: len(text), Reason: text, Proto: text, Uncompressed: text == "", Unread: text != "",
			Header: header, Encoding: live.encoding, Trailer: live.trailer, Length: new(int64(3)), Body: body, Chunks: chunks,
		})
		if got := marshal(live); string(got) != string(want) {
			t.Errorf("message %q:\n%s, want\n%s", text, got, want)
		}
	}
	if got := marshal(&liveMessage{}); string(got) != "{}" {
		t.Errorf("no message is %s", got)
	}
}

func TestAttributesAreWrittenAsAMap(t *testing.T) {
	t.Parallel()
	for _, attrs := range [][]slog.Attr{
		nil,
		{slog.Int("b", -1), slog.String("a", texts[2]), slog.Bool("c", true), slog.Duration("d", time.Second), slog.Uint64("e", math.MaxUint64)},
		{slog.Int("a", 1), slog.Int("a", 2)},
		{slog.Int("", 1), slog.Float64("f", 0.5), slog.Time("t", time.Unix(0, 0).UTC())},
		{slog.Group("g", "a", 1), slog.Group("g", "b", 2), settled(slog.Any("e", errors.New("<no>")))},
	} {
		root := make(map[string]any)
		addAttrs(root, attrs)
		if got, want := marshal(&logAttrs{attrs: attrs}), reflected(root); string(got) != string(want) {
			t.Errorf("attributes %v: %s, want %s", attrs, got, want)
		}
	}
}

func TestStatementsAreWrittenAsTheirStruct(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		args := []driver.NamedValue{{Value: 1}, {Name: "n", Value: text}, {Value: []byte(text)}, {Value: nil}, {Value: 2.5}, {Value: time.Unix(1, 0).UTC()}}
		request := newSQLRequest(text, args)
		request.Isolation, request.ReadOnly = text, text == ""
		type plain sqlRequest
		if got, want := marshal(request), reflected((*plain)(request)); string(got) != string(want) {
			t.Errorf("request %q:\n%s, want\n%s", text, got, want)
		}
		for _, response := range responses(text) {
			if got, want := marshal(response), reflected(response.whole()); string(got) != string(want) {
				t.Errorf("response %q:\n%s, want\n%s", text, got, want)
			}
			if !json.Valid(marshal(response)) {
				t.Errorf("response %q is not JSON", text)
			}
		}
	}
}

// responses are of each kind.
func responses(text string) []*sqlResponse {
	rows := &sqlResponse{}
	set := rows.addSet([]column{{Name: text, Type: text}, {Name: "n", Go: "int64"}, {Name: "l", Length: new(int64(5))}})
	set.values, set.rows, set.truncated = []driver.Value{text, int64(1), []byte(text), nil, 1.5, true}, 2, text == ""
	two := &sqlResponse{}
	two.addSet([]column{})
	two.addSet(nil)
	return []*sqlResponse{
		{},
		rows, two, newResultResponse(nil), newResultResponse(driver.RowsAffected(3)), newResultResponse(driver.ResultNoRows),
		{closeError: true},
	}
}
