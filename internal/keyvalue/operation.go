// Package keyvalue keeps values under keys: its operations put and delete, its reads get one, get many, and list by prefix.
//
// # The way of a value
//
//	NewPut: checked and encoded by the caller ─► Put.Apply: one write ─► disk ─► Values.Get: one point read, decoded
//
// A put that is not conditional reads nothing, so its cost does not depend on how many values there are. A put if absent, and
// a delete that is to tell what it deleted, look up the key first.
//
// # Invariants
//
//	V1  Under each key there is at most one value: the one that was put last, in the order of commits.
//	V2  Of several puts if absent of one key, with no delete between them, one takes effect.
//	V3  A value comes back with the type, revision, format and bytes it was put with.
//
// # What can go wrong
//
// Keys and values come from outside. Keys are 1 to [MaxKeyLen] bytes without NUL, values up to [MaxValueBytes]; others are
// refused before they are proposed. There is no history: who needs the value before the last keeps it elsewhere.
//
// Source: section "Key-value store" of the Flux Capacitor protocol, which has no listing.
package keyvalue

import (
	"errors"
	"fmt"
	"strings"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// ErrBadKey is returned for keys that cannot be.
var ErrBadKey = errors.New("bad key")

const (
	// MaxKeyLen is the longest key, in bytes.
	MaxKeyLen = 2048
	// MaxValueBytes is the largest value, its type and format included.
	MaxValueBytes = 64 << 20
)

// ValidateKey returns ErrBadKey unless a key is 1 to MaxKeyLen bytes without NUL.
func ValidateKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: it is empty", ErrBadKey)
	case len(key) > MaxKeyLen:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBadKey, len(key), MaxKeyLen)
	case strings.IndexByte(key, 0) >= 0:
		return fmt.Errorf("%w: %q contains a NUL byte", ErrBadKey, key)
	}
	return nil
}

// Put is the operation that puts a value under a key, over the one that may be there. Create it with NewPut.
type Put struct {
	// IfAbsent leaves a value that is there as it is. That is no error: see Stored.
	IfAbsent bool
	// Stored says that the value was put. Set by Apply.
	Stored bool

	key   string
	value []byte
}

// NewPut returns the operation that puts a value. It copies what it needs. Errors are ErrBadKey and engine.ErrTooLarge.
func NewPut(key string, v Value) (*Put, error) {
	if err := ValidateKey(key); err != nil {
		return nil, err
	}
	if n := len(v.Type) + len(v.Format) + len(v.Data); n > MaxValueBytes {
		return nil, fmt.Errorf("%w: value of %d bytes, at most %d", engine.ErrTooLarge, n, MaxValueBytes)
	}
	return &Put{key: key, value: v.encode()}, nil
}

// SizeBytes implements engine.Operation.
func (p *Put) SizeBytes() int { return len(p.key) + len(p.value) }

// Effect returns Stored, for producer.Once.
func (p *Put) Effect() bool { return p.Stored }

// Apply implements engine.Operation.
func (p *Put) Apply(tx *engine.Tx) error {
	key := valueKey(tx.Namespace(), p.key)
	if p.IfAbsent {
		raw, err := tx.Get(key)
		if err != nil {
			return err
		}
		if raw != nil {
			p.Stored = false
			return nil
		}
	}
	tx.Set(key, p.value)
	p.Stored = true
	return nil
}

// Delete is the operation that removes a value, if there is one.
type Delete struct {
	Key string
	// Deleted says that there was a value. Set by Apply.
	Deleted bool
}

// SizeBytes implements engine.Operation.
func (d *Delete) SizeBytes() int { return len(d.Key) }

// Effect returns Deleted, for producer.Once.
func (d *Delete) Effect() bool { return d.Deleted }

// Apply implements engine.Operation.
func (d *Delete) Apply(tx *engine.Tx) error {
	if err := ValidateKey(d.Key); err != nil {
		return err
	}
	key := valueKey(tx.Namespace(), d.Key)
	raw, err := tx.Get(key)
	if err != nil {
		return err
	}
	if d.Deleted = raw != nil; d.Deleted {
		tx.Delete(key)
	}
	return nil
}

func valueKey(ns message.Namespace, key string) []byte {
	size := len(ns) + 2 + len(key)
	return append(engine.AppendKey(make([]byte, 0, size), ns, engine.FamilyValue), key...)
}
