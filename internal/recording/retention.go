package recording

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// ErrBadRetention is returned for limits that cannot be.
var ErrBadRetention = errors.New("bad retention")

// Unlimited is the limit that nothing reaches.
const Unlimited = -1

// Retention says how much is kept of the executions that are not pinned. 0 is the default of a limit.
type Retention struct {
	// Seconds since it was recorded. Defaults to 30 days.
	Seconds int64
	// Executions is their number. Defaults to Unlimited.
	Executions int64
	// Bytes of records. Defaults to 10 GiB.
	Bytes int64
}

// defaultRetention is what is in effect where nothing was set.
var defaultRetention = Retention{Seconds: 30 * 24 * 60 * 60, Executions: Unlimited, Bytes: 10 << 30}

const maxSeconds = 250 * 365 * 24 * 60 * 60

// Validate returns ErrBadRetention for limits that cannot be.
func (r Retention) Validate() error {
	switch {
	case r.Seconds < Unlimited || r.Seconds > maxSeconds:
		return fmt.Errorf("%w: %d seconds: use 1 to %d, 0 for the default, or -1 for ever", ErrBadRetention, r.Seconds, maxSeconds)
	case r.Executions < Unlimited:
		return fmt.Errorf("%w: %d executions: use 1 or more, 0 for the default, or -1 for no limit", ErrBadRetention, r.Executions)
	case r.Bytes < Unlimited:
		return fmt.Errorf("%w: %d bytes: use 1 or more, 0 for the default, or -1 for no limit", ErrBadRetention, r.Bytes)
	}
	return nil
}

func (r Retention) withDefaults() Retention {
	if r.Seconds == 0 {
		r.Seconds = defaultRetention.Seconds
	}
	if r.Executions == 0 {
		r.Executions = defaultRetention.Executions
	}
	if r.Bytes == 0 {
		r.Bytes = defaultRetention.Bytes
	}
	return r
}

// SetRetention is the operation that sets how much is kept in a namespace. It removes nothing itself: see Executions.Expire.
type SetRetention struct{ Retention Retention }

// SizeBytes implements engine.Operation.
func (s *SetRetention) SizeBytes() int { return leaseOverhead }

// Apply implements engine.Operation.
func (s *SetRetention) Apply(tx *engine.Tx) error {
	if err := s.Retention.Validate(); err != nil {
		return err
	}
	t, err := readTotals(tx)
	if err != nil {
		return err
	}
	t.retention = s.Retention
	t.write(tx)
	return nil
}

const (
	// expireBatch is how many executions one transaction removes.
	expireBatch = 128
	// expireLook is how many arrivals are looked at for it, more than expireBatch only where many are pinned.
	expireLook = 10_000
)

// Expire removes what is beyond the retention of a namespace, those that came first at first, and returns how many. It also
// forgets issues that were not seen for a year.
func (x *Executions) Expire(ctx context.Context, ns message.Namespace, now time.Time) (removed int, err error) {
	removed, err = x.expire(ctx, ns, now)
	return removed, errors.Join(err, x.forget(ctx, ns, now))
}

func (x *Executions) expire(ctx context.Context, ns message.Namespace, now time.Time) (removed int, err error) {
	for after, done := uint64(0), false; !done && err == nil; {
		var batch []engine.Operation
		batch, after, done, err = x.expired(ns, now, after)
		if err != nil || len(batch) == 0 {
			continue
		}
		err = x.engine.Propose(ctx, &engine.Transaction{Namespace: ns, Operations: batch})
		if errors.Is(err, engine.ErrConflict) {
			return removed, nil // one has just been recorded anew; the next round sees it as it is
		}
		for _, op := range batch {
			if err == nil && op.(*Remove).Removed {
				removed++
			}
		}
	}
	return removed, err
}

// expired returns operations that remove what is beyond the retention, of what came after an arrival, and the arrival after
// which to go on. It is done when there is nothing more to remove.
func (x *Executions) expired(ns message.Namespace, now time.Time, after uint64) (batch []engine.Operation, last uint64, done bool, err error) {
	view := x.engine.View()
	defer view.Close()
	r := reader{view, ns}
	t, err := r.totals()
	if err != nil || t.executions == 0 {
		return nil, after, true, err
	}
	end := engine.PrefixEnd(engine.AppendKey(nil, ns, engine.FamilyArrival))
	it, err := view.Scan(append(arrivalKey(ns, after), 0), end)
	if err != nil {
		return nil, after, true, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for looked := 0; looked < expireLook && len(batch) < expireBatch; looked++ {
		if !it.Next() {
			return batch, last, true, nil
		}
		item, at, err := r.arrivalItem(it)
		if err != nil {
			return nil, after, true, err
		}
		if last = item.Arrival; item.Pinned {
			continue
		}
		if !t.exceeded(item.Recorded, now) {
			return batch, last, true, nil
		}
		remove, err := r.newRemove(at)
		if err != nil {
			return nil, after, true, err
		}
		batch = append(batch, remove)
		t.add(item, -1)
	}
	return batch, last, false, nil
}

// exceeded says that what was recorded first, at a time, is beyond the retention.
func (t *totals) exceeded(recorded int64, now time.Time) bool {
	limit := t.retention.withDefaults()
	return limit.Seconds != Unlimited && now.UnixMilli()-recorded > limit.Seconds*1000 ||
		limit.Executions != Unlimited && t.executions > uint64(limit.Executions) ||
		limit.Bytes != Unlimited && t.bytes > uint64(limit.Bytes)
}

// issueAge is how long an issue is kept that is not seen any more.
const issueAge = 365 * 24 * time.Hour

// forget removes issues that were not seen for long.
func (x *Executions) forget(ctx context.Context, ns message.Namespace, now time.Time) error {
	for {
		batch, err := x.forgotten(ns, now.Add(-issueAge).UnixMilli())
		if err != nil || len(batch) == 0 {
			return err
		}
		if err := x.engine.Propose(ctx, &engine.Transaction{Namespace: ns, Operations: batch}); err != nil {
			return err
		}
	}
}

// forgotten returns operations that remove some of the issues that were seen last before a time.
func (x *Executions) forgotten(ns message.Namespace, before int64) (batch []engine.Operation, err error) {
	view := x.engine.View()
	defer view.Close()
	end := engine.PrefixEnd(engine.AppendKey(nil, ns, engine.FamilyIssueOrder))
	it, err := view.Scan(issueOrderKey(ns, before-1, ""), end)
	if err != nil {
		return nil, err
	}
	for err == nil && len(batch) < expireBatch && it.Next() {
		var key engine.Key
		key, err = engine.ParseKey(it.Key())
		batch = append(batch, &forget{key.Rest, int64(^key.Number)})
	}
	return batch, errors.Join(err, it.Close())
}

// forget is the operation that removes an issue, unless it was seen again.
type forget struct {
	fingerprint string
	lastSeen    int64
}

// SizeBytes implements engine.Operation.
func (f *forget) SizeBytes() int { return leaseOverhead }

// Apply implements engine.Operation.
func (f *forget) Apply(tx *engine.Tx) error {
	i, err := readIssue(tx, f.fingerprint)
	if err != nil || i == nil || i.LastSeen != f.lastSeen {
		return err
	}
	tx.Delete(issueKey(tx.Namespace(), f.fingerprint))
	tx.Delete(issueOrderKey(tx.Namespace(), f.lastSeen, f.fingerprint))
	return nil
}
