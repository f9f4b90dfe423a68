package schedule

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

const (
	// maxOverdueMilli is how long after its due time a message may still get an index of it. It is less than the second by
	// which consumers that begin look back, so that none of them has passed that index.
	maxOverdueMilli = 500
	// maxFireBytes is the size after which a transaction fires nothing more.
	maxFireBytes = 4 << 20
)

var scheduleLog = message.Log{Type: message.Schedule}

// place is the key of a pending message.
type place struct {
	due int64
	id  string
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.due, q.due), strings.Compare(p.id, q.id))
}

// never is later than every due time.
const never = math.MaxInt64

// nowhere is after every place.
var nowhere = place{due: never}

// fire is the operation that moves messages to the log, which are in the order of their due times. It skips those that are
// not pending any more.
type fire struct {
	places []place
	// left is the first message that was not fired because there were too many or because it is not due by the engine's
	// clock, or nowhere. Set by Apply.
	left place
	// fired is the number of messages that were moved. Set by Apply.
	fired int
}

// SizeBytes implements engine.Operation.
func (f *fire) SizeBytes() int { return 512 * len(f.places) }

// Apply implements engine.Operation.
func (f *fire) Apply(tx *engine.Tx) error {
	f.left, f.fired = nowhere, 0
	if len(f.places) == 0 {
		return nil
	}
	last := f.places[len(f.places)-1]
	pending := tx.Lookup(append(dueKey(tx.Namespace(), last.due, last.id), 0))
	return errors.Join(f.apply(tx, pending), pending.Close())
}

func (f *fire) apply(tx *engine.Tx, pending *engine.Lookup) error {
	run := run{tx: tx}
	for _, p := range f.places {
		if p.due > tx.Milli() || run.bytes >= maxFireBytes {
			f.left = p
			break
		}
		key := dueKey(tx.Namespace(), p.due, p.id)
		block, err := pending.Get(key)
		if err != nil {
			return err
		}
		if block == nil {
			continue
		}
		if err := run.add(p.due, block); err != nil {
			return err
		}
		tx.Delete(key)
		tx.Delete(idKey(tx.Namespace(), p.id))
		f.fired++
	}
	return run.append()
}

// run is messages of one millisecond, which become one append.
type run struct {
	tx     *engine.Tx
	milli  int64
	blocks []byte
	bytes  int // of this run and those before it
}

func (r *run) add(due int64, block []byte) error {
	milli := due
	if due < r.tx.Milli()-maxOverdueMilli {
		milli = r.tx.Milli()
	}
	if milli != r.milli {
		if err := r.append(); err != nil {
			return err
		}
		r.milli = milli
	}
	r.blocks = append(r.blocks, block...)
	r.bytes += len(block)
	return nil
}

// append appends the run to the log and begins another.
func (r *run) append() error {
	if len(r.blocks) == 0 {
		return nil
	}
	a, err := messagelog.NewAppend(scheduleLog, r.blocks)
	if err != nil {
		return fmt.Errorf("%w: schedules that are due at %d: %w", engine.ErrCorrupt, r.milli, err)
	}
	a.Milli, r.blocks = r.milli, nil
	return a.Apply(r.tx)
}
