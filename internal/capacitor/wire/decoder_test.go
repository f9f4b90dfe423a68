package wire

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

func TestRequestsAreReadAsClientsMeanThem(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/requests", func(t *testing.T, d *datadriven.TestData) string {
		var decoder Decoder
		requests, err := decoder.Requests([]byte(d.Input))
		if err != nil {
			return "error: " + err.Error() + "\n"
		}
		var out strings.Builder
		for _, request := range requests {
			out.WriteString(show(t, request))
		}
		return out.String()
	})
}

// show prints a request with all that is set in it.
func show(t *testing.T, request Request) string {
	b := request.base()
	bad, print := b.Err, b.Print
	b.Err, b.Print = nil, 0
	raw, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	b.Err, b.Print = bad, print
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	if raw, err = json.Marshal(withoutZeros(members)); err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprintf("%T wants answer: %v\n  %s\n", request, b.WantsAnswer(), raw)
	if bad != nil {
		out += fmt.Sprintf("  error: %v\n", bad)
	}
	return out
}

// withoutZeros leaves out what is not set. An empty payload differs from none and stays.
func withoutZeros(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			value = withoutZeros(value)
			m, isMap := value.(map[string]any)
			switch {
			case value == nil, value == false, value == 0.0, isMap && len(m) == 0, value == "" && name != "Payload" && name != "Value":
				delete(v, name)
			default:
				v[name] = value
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutZeros(v[i])
		}
	}
	return v
}

// The print of a request stays the same when it is sent again, within another batch too, and differs when a process that
// began to count anew reuses its id.
func TestPrintTellsResendsFromReusedIDs(t *testing.T) {
	t.Parallel()
	const first = `{"@type":"append","messages":[{"data":{"value":"e30="},"messageId":"m1"}],"guarantee":"STORED","requestId":0}`
	other := strings.Replace(first, "m1", "m2", 1)
	var decoder Decoder
	print := func(text string) uint64 {
		requests, err := decoder.Requests([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return requests[0].base().Print
	}
	want := print(first)
	if got := print(`{"@type":"requestBatch","requests":[` + first + `]}`); got != want {
		t.Errorf("in a batch: %x, want %x", got, want)
	}
	if got := print(strings.Replace(first, `"requestId"`, `"repeated":true,"requestId"`, 1)); got != want {
		t.Errorf("with a mark: %x, want %x", got, want)
	}
	if got := print(other); got == want {
		t.Error("other messages have the same print")
	}
}

func TestNestingHasALimit(t *testing.T) {
	t.Parallel()
	var decoder Decoder
	deep := `{"@type":"getValue","requestId":1,"x":` + strings.Repeat("[", 1_000_000)
	if _, err := decoder.Requests([]byte(deep)); err == nil || !strings.Contains(err.Error(), "nested too deeply") {
		t.Errorf("got %v", err)
	}
}
