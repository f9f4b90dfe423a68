package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

// ErrBadLease is returned for leases that cannot be.
var ErrBadLease = errors.New("bad lease")

// Bounds of leases.
const (
	MinLease      = time.Second
	MaxLease      = time.Hour
	maxHolderLen  = 256
	leaseVersion  = 1
	noToken       = 0
	leaseOverhead = 64
)

// Lease is the right of one holder to resume an execution, until a time.
type Lease struct {
	Execution record.ID
	Holder    string
	// Token is greater than that of every lease before, from 1.
	Token uint64
	// Expires is when others may have it, in milliseconds since the Unix epoch.
	Expires int64
}

// ValidateTTL returns ErrBadLease unless a lease may last so long.
func ValidateTTL(ttl time.Duration) error {
	if ttl < MinLease || ttl > MaxLease {
		return fmt.Errorf("%w: it is to last %s, use %s to %s", ErrBadLease, ttl, MinLease, MaxLease)
	}
	return nil
}

// Acquire is the operation that takes the lease of an execution. A holder that has it already keeps it, with its token, for
// longer. While another one has it, it is refused with engine.ErrConflict.
type Acquire struct {
	Execution record.ID
	// Holder is a name that nobody else has, of 1 to 256 bytes.
	Holder string
	TTL    time.Duration
	// Lease is what was taken, nil when there is no such execution. Set by Apply.
	Lease *Lease
}

// SizeBytes implements engine.Operation.
func (a *Acquire) SizeBytes() int { return len(a.Holder) + leaseOverhead }

// Apply implements engine.Operation.
func (a *Acquire) Apply(tx *engine.Tx) error {
	if err := a.validate(); err != nil {
		return err
	}
	found, err := tx.Get(executionKey(tx.Namespace(), a.Execution))
	if err != nil || found == nil {
		return err
	}
	held, err := readLease(tx, a.Execution)
	if err != nil {
		return err
	}
	l := &Lease{Execution: a.Execution, Holder: a.Holder, Expires: tx.Milli() + a.TTL.Milliseconds()}
	switch {
	case held != nil && held.Holder == a.Holder:
		l.Token = held.Token
	case held != nil && held.Expires > tx.Milli():
		return held.conflict()
	default:
		if l.Token, err = nextToken(tx); err != nil {
			return err
		}
	}
	l.write(tx)
	a.Lease = l
	return nil
}

func (a *Acquire) validate() error {
	if n := len(a.Holder); n == 0 || n > maxHolderLen {
		return fmt.Errorf("%w: its holder has %d bytes, use 1 to %d", ErrBadLease, n, maxHolderLen)
	}
	return ValidateTTL(a.TTL)
}

func (l *Lease) conflict() error {
	return engine.Conflict("execution %s is being resumed by %s until %s",
		l.Execution, l.Holder, time.UnixMilli(l.Expires).UTC().Format(time.RFC3339))
}

func nextToken(tx *engine.Tx) (uint64, error) {
	t, err := readTotals(tx)
	if err != nil {
		return noToken, err
	}
	t.token++
	t.write(tx)
	return t.token, nil
}

// Renew is the operation that prolongs a lease. It is refused with engine.ErrConflict when the lease was released, or another
// holder has got it; that it has expired alone is no reason.
type Renew struct {
	Fence
	TTL time.Duration
	// Lease is what it is now. Set by Apply.
	Lease *Lease
}

// Apply implements engine.Operation.
func (r *Renew) Apply(tx *engine.Tx) error {
	if err := ValidateTTL(r.TTL); err != nil {
		return err
	}
	l, err := r.held(tx)
	if err != nil {
		return err
	}
	l.Expires = tx.Milli() + r.TTL.Milliseconds()
	l.write(tx)
	r.Lease = l
	return nil
}

// Release is the operation that ends a lease, unless it has ended.
type Release struct {
	Fence
	// Released says that it was still held. Set by Apply.
	Released bool
}

// Apply implements engine.Operation.
func (r *Release) Apply(tx *engine.Tx) error {
	l, err := readLease(tx, r.Execution)
	if r.Released = l != nil && l.Token == r.Token; err != nil || !r.Released {
		return err
	}
	tx.Delete(leaseKey(tx.Namespace(), r.Execution))
	return nil
}

// Fence is the operation that refuses its transaction, with engine.ErrConflict, unless a lease is the newest of its execution
// and was not released.
type Fence struct {
	Execution record.ID
	Token     uint64
}

// SizeBytes implements engine.Operation.
func (f *Fence) SizeBytes() int { return leaseOverhead }

// Apply implements engine.Operation.
func (f *Fence) Apply(tx *engine.Tx) error {
	_, err := f.held(tx)
	return err
}

func (f *Fence) held(tx *engine.Tx) (*Lease, error) {
	l, err := readLease(tx, f.Execution)
	switch {
	case err != nil:
		return nil, err
	case l == nil:
		return nil, engine.Conflict("lease %d of execution %s has ended", f.Token, f.Execution)
	case l.Token != f.Token:
		return nil, l.conflict()
	}
	return l, nil
}

func readLease(tx *engine.Tx, id record.ID) (*Lease, error) {
	raw, err := tx.Get(leaseKey(tx.Namespace(), id))
	if err != nil || raw == nil {
		return nil, err
	}
	return decodeLease(id, raw)
}

func (l *Lease) write(tx *engine.Tx) { tx.Set(leaseKey(tx.Namespace(), l.Execution), l.encode()) }

// encode writes what is under family lease; docs/format/keys.md, leases.
func (l *Lease) encode() []byte {
	b := binary.AppendUvarint([]byte{leaseVersion}, l.Token)
	b = binary.AppendVarint(b, l.Expires)
	return append(b, l.Holder...)
}

// decodeLease is the counterpart of encode. It returns engine.ErrCorrupt.
func decodeLease(id record.ID, raw []byte) (*Lease, error) {
	if len(raw) == 0 || raw[0] != leaseVersion {
		return nil, corrupt("lease", raw)
	}
	n := numbers{raw: raw[1:]}
	l := &Lease{Execution: id, Token: n.unsigned(), Expires: n.signed()}
	if l.Holder = string(n.raw); n.bad || l.Token == noToken || l.Holder == "" || len(l.Holder) > maxHolderLen {
		return nil, corrupt("lease", raw)
	}
	return l, nil
}
