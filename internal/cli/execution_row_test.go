package cli

import (
	"strings"
	"testing"
	"unicode/utf8"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// TestRowsDoNotControlTheTerminal lists what somebody sent who wanted more than an answer.
func TestRowsDoNotControlTheTerminal(t *testing.T) {
	t.Parallel()
	s := &screen{width: 120}
	evil := "/a\x1b[2J\x07\r\n\u202e\u009b31mb"
	row := s.executionLine(&fluxv1.ExecutionSummary{
		Id: "7c1e09ab-0000", Kind: "http", Service: evil, Method: evil, Path: evil, Status: "ok" + evil, Error: evil,
	})
	for _, bad := range []string{"\x1b", "\x07", "\r", "\n", "\u202e", "\u009b"} {
		if strings.Contains(row, bad) || strings.Contains(plain(evil), bad) {
			t.Errorf("%q has %q", row, bad)
		}
	}
	if !strings.Contains(row, "/a·[2J····") {
		t.Errorf("row %q", row)
	}
}

func TestColumnsAreAsWideAsTheyShould(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "     ", "äö": "äö   ", "abcde": "abcde", "abcdef": "abcd…"} {
		if got := fit(text, 5); got != want || utf8.RuneCountInString(got) != 5 {
			t.Errorf("%q fits as %q, want %q", text, got, want)
		}
	}
	for _, width := range []int{20, 80, 120, 400} {
		s := &screen{width: width}
		heading := s.executionHeading()
		row := s.executionLine(&fluxv1.ExecutionSummary{Id: "7c1e09ab-0000", Kind: "http", Method: "POST", Path: strings.Repeat("/orders", 20), Status: "error", Failed: true})
		if at, want := strings.Index(row, "7c1e09ab"), strings.Index(heading, "ID"); utf8.RuneCountInString(row[:at]) != utf8.RuneCountInString(heading[:want]) {
			t.Errorf("at width %d the id is below another column:\n%s\n%s", width, heading, row)
		}
	}
}
