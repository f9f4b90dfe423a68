package recording

import (
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

// TestCheckFindsDamage writes or deletes, one at a time, what belongs to a sound execution.
func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	x, other := failing(request(1, "/orders"), "out of stock"), request(2, "/")
	at := placeAt(x.Start.UnixMilli(), 0x0100)
	fingerprint := record.Fingerprint(x)
	for name, damage := range map[string]change{
		"no id":               {executionKey(ns, x.ID), nil},
		"another place":       {executionKey(ns, x.ID), (at + 1).encode()},
		"no place":            {executionKey(ns, x.ID), []byte{1}},
		"an id too many":      {executionKey(ns, other.ID), at.encode()},
		"no summary":          {summaryKey(ns, at), nil},
		"bad summary":         {summaryKey(ns, at), []byte{summaryVersion, 0, 1, 1, 1}},
		"no record":           {recordKey(ns, at), nil},
		"bad record":          {recordKey(ns, at), []byte("nonsense")},
		"record of another":   {recordKey(ns, at), record.Append(nil, other)},
		"no arrival":          {arrivalKey(ns, 1), nil},
		"an arrival too many": {arrivalKey(ns, 2), at.encode()},
		"no posting":          {postingKey(ns, newTerm(termStatus, "error"), at), nil},
		"no word":             {postingKey(ns, newTerm(termWord, "stock"), at), nil},
		"a word too many":     {postingKey(ns, newTerm(termWord, "nonsense"), at), []byte{}},
		"no order of issues":  {issueOrderKey(ns, x.Start.UnixMilli(), fingerprint), nil},
		"bad issue":           {issueKey(ns, fingerprint), []byte{issueVersion, 9}},
		"no issue":            {issueKey(ns, fingerprint), nil},
		"bad lease":           {leaseKey(ns, x.ID), []byte{leaseVersion}},
		"lease of nothing":    {leaseKey(ns, other.ID), (&Lease{Token: 1, Holder: "h"}).encode()},
		"no totals":           {totalsKey(ns), nil},
		"bad totals":          {totalsKey(ns), []byte{totalsVersion}},
		"other totals":        {totalsKey(ns), (&totals{arrival: 1, executions: 2}).encode()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := open(t, engine.Options{})
			defer e.Close()
			propose(t, e, newRecord(t, x), &Acquire{Execution: x.ID, Holder: "h", TTL: time.Minute})
			wantSound(t, e)
			propose(t, e, damage)
			if len(problems(t, e)) == 0 {
				t.Error("check finds nothing")
			}
		})
	}
}

// change is an operation that writes one key, or deletes it when value is nil.
type change struct{ key, value []byte }

func (c change) SizeBytes() int { return 0 }
func (c change) Apply(tx *engine.Tx) error {
	if c.value == nil {
		tx.Delete(c.key)
	} else {
		tx.Set(c.key, c.value)
	}
	return nil
}
