package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options configure an engine. The zero value is usable.
type Options struct {
	// FS is the file system. Defaults to the operating system's.
	FS vfs.FS
	// Clock gives the time of transactions. Defaults to time.Now.
	Clock func() time.Time
	// MaxTransactionBytes bounds one transaction. Defaults to 256 MiB.
	MaxTransactionBytes int
	// CacheBytes bounds the cache of store blocks. Defaults to 64 MiB.
	CacheBytes int64
	// MemTableBytes is how much is written before a table is flushed to disk. Defaults to 64 MiB.
	MemTableBytes uint64
	// ReadOnly opens the store for reading only and changes no byte of it. Defaults to false.
	ReadOnly bool
	// Logger gets what the store has to say. Defaults to silence.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.MaxTransactionBytes == 0 {
		o.MaxTransactionBytes = 256 << 20
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Engine is an open store. Safe for concurrent use.
type Engine struct {
	options   Options
	db        *pebble.DB
	disk      *disk
	sequencer *sequencer // nil when opened for reading only
	failure   *failure
	view      atomic.Pointer[View]
	views     sync.WaitGroup // those that are open, e.view included

	// gate is held for reading while the queue or the store is used other than through a View, so that Close can wait for it.
	gate struct {
		sync.RWMutex
		closed bool
	}
	mu struct {
		sync.RWMutex
		subscribers []func(events []any)
	}
}

// Open opens or creates the store in dir. ErrInUse means that another engine has it open, ErrNewerStore that a newer version
// of Flux has written it.
func Open(dir string, options Options) (*Engine, error) {
	e := &Engine{options: options.withDefaults()}
	e.failure = newFailure(func(cause error) {
		e.options.Logger.Error("store stopped writing; reads go on", "cause", cause)
	})
	if err := e.open(dir); err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	e.view.Store(newView(e.db, &e.views))
	if !e.options.ReadOnly {
		e.sequencer = newSequencer(e)
	}
	return e, nil
}

// Propose commits a transaction and returns once it is on disk and visible, or was refused. When ctx ends first, its
// outcome is unknown and the transaction must not be read or used again.
func (e *Engine) Propose(ctx context.Context, tx *Transaction) error {
	done := make(chan error, 1)
	if err := e.Submit(ctx, tx, func(err error) { done <- err }); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Submit queues a transaction, waiting for a place in the queue until ctx ends, and returns. Transactions commit in the
// order of their Submit calls. Unless Submit returns an error, done is called once, in the order of commits, with what
// Propose would return. It runs on the engine's goroutine: it must not block and must not call the engine's Close.
func (e *Engine) Submit(ctx context.Context, tx *Transaction, done func(error)) error {
	if !validNamespace(tx.Namespace) {
		return fmt.Errorf("%w: %q", ErrBadNamespace, tx.Namespace)
	}
	if n := tx.sizeBytes(); n > e.options.MaxTransactionBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, e.options.MaxTransactionBytes)
	}
	if err := e.writable(); err != nil {
		return err
	}
	e.gate.RLock()
	defer e.gate.RUnlock()
	if e.gate.closed {
		return ErrClosed
	}
	select {
	case e.sequencer.queue <- proposal{tx: tx, done: done}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// View returns the newest durable state. The caller must close it. After Close of the engine it is a view whose reads return
// ErrClosed.
func (e *Engine) View() *View {
	for {
		if v := e.view.Load(); v.acquire() {
			return v
		}
	}
}

func (e *Engine) publish(v *View) { e.view.Swap(v).Close() }

// Subscribe has f called with the events of every group that commits after this call, in order, before the group's callers
// are answered. f must not block. There is no unsubscribing: subscribers live as long as the engine.
func (e *Engine) Subscribe(f func(events []any)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.subscribers = append(e.mu.subscribers, f)
}

func (e *Engine) notify(events []any) {
	if len(events) == 0 {
		return
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, f := range e.mu.subscribers {
		f(events)
	}
}

// writable returns why the engine takes no transactions, or nil.
func (e *Engine) writable() error {
	if e.options.ReadOnly {
		return fmt.Errorf("%w: opened for reading only", ErrReadOnly)
	}
	return e.failure.get()
}

// Err returns ErrReadOnly with the disk failure after which the engine refuses transactions, or nil while it is sound.
func (e *Engine) Err() error { return e.failure.get() }

// Checkpoint writes a consistent copy of the durable store to dir, which must not exist, while the engine runs. The copy is
// made under another name and gets its own once it is complete.
func (e *Engine) Checkpoint(dir string) error {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if e.gate.closed {
		return ErrClosed
	}
	if err := e.writable(); err != nil {
		return err
	}
	fs, incomplete := e.options.FS, dir+".incomplete"
	if _, err := fs.Stat(dir); err == nil {
		return fmt.Errorf("checkpoint to %s: %w", dir, os.ErrExist)
	}
	err := fs.RemoveAll(incomplete)
	if err == nil {
		err = e.db.Checkpoint(incomplete, pebble.WithFlushedWAL())
	}
	if err == nil {
		err = writeVersion(fs, incomplete)
	}
	if err == nil {
		err = fs.Rename(incomplete, dir)
	}
	if err == nil {
		err = syncDir(fs, fs.PathDir(dir))
	}
	if err != nil {
		return fmt.Errorf("checkpoint to %s: %w", dir, errors.Join(err, fs.RemoveAll(incomplete)))
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Metrics is how the store is doing.
type Metrics struct {
	// DiskBytes is the size of all files of the store.
	DiskBytes uint64
	// MemTableBytes is the size of what is in memory and in the write-ahead log only.
	MemTableBytes uint64
	// Queued is the number of transactions waiting for the sequencer.
	Queued int
	// Pebble prints the store's own tables of figures. Nil when the engine is closed.
	Pebble fmt.Stringer
}

// Metrics returns the current figures, which are zero when the engine is closed.
func (e *Engine) Metrics() Metrics {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if e.gate.closed {
		return Metrics{}
	}
	m := e.db.Metrics()
	out := Metrics{DiskBytes: m.DiskSpaceUsage(), MemTableBytes: m.MemTable.Size, Pebble: m}
	if e.sequencer != nil {
		out.Queued = len(e.sequencer.queue)
	}
	return out
}

// Close finishes what is queued, waits until all views are closed, and closes the store. Further calls do nothing.
func (e *Engine) Close() error {
	e.gate.Lock()
	closed := e.gate.closed
	e.gate.closed = true
	e.gate.Unlock()
	if closed {
		return nil
	}
	if e.sequencer != nil {
		e.sequencer.stop()
	}
	e.publish(closedView())
	e.views.Wait()
	return e.closePebble()
}

var _ io.Closer = (*Engine)(nil)
