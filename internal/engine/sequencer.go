package engine

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// maxGroupBytes and maxGroupLen bound one batch, and with it how long a transaction waits for those before it.
	maxGroupBytes = 8 << 20
	maxGroupLen   = 4096
	// groupsInFlight is how many groups may wait for the disk at a time. More than one lets the next group be applied
	// while the disk is busy; Pebble makes one sync serve all that wait.
	groupsInFlight = 4
	// queueLen is how many transactions may wait for the sequencer. Beyond it Submit blocks.
	queueLen = 4096
)

// proposal is a transaction on its way.
type proposal struct {
	tx   *Transaction
	done func(error)
	err  error
}

// flight is a group on its way to the disk.
type flight struct {
	batch     *pebble.Batch
	view      *View
	proposals []proposal
	events    []any
	err       error
}

// sequencer applies transactions in the order of its queue.
type sequencer struct {
	engine  *Engine
	queue   chan proposal
	flights chan *flight
	group   *group // the one that is being applied
	milli   int64
	written uint64 // bytes since the last look at how far the store is behind
	wg      sync.WaitGroup
}

func newSequencer(e *Engine) *sequencer {
	s := &sequencer{
		engine:  e,
		queue:   make(chan proposal, queueLen),
		flights: make(chan *flight, groupsInFlight),
		group:   newGroup(e.db),
	}
	s.wg.Add(2)
	go s.sequence()
	go s.complete()
	return s
}

// stop waits until all that is queued is done. Nothing may be queued afterwards.
func (s *sequencer) stop() {
	close(s.queue)
	s.wg.Wait()
}

func (s *sequencer) sequence() {
	defer s.wg.Done()
	defer close(s.flights)
	for first := range s.queue {
		s.flights <- s.run(s.collect(first))
	}
}

// collect takes what is queued behind first, up to the bounds of a group.
func (s *sequencer) collect(first proposal) []proposal {
	all := append(make([]proposal, 0, 1+len(s.queue)), first)
	for size := first.tx.sizeBytes(); size < maxGroupBytes && len(all) < maxGroupLen; {
		select {
		case p, ok := <-s.queue:
			if !ok {
				return all
			}
			size += p.tx.sizeBytes()
			all = append(all, p)
		default:
			return all
		}
	}
	return all
}

// throttle waits while the store is behind, so that memory and the cost of reads stay bounded.
func (s *sequencer) throttle() {
	if s.written < s.engine.options.MemTableBytes/2 {
		return
	}
	s.written = 0
	for s.engine.behind() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-s.engine.failure.happened: // the store will never catch up
			return
		}
	}
}

// run applies a group and hands it to the write-ahead log, without waiting for the disk.
func (s *sequencer) run(proposals []proposal) *flight {
	s.throttle()
	f := &flight{proposals: proposals}
	if f.err = s.engine.writable(); f.err != nil {
		return f
	}
	s.milli = max(s.milli, s.engine.options.Clock().UnixMilli())
	s.group = s.group.begin(s.milli)
	for i := range proposals {
		proposals[i].err = apply(s.group, proposals[i].tx)
	}
	f.events = s.group.events
	if !s.group.empty() {
		f.err = s.write(f)
	}
	return f
}

func (s *sequencer) write(f *flight) error {
	batch := s.engine.db.NewBatch()
	if err := s.group.writeTo(batch); err != nil {
		return err
	}
	s.written += uint64(batch.Len())
	if err := s.engine.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		return err
	}
	f.batch = batch
	f.view = newView(s.engine.db, &s.engine.views)
	return nil
}

// apply runs a transaction on top of the group, or leaves the group as it was and returns why.
func apply(g *group, t *Transaction) error {
	tx := &Tx{ns: t.Namespace, group: g}
	return tx.Try(t.Operations)
}

func (s *sequencer) complete() {
	defer s.wg.Done()
	for f := range s.flights {
		s.finish(f)
	}
}

// finish waits for the disk, then shows the group to readers, tells subscribers, and answers, in this order.
func (s *sequencer) finish(f *flight) {
	s.await(f)
	if f.err != nil {
		for _, p := range f.proposals {
			p.done(f.err)
		}
		return
	}
	if f.view != nil {
		s.engine.publish(f.view)
	}
	s.engine.notify(f.events)
	for _, p := range f.proposals {
		p.done(p.err)
	}
}

// await returns when the group is on disk, or sets its err.
func (s *sequencer) await(f *flight) {
	if f.batch != nil {
		f.err = f.batch.SyncWait()
	}
	if f.err != nil {
		s.engine.failure.set(f.err)
	}
	// The disk tells of its failures here, not through Pebble. A group that wrote nothing may have seen what failed.
	if f.err = s.engine.writable(); f.err != nil {
		if f.view != nil {
			f.view.Close()
		}
		return
	}
	if f.batch != nil {
		_ = f.batch.Close() // returns memory to Pebble's pool; there is nothing to fail
	}
}
