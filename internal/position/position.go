// Package position keeps how far consumers have come in logs: per segment the last index that was dealt with.
//
// Invariants:
//
//	P1  Store never moves a segment back; only Reset does.
//	P2  A consumer that has a position has one for all segments, once it was started: Start fills those that are missing.
//
// Source: the tracking requests of the Flux Capacitor protocol; docs/protocol/tracking.md.
package position

import (
	"errors"
	"fmt"
	"strings"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// ErrBadConsumer is returned for names that cannot be a consumer's.
var ErrBadConsumer = errors.New("bad consumer name")

// maxConsumerLen is the longest name of a consumer, in bytes.
const maxConsumerLen = 512

// Consumer names the position of a consumer in a log. Events and notifications are different logs here.
type Consumer struct {
	Log  message.Log
	Name message.ConsumerName
}

// Validate reports whether the consumer can exist: a valid log, and a name of 1 to 512 bytes without NUL.
func (c Consumer) Validate() error {
	switch {
	case c.Name == "":
		return fmt.Errorf("%w: it is empty", ErrBadConsumer)
	case len(c.Name) > maxConsumerLen:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBadConsumer, len(c.Name), maxConsumerLen)
	case strings.ContainsRune(string(c.Name), 0):
		return fmt.Errorf("%w: %q contains a NUL byte", ErrBadConsumer, c.Name)
	}
	return c.Log.Validate()
}

// Changed is the event of a position that was written.
type Changed struct {
	Namespace message.Namespace
	Consumer  Consumer
	Position  message.Position
	// Reset says that the position may have moved back.
	Reset bool
}

// Store is the operation that raises the position of some segments. Segments that are further stay where they are.
type Store struct {
	Consumer Consumer
	Segments message.SegmentRange
	Last     message.Index
	// If makes the store conditional: it is refused with engine.ErrConflict unless the position of Segments is exactly the
	// one given. Segments that are missing there must be missing here. Nil means no condition.
	If *message.Position
}

// SizeBytes implements engine.Operation.
func (s *Store) SizeBytes() int { return 64 }

// Apply implements engine.Operation.
func (s *Store) Apply(tx *engine.Tx) error {
	return update(tx, s.Consumer, false, func(p message.Position) (message.Position, error) {
		if err := s.Segments.Validate(); err != nil {
			return p, err
		}
		if s.If != nil && !p.In(s.Segments).Equal(s.If.In(s.Segments)) {
			return p, engine.Conflict("position of consumer %s in %s is %s, not %s",
				s.Consumer.Name, s.Segments, p.In(s.Segments), s.If.In(s.Segments))
		}
		return p.With(s.Segments, s.Last), nil
	})
}

// Start is the operation that gives all segments without a position one: where the consumer is to start.
type Start struct {
	Consumer Consumer
	Last     message.Index
	// Position is the consumer's position afterwards. Set by Apply.
	Position message.Position
}

// SizeBytes implements engine.Operation.
func (s *Start) SizeBytes() int { return 64 }

// Apply implements engine.Operation.
func (s *Start) Apply(tx *engine.Tx) error {
	return update(tx, s.Consumer, false, func(p message.Position) (message.Position, error) {
		s.Position = p.Fill(s.Last)
		return s.Position, nil
	})
}

// Reset is the operation that moves all segments of a consumer to an index, in either direction.
type Reset struct {
	Consumer Consumer
	Last     message.Index
}

// SizeBytes implements engine.Operation.
func (r *Reset) SizeBytes() int { return 64 }

// Apply implements engine.Operation.
func (r *Reset) Apply(tx *engine.Tx) error {
	return update(tx, r.Consumer, true, func(message.Position) (message.Position, error) {
		return message.NewPosition(message.AllSegments, r.Last), nil
	})
}

// Delete is the operation that forgets the position of a consumer, which then starts like a new one.
type Delete struct{ Consumer Consumer }

// SizeBytes implements engine.Operation.
func (d *Delete) SizeBytes() int { return 64 }

// Apply implements engine.Operation.
func (d *Delete) Apply(tx *engine.Tx) error {
	if err := d.Consumer.Validate(); err != nil {
		return err
	}
	tx.Delete(positionKey(tx.Namespace(), d.Consumer))
	tx.Notify(Changed{Namespace: tx.Namespace(), Consumer: d.Consumer, Reset: true})
	return nil
}

func update(tx *engine.Tx, c Consumer, reset bool, f func(message.Position) (message.Position, error)) error {
	if err := c.Validate(); err != nil {
		return err
	}
	key := positionKey(tx.Namespace(), c)
	before, err := load(tx, key)
	if err != nil {
		return err
	}
	after, err := f(before)
	if err != nil || after.Equal(before) && !reset {
		return err
	}
	raw, err := after.AppendBinary(nil)
	if err != nil {
		return err
	}
	tx.Set(key, raw)
	tx.Notify(Changed{tx.Namespace(), c, after, reset})
	return nil
}

func positionKey(ns message.Namespace, c Consumer) []byte {
	key := engine.AppendLog(engine.AppendKey(make([]byte, 0, 96), ns, engine.FamilyPosition), c.Log)
	return engine.AppendText(key, string(c.Name))
}

type getter interface {
	Get(key []byte) ([]byte, error)
}

func load(from getter, key []byte) (message.Position, error) {
	raw, err := from.Get(key)
	if err != nil || raw == nil {
		return message.Position{}, err
	}
	p, err := message.DecodePosition(raw)
	if err != nil {
		return p, fmt.Errorf("%w: %w", engine.ErrCorrupt, err)
	}
	return p, nil
}

// Positions reads the positions of an engine. Safe for concurrent use.
type Positions struct{ engine *engine.Engine }

// New returns the reader of the engine's positions.
func New(e *engine.Engine) *Positions { return &Positions{e} }

// Get returns the position of a consumer, empty when it has none.
func (p *Positions) Get(ns message.Namespace, c Consumer) (message.Position, error) {
	view := p.engine.View()
	defer view.Close()
	return load(view, positionKey(ns, c))
}

// Info is a consumer with its position.
type Info struct {
	Consumer Consumer
	Position message.Position
}

// List returns the consumers of a log, or of all logs when log is nil, in the order of logs and names.
func (p *Positions) List(ns message.Namespace, log *message.Log) ([]Info, error) {
	prefix := engine.AppendKey(nil, ns, engine.FamilyPosition)
	if log != nil {
		prefix = engine.AppendLog(prefix, *log)
	}
	view := p.engine.View()
	defer view.Close()
	it, err := view.ScanPrefix(prefix)
	if err != nil {
		return nil, err
	}
	var all []Info
	for it.Next() {
		info, err := infoAt(it)
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		all = append(all, info)
	}
	return all, it.Close()
}

func infoAt(it *engine.Iterator) (Info, error) {
	key, err := engine.ParseKey(it.Key())
	if err != nil {
		return Info{}, err
	}
	raw, err := it.Value()
	if err != nil {
		return Info{}, err
	}
	p, err := message.DecodePosition(raw)
	if err != nil {
		return Info{}, fmt.Errorf("%w: %s: %w", engine.ErrCorrupt, key, err)
	}
	return Info{Consumer{key.Log, message.ConsumerName(key.Text)}, p}, nil
}

// NewCheck returns a check of positions for engine.View.Verify.
func NewCheck() engine.Check {
	return engine.CheckFunc{Family: engine.FamilyPosition, Check: func(key engine.Key, value []byte) error {
		if err := (Consumer{key.Log, message.ConsumerName(key.Text)}).Validate(); err != nil {
			return err
		}
		_, err := message.DecodePosition(value)
		return err
	}}
}
