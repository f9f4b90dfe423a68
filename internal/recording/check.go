package recording

import (
	"hash/maphash"
	"maps"
	"slices"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Check verifies executions: records and summaries that decode, and as many ids, arrivals and postings as these ask for (X2).
// What belongs together lies far apart, so it adds up hashes of what there is and of what there should be, by namespace, and
// can only say which part of a namespace is wrong. A Check is for one engine.View.Verify.
type Check struct {
	// Executions counts them.
	Executions uint64

	seed   maphash.Seed
	spaces map[message.Namespace]*space
}

// space is what a check has seen of a namespace. Sums are zero when everything is there.
type space struct {
	ids, records, arrivals, postings, issues uint64 // sums
	leases                                   map[record.ID]bool
	counted, stored                          totals
}

// NewCheck returns a check of executions for engine.View.Verify.
func NewCheck() *Check {
	return &Check{seed: maphash.MakeSeed(), spaces: make(map[message.Namespace]*space)}
}

// Families implements engine.Check.
func (c *Check) Families() []engine.Family {
	return []engine.Family{
		engine.FamilyExecution, engine.FamilySummary, engine.FamilyRecord, engine.FamilyPosting, engine.FamilyArrival,
		engine.FamilyIssue, engine.FamilyIssueOrder, engine.FamilyLease, engine.FamilyRecording,
	}
}

// Entry implements engine.Check.
func (c *Check) Entry(key engine.Key, value []byte, report engine.Report) {
	s := c.spaces[key.Namespace]
	if s == nil {
		s = &space{leases: make(map[record.ID]bool)}
		c.spaces[key.Namespace] = s
	}
	if err := c.entry(s, key, value); err != nil {
		report("%s", err)
	}
}

func (c *Check) entry(s *space, key engine.Key, value []byte) error {
	switch key.Family {
	case engine.FamilyExecution, engine.FamilyArrival:
		return c.pointer(s, key, value)
	case engine.FamilySummary:
		return c.summary(s, place(key.Number), value)
	case engine.FamilyRecord:
		return c.record(s, place(key.Number), value)
	case engine.FamilyPosting:
		s.postings += c.posting(term(key.Text), place(key.Number))
		return nil
	case engine.FamilyIssue:
		issue, err := decodeIssue(key.Rest, value)
		if err == nil {
			s.issues += c.hash(key.Rest, uint64(issue.LastSeen))
		}
		return err
	case engine.FamilyIssueOrder:
		s.issues -= c.hash(key.Rest, ^key.Number)
		return nil
	case engine.FamilyLease:
		s.leases[idOf(key)] = true
		_, err := decodeLease(idOf(key), value)
		return err
	default:
		var err error
		s.stored, err = decodeTotals(value)
		return err
	}
}

// pointer checks an id or an arrival, which point to a place.
func (c *Check) pointer(s *space, key engine.Key, value []byte) error {
	at, err := decodePlace(value)
	switch {
	case err != nil:
		return err
	case key.Family == engine.FamilyArrival:
		s.arrivals += c.hash("", key.Number, uint64(at))
	default:
		s.ids += c.hash(string(key.Bytes), uint64(at))
		delete(s.leases, idOf(key)) // leases came before
	}
	return nil
}

func (c *Check) summary(s *space, at place, value []byte) error {
	i, err := decodeItem(value)
	if err != nil {
		return err
	}
	c.Executions++
	s.counted.add(i, 1)
	s.counted.arrival = max(s.counted.arrival, i.Arrival)
	s.ids -= c.hash(string(i.ID[:]), uint64(at))
	s.arrivals -= c.hash("", i.Arrival, uint64(at))
	s.records += c.hash(string(i.ID[:]), uint64(at), i.Bytes)
	for _, term := range summaryTerms(&i.Summary) {
		s.postings -= c.posting(term, at)
	}
	if i.Pinned {
		s.postings -= c.posting(newTerm(termPinned, ""), at)
	}
	return nil
}

func (c *Check) record(s *space, at place, value []byte) error {
	x, err := record.Decode(value)
	if err != nil {
		return err
	}
	s.records -= c.hash(string(x.ID[:]), uint64(at), uint64(len(value)))
	for _, term := range wordTerms(x) {
		s.postings -= c.posting(term, at)
	}
	return nil
}

func (c *Check) posting(t term, at place) uint64 { return c.hash(string(t), uint64(at)) }

func (c *Check) hash(text string, numbers ...uint64) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.WriteString(text) // it never fails
	for _, n := range numbers {
		maphash.WriteComparable(&h, n)
	}
	return h.Sum64()
}

// End implements engine.Check.
func (c *Check) End(report engine.Report) {
	for _, ns := range slices.Sorted(maps.Keys(c.spaces)) {
		s := c.spaces[ns]
		for _, part := range []struct {
			name string
			sum  uint64
		}{
			{"ids", s.ids},
			{"records", s.records},
			{"arrivals", s.arrivals},
			{"postings", s.postings},
			{"orders of issues", s.issues},
			{"leases", uint64(len(s.leases))},
			{"counted executions", s.counted.executions - s.stored.executions},
			{"counted bytes", s.counted.bytes - s.stored.bytes},
			{"counted pins", s.counted.pinned - s.stored.pinned},
		} {
			if part.sum != 0 {
				report("executions of %s: the %s do not fit the executions", ns, part.name)
			}
		}
		if s.counted.arrival > s.stored.arrival {
			report("executions of %s: arrival %d, but only %d were given out", ns, s.counted.arrival, s.stored.arrival)
		}
	}
}
