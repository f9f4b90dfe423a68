package idempotent

import (
	"context"
	"sync"
	"time"
)

// memory is a store in memory, for tests that turn the clock.
type memory struct {
	mu      sync.Mutex
	entries map[string]Entry
	err     error // that both methods return

	met func(ctx context.Context) // called between Get and its return; nil for none
}

func newMemory() *memory { return &memory{entries: make(map[string]Entry)} }

// Get implements Store.
func (m *memory) Get(ctx context.Context, name string) (Entry, error) {
	m.mu.Lock()
	e, err := m.entries[name], m.err
	m.mu.Unlock()
	if m.met != nil {
		m.met(ctx)
	}
	return e, err
}

// Put implements Store.
func (m *memory) Put(_ context.Context, name, over string, e Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil:
		return m.err
	case m.entries[name].Revision != over:
		return ErrConflict
	}
	m.entries[name] = e
	return nil
}

// Purge removes the entries that expired.
func (m *memory) Purge(context.Context) (n int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, e := range m.entries {
		if !time.Now().Before(e.Expires) {
			delete(m.entries, name)
			n++
		}
	}
	return n, nil
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}
