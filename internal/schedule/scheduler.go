package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

const (
	// maxBatch is the most messages that one transaction fires.
	maxBatch = 1024
	// pause is how long the scheduler waits from one firing to the next, unless it has fallen behind: what becomes due meanwhile
	// goes together. A commit, and what trackers make of it, costs more than many messages in it do; without a pause, at some
	// thousand messages per second, all would be busy with commits of a few. The time that firing takes is a part of it: what
	// comes after the end of a firing of many has waited long enough.
	pause = 5 * time.Millisecond
	// maxSleep is how long the scheduler goes without looking at the clock, and how long it leaves a namespace alone in which
	// it could not fire.
	maxSleep = time.Second
)

// Options configure a scheduler. The zero value is usable.
type Options struct {
	// Clock tells what is due. It must be the engine's. Defaults to time.Now.
	Clock func() time.Time
	// Logger gets failures to fire. Defaults to silence.
	Logger *slog.Logger
}

// Scheduler moves messages to the schedule log when they are due.
type Scheduler struct {
	engine *engine.Engine
	clock  func() time.Time
	logger *slog.Logger
	wake   chan struct{} // has room for one
	mu     struct {
		sync.Mutex
		// watched are the namespaces that may have pending messages.
		watched map[message.Namespace]watch
		// asleep is the time until which the scheduler sleeps.
		asleep int64
	}
	lastError string // that was logged
}

// watch says when to look for messages of a namespace that are due.
type watch struct {
	from place // there are none before
	at   int64 // time at which to look
}

func watchFrom(p place) watch { return watch{p, p.due} }

// NewScheduler returns the scheduler of an engine, which does nothing until Run. It must be created before the first
// transaction, and once.
func NewScheduler(e *engine.Engine, o Options) *Scheduler {
	s := &Scheduler{engine: e, clock: o.Clock, logger: o.Logger, wake: make(chan struct{}, 1)}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.mu.watched = make(map[message.Namespace]watch)
	e.Subscribe(s.observe)
	return s
}

// observe is the engine's subscriber.
func (s *Scheduler) observe(events []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wake := false
	for _, event := range events {
		if p, ok := event.(put); ok {
			s.watchLocked(p.ns, watchFrom(place{due: p.due}))
			wake = wake || p.due < s.mu.asleep
		}
	}
	if wake {
		select {
		case s.wake <- struct{}{}:
		default: // it is on its way
		}
	}
}

// watchLocked notes when to look at a namespace, besides what was noted before.
func (s *Scheduler) watchLocked(ns message.Namespace, w watch) {
	if before, ok := s.mu.watched[ns]; ok {
		w.at = min(w.at, before.at)
		if before.from.compare(w.from) < 0 {
			w.from = before.from
		}
	}
	if w.at != never {
		s.mu.watched[ns] = w
	}
}

func (s *Scheduler) watch(ns message.Namespace, w watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchLocked(ns, w)
}

// Run fires messages until ctx ends. It outlives failures: reading goes on when the store has stopped writing.
func (s *Scheduler) Run(ctx context.Context) error {
	for err := s.begin(); err != nil && ctx.Err() == nil; err = s.begin() {
		s.log(err)
		s.sleep(ctx)
	}
	for ctx.Err() == nil {
		s.sleep(ctx)
		began := time.Now()
		if s.fireDue(ctx) {
			idle(ctx, pause-time.Since(began))
		}
	}
	return nil
}

// idle returns after a time, or when ctx ends.
func idle(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// begin watches the namespaces that there are; what is put from now on tells of itself.
func (s *Scheduler) begin() error {
	view := s.engine.View()
	defer view.Close()
	namespaces, err := view.Namespaces()
	if err != nil {
		return err
	}
	for _, ns := range namespaces {
		s.watch(ns, watch{})
	}
	return nil
}

// sleep returns when something may be due, when ctx ends, or after maxSleep.
func (s *Scheduler) sleep(ctx context.Context) {
	s.mu.Lock()
	next := int64(never)
	for _, w := range s.mu.watched {
		next = min(next, w.at)
	}
	s.mu.asleep = next
	s.mu.Unlock()
	wait := maxSleep
	if next != never {
		wait = min(wait, time.UnixMilli(next).Sub(s.clock()))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.wake:
	case <-ctx.Done():
	}
}

// fireDue fires what is due, in rounds of one batch of each namespace, until a round has left nothing that was due at its
// beginning. It reports whether anything was fired.
func (s *Scheduler) fireDue(ctx context.Context) (fired bool) {
	for behind := true; behind && ctx.Err() == nil; {
		var batches []*batch
		now := s.clock().UnixMilli() // anew each time: if the clock went back, nothing is due that the engine would not fire
		for ns, from := range s.take(now) {
			batches = append(batches, s.read(ns, from, now))
		}
		s.commit(ctx, batches)
		behind = false
		for _, b := range batches {
			next := s.finish(b)
			behind = behind || next <= now
			fired = fired || b.fire.fired > 0
		}
	}
	return fired
}

// take returns the namespaces to look at, with the place from which to look, and forgets them: what is put from now on is
// noted anew, and a view that is taken after this shows all that was put before.
func (s *Scheduler) take(now int64) map[message.Namespace]place {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := make(map[message.Namespace]place)
	for ns, w := range s.mu.watched {
		if w.at <= now {
			taken[ns] = w.from
			delete(s.mu.watched, ns)
		}
	}
	return taken
}

// batch is what is fired of a namespace at a time.
type batch struct {
	ns   message.Namespace
	from place // nothing is due before
	fire fire
	rest place // the first message after the batch, or nowhere
	err  error
}

// read returns the first messages of a namespace that are due, from a place on until now.
func (s *Scheduler) read(ns message.Namespace, from place, now int64) *batch {
	b := &batch{ns: ns, from: from, rest: nowhere, fire: fire{left: nowhere}}
	view := s.engine.View()
	defer view.Close()
	it, err := view.Scan(dueKey(ns, from.due, from.id), engine.PrefixEnd(engine.AppendKey(nil, ns, engine.FamilyDue)))
	if err != nil {
		b.err = err
		return b
	}
	for it.Next() {
		key, err := engine.ParseKey(it.Key())
		if err != nil {
			b.err = err
			break
		}
		p := place{int64(key.Number), key.Rest}
		if p.due > now || len(b.fire.places) == maxBatch {
			b.rest = p
			break
		}
		b.fire.places = append(b.fire.places, p)
	}
	b.err = errors.Join(b.err, it.Close())
	return b
}

// commit fires batches together and waits for them.
func (s *Scheduler) commit(ctx context.Context, batches []*batch) {
	var wg sync.WaitGroup
	for _, b := range batches {
		if b.err != nil || len(b.fire.places) == 0 {
			continue
		}
		wg.Add(1)
		tx := &engine.Transaction{Namespace: b.ns, Operations: []engine.Operation{&b.fire}}
		done := func(err error) {
			b.err = err
			wg.Done()
		}
		if err := s.engine.Submit(ctx, tx, done); err != nil {
			done(err)
		}
	}
	wg.Wait()
}

// finish notes when to look at the namespace of a batch again, and returns that time.
func (s *Scheduler) finish(b *batch) int64 {
	again := watchFrom(b.rest)
	if b.fire.left.compare(b.rest) < 0 {
		again = watchFrom(b.fire.left)
	}
	if b.err != nil {
		s.log(fmt.Errorf("namespace %s: %w", b.ns, b.err))
		again = watch{b.from, s.clock().Add(maxSleep).UnixMilli()}
	} else {
		s.lastError = ""
	}
	s.watch(b.ns, again)
	return again.at
}

// log logs a failure once, as long as no other comes between.
func (s *Scheduler) log(err error) {
	if text := err.Error(); text != s.lastError {
		s.lastError = text
		s.logger.Error("schedules are late", "error", err)
	}
}
