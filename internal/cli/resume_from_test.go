package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution/record"
)

// TestFromNamesAnOperation is F-82: by number or key, and never by a key that several have.
func TestFromNamesAnOperation(t *testing.T) {
	t.Parallel()
	x := &record.Execution{}
	for i, op := range [][3]string{
		{"http", "https://card.example", "POST /charge"},
		{"sql", "orders", "INSERT orders"},
		{"sql", "orders", "COMMIT"},
		{"http", "https://mail.example", "POST /send"},
		{"http", "https://mail.example", "POST /send"},
		{"redis", "cache", "SEND"},
	} {
		x.Checkpoints = append(x.Checkpoints, record.Checkpoint{Number: uint32(i), Boundary: op[0], Target: op[1], Shape: op[2]})
	}
	for text, want := range map[string]uint32{
		"3": 3, "9": 9, "POST /charge": 0, "http POST /charge": 0, "https://card.example": 0, "orders COMMIT": 2, "sql orders INSERT orders": 1,
		"charge": 0, "cache": 5, "INSERT": 1,
	} {
		if got, err := parseFrom(text, x); err != nil || *got != want {
			t.Errorf("%s: %v, %v, want %d", text, got, err, want)
		}
	}
	if got, err := parseFrom("", x); got != nil || err != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
	for text, want := range map[string]string{
		"POST /send": "any of these:\n  3  http https://mail.example POST /send\n  4  http", "orders": "\n  1  sql", "refund": "no operation", "-1": "no operation",
	} {
		var usage *usageError
		if _, err := parseFrom(text, x); !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
