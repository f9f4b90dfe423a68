package schedule

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

var (
	// ErrBadID is returned for schedule ids that cannot be.
	ErrBadID = errors.New("bad schedule id")
	// ErrBadTime is returned for times that are too far away to have an index.
	ErrBadTime = errors.New("bad due time")
	// ErrNotOne is returned for blocks that have not exactly one message.
	ErrNotOne = errors.New("a schedule has exactly one message")
)

const (
	// MaxIDLen is the longest id of a schedule, in bytes.
	MaxIDLen = 1024
	// maxMilli is the latest due time, in the year 4199.
	maxMilli = 1 << 46
)

// ValidateID returns ErrBadID unless an id is 1 to MaxIDLen bytes without NUL.
func ValidateID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: it is empty", ErrBadID)
	case len(id) > MaxIDLen:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBadID, len(id), MaxIDLen)
	case strings.IndexByte(id, 0) >= 0:
		return fmt.Errorf("%w: %q contains a NUL byte", ErrBadID, id)
	}
	return nil
}

// Put is the operation that schedules a message, in place of the pending one with the same id, if there is one. Create it
// with NewPut.
type Put struct {
	// IfAbsent leaves a pending schedule with the id as it is. That is no error: see Stored.
	IfAbsent bool
	// Stored says that the message was scheduled. Set by Apply.
	Stored bool

	id    string
	due   int64
	block []byte
}

// NewPut returns the operation that schedules the message in block at a time. A time before now is taken as now, which is the
// time by the engine's clock. Put keeps block, which must not change afterwards; one from outside is to be checked with
// message.Block.Validate. Errors are ErrBadID, ErrBadTime, ErrNotOne, and those of message.SummarizeBlocks.
func NewPut(id string, due, now time.Time, block []byte) (*Put, error) {
	if err := ValidateID(id); err != nil {
		return nil, err
	}
	milli := max(due.UnixMilli(), now.UnixMilli())
	if milli < 0 || milli > maxMilli {
		return nil, fmt.Errorf("%w: %s", ErrBadTime, due.UTC())
	}
	if err := checkBlock(block); err != nil {
		return nil, err
	}
	return &Put{id: id, due: milli, block: block}, nil
}

func checkBlock(block []byte) error {
	summary, err := message.SummarizeBlocks(block)
	if err != nil {
		return err
	}
	if summary.Count != 1 || summary.Span != 1 {
		return fmt.Errorf("%w, not %d", ErrNotOne, summary.Count)
	}
	return nil
}

// SizeBytes implements engine.Operation.
func (p *Put) SizeBytes() int { return 2*len(p.id) + len(p.block) }

// Due is the time at which the message is due.
func (p *Put) Due() time.Time { return time.UnixMilli(p.due).UTC() }

// Effect returns Stored, for producer.Once.
func (p *Put) Effect() bool { return p.Stored }

// Apply implements engine.Operation.
func (p *Put) Apply(tx *engine.Tx) error {
	key := idKey(tx.Namespace(), p.id)
	raw, err := tx.Get(key)
	if err != nil {
		return err
	}
	if p.Stored = raw == nil || !p.IfAbsent; !p.Stored {
		return nil
	}
	if raw != nil {
		before, err := decodeDue(raw)
		if err != nil {
			return err
		}
		tx.Delete(dueKey(tx.Namespace(), before, p.id))
	}
	tx.Set(key, engine.AppendUint64(nil, uint64(p.due)))
	tx.Set(dueKey(tx.Namespace(), p.due, p.id), p.block)
	tx.Notify(put{tx.Namespace(), p.due})
	return nil
}

// put is the event of a message that was scheduled.
type put struct {
	ns  message.Namespace
	due int64
}

// Cancel is the operation that removes a pending schedule, if there is one.
type Cancel struct {
	ID string
	// Canceled says that there was one. Set by Apply.
	Canceled bool
}

// SizeBytes implements engine.Operation.
func (c *Cancel) SizeBytes() int { return 2 * len(c.ID) }

// Effect returns Canceled, for producer.Once.
func (c *Cancel) Effect() bool { return c.Canceled }

// Apply implements engine.Operation.
func (c *Cancel) Apply(tx *engine.Tx) error {
	if err := ValidateID(c.ID); err != nil {
		return err
	}
	key := idKey(tx.Namespace(), c.ID)
	raw, err := tx.Get(key)
	if c.Canceled = raw != nil; err != nil || raw == nil {
		return err
	}
	due, err := decodeDue(raw)
	if err != nil {
		return err
	}
	tx.Delete(key)
	tx.Delete(dueKey(tx.Namespace(), due, c.ID))
	return nil
}

func idKey(ns message.Namespace, id string) []byte {
	size := len(ns) + 2 + len(id)
	return append(engine.AppendKey(make([]byte, 0, size), ns, engine.FamilySchedule), id...)
}

func dueKey(ns message.Namespace, due int64, id string) []byte {
	size := len(ns) + 2 + 8 + len(id)
	key := engine.AppendKey(make([]byte, 0, size), ns, engine.FamilyDue)
	return append(engine.AppendUint64(key, uint64(due)), id...)
}

// decodeDue returns the due time that is stored under an id.
func decodeDue(raw []byte) (int64, error) {
	if len(raw) != 8 || binary.BigEndian.Uint64(raw) > maxMilli {
		return 0, fmt.Errorf("%w: due time %x", engine.ErrCorrupt, raw)
	}
	return int64(binary.BigEndian.Uint64(raw)), nil
}
