package recording

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

var (
	exampleIssue = Issue{
		Status: IssueResolved, Count: 3, FirstSeen: 1756900800000, LastSeen: 1756900860000, Resolved: 1756904400000,
		Class: record.ClassApp, Title: "out of stock", Location: "shop/place.go:12", Services: []string{"billing", "shop"},
	}
	exampleLease  = Lease{Token: 300, Expires: 1756900830000, Holder: "ci-7"}
	exampleTotals = totals{7, 300, 5, 4096, 1, Retention{Seconds: 3600, Bytes: Unlimited}}
)

func TestKeysPageShowsWhatIsStored(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/format/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, encoded := range map[string][]byte{
		"totals": exampleTotals.encode(), "issue": exampleIssue.encode(), "lease": exampleLease.encode(),
	} {
		if example := fmt.Sprintf("`%x`", encoded); !strings.Contains(string(page), example) {
			t.Errorf("docs/format/keys.md has not %s for the %s", example, what)
		}
	}
}

// FuzzDecode gives bytes to all decoders: what they take they write in the same way, and all else is corrupt.
func FuzzDecode(f *testing.F) {
	x := Item{Summary: record.Summarize(failing(request(1, "/orders/7"), "out of stock")), Pinned: true, Recorded: 1, Arrival: 2, Bytes: 3}
	for _, seed := range [][]byte{x.encode(), exampleIssue.encode(), exampleLease.encode(), exampleTotals.encode(), nil, {1}, {1, 9}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		check := func(what string, err error, again func() []byte) {
			switch {
			case err != nil && !errors.Is(err, engine.ErrCorrupt):
				t.Errorf("%s: error %v is not of class ErrCorrupt", what, err)
			case err == nil && len(again()) > len(raw): // numbers may have been written longer than they need be
				t.Errorf("%s: %x is written as %x", what, raw, again())
			}
		}
		issue, err := decodeIssue("", raw)
		check("issue", err, func() []byte { return issue.encode() })
		lease, err := decodeLease(record.ID{}, raw)
		check("lease", err, func() []byte { return lease.encode() })
		if bytes.HasPrefix(raw, []byte{totalsVersion}) {
			totals, err := decodeTotals(raw)
			check("totals", err, func() []byte { return totals.encode() })
		}
		_, err = decodeItem(raw)
		check("summary", err, func() []byte { return nil })
	})
}
