package messagelog

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// ErrBadRetention is returned for a retention that is neither a time nor one of the special values.
var ErrBadRetention = errors.New("bad retention")

// Forever is the retention of logs that are never truncated by age.
const Forever Retention = -1

// Retention is how long messages are kept, in milliseconds. Zero means the default of the log's type.
type Retention int64

// maxRetention is the longest time that a time.Duration can tell, 292 years.
const maxRetention = Retention(math.MaxInt64 / time.Millisecond)

// DefaultRetention is how long messages are kept that are neither events nor documents.
const DefaultRetention = 30 * 24 * time.Hour

// KeptFor returns how long messages are kept, and false for ever: events and documents unless set otherwise. Everything
// else is kept for DefaultRetention unless set otherwise.
func (h Head) KeptFor(log message.Log) (time.Duration, bool) {
	switch {
	case h.Retention > 0:
		return time.Duration(h.Retention) * time.Millisecond, true
	case h.Retention == Forever || log.Type == message.Event || log.Type == message.Document:
		return 0, false
	}
	return DefaultRetention, true
}

// expired returns the highest index whose messages are too old at a time, or message.Beginning. A message is as old as the
// millisecond of its index, and gone when it is exactly as old as it is kept for.
func (h Head) expired(log message.Log, now time.Time) message.Index {
	kept, limited := h.KeptFor(log)
	if !limited {
		return message.Beginning
	}
	return max(message.IndexAt(now.Add(time.Millisecond-kept))-1, message.Beginning)
}

// SetRetention is the operation that sets how long messages of a log are kept. A log without messages may have one too.
// Errors are message.ErrBadLog and ErrBadRetention.
type SetRetention struct {
	Log       message.Log
	Retention Retention
}

// SizeBytes implements engine.Operation.
func (s *SetRetention) SizeBytes() int { return 64 }

// Apply implements engine.Operation.
func (s *SetRetention) Apply(tx *engine.Tx) error {
	if s.Retention < Forever || s.Retention > maxRetention {
		return fmt.Errorf("%w: %d ms: use a time of up to %d ms, 0 for the default, or -1 for ever",
			ErrBadRetention, s.Retention, maxRetention)
	}
	return update(tx, s.Log, func(_ message.Log, head *Head) bool {
		changed := head.Retention != s.Retention
		head.Retention = s.Retention
		return changed
	})
}

// Truncated is the event of messages that were deleted.
type Truncated struct {
	Namespace message.Namespace
	Log       message.Log
	Through   message.Index
}

// Truncate is the operation that deletes all messages of a log up to and including an index. One below the first message
// changes nothing; one beyond the last deletes everything, and does not affect the indexes of messages to come.
type Truncate struct {
	Log     message.Log
	Through message.Index
}

// SizeBytes implements engine.Operation.
func (t *Truncate) SizeBytes() int { return 64 }

// Apply implements engine.Operation.
func (t *Truncate) Apply(tx *engine.Tx) error {
	return update(tx, t.Log, func(log message.Log, head *Head) bool { return truncate(tx, log, head, t.Through) })
}

// Expire is the operation that deletes what is older than the retention of a log, at the time at which it commits.
type Expire struct{ Log message.Log }

// SizeBytes implements engine.Operation.
func (e *Expire) SizeBytes() int { return 64 }

// Apply implements engine.Operation.
func (e *Expire) Apply(tx *engine.Tx) error {
	return update(tx, e.Log, func(log message.Log, head *Head) bool {
		return truncate(tx, log, head, head.expired(log, time.UnixMilli(tx.Milli())))
	})
}

// truncate deletes the entries up to an index, and reports whether the head changed.
func truncate(tx *engine.Tx, log message.Log, head *Head, through message.Index) bool {
	through = min(through, head.Last)
	if through <= head.Truncated {
		return false
	}
	head.Truncated = through
	prefix := messagePrefix(tx.Namespace(), log)
	tx.DeleteRange(prefix, engine.AppendUint64(prefix, uint64(through)+1))
	tx.Notify(Truncated{tx.Namespace(), log, through})
	return true
}

// update changes the head of a log, unless change returns false.
func update(tx *engine.Tx, log message.Log, change func(log message.Log, head *Head) bool) error {
	log = log.Stored()
	if err := log.Validate(); err != nil {
		return err
	}
	key := headKey(tx.Namespace(), log)
	head, err := loadHead(tx, key)
	if err != nil {
		return err
	}
	if change(log, &head) {
		tx.Set(key, head.encode())
	}
	return nil
}

// Expired returns the transactions that delete what is older than its log's retention, in all the namespaces given. Logs
// whose oldest entry is not wholly too old are left for later.
func (l *Logs) Expired(namespaces []message.Namespace, now time.Time) ([]*engine.Transaction, error) {
	view := l.engine.View()
	defer view.Close()
	var all []*engine.Transaction
	for _, ns := range namespaces {
		infos, err := listLogs(view, ns)
		if err != nil {
			return nil, err
		}
		tx := &engine.Transaction{Namespace: ns}
		for _, info := range infos {
			old, err := hasEntryThrough(view, ns, info, info.expired(info.Log, now))
			if err != nil {
				return nil, err
			}
			if old {
				tx.Operations = append(tx.Operations, &Expire{info.Log})
			}
		}
		if len(tx.Operations) > 0 {
			all = append(all, tx)
		}
	}
	return all, nil
}

// hasEntryThrough reports whether the log has an entry that ends at or before an index.
func hasEntryThrough(view *engine.View, ns message.Namespace, info Info, through message.Index) (bool, error) {
	if through <= info.Truncated {
		return false, nil
	}
	prefix := messagePrefix(ns, info.Log)
	it, err := view.Scan(engine.AppendUint64(prefix, uint64(info.Truncated+1)), engine.AppendUint64(prefix, uint64(through)+1))
	if err != nil {
		return false, err
	}
	found := it.Next()
	return found, it.Close()
}
