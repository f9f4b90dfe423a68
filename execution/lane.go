package execution

import (
	"context"
	"strconv"
	"sync"
)

// A lane is a line of work within an execution whose operations follow each other. Its name does not depend on how the
// scheduler runs it: that of its parent, its own, and its number among siblings of that name.
type lane struct {
	x    *Execution
	name string

	mu       sync.Mutex
	children map[string]int
	clock    clock
	random   random
}

type laneKey struct{}

// laneOf returns the lane of the context, or that of this goroutine when the context has none, or when the goroutine was started
// in the context's lane without being told so. It is nil when there is no execution.
func laneOf(ctx context.Context) *lane {
	l, _ := ctx.Value(laneKey{}).(*lane)
	if l == nowhere {
		return nil
	}
	if here := goroutineLane(); here != nil && (l == nil || here.isBelow(l)) {
		return here
	}
	return l
}

// FromContext returns the execution a context belongs to, nil when there is none.
func FromContext(ctx context.Context) *Execution {
	if l := laneOf(ctx); l != nil {
		return l.x
	}
	return nil
}

func (l *lane) child(name string) *lane { return l.x.addLane(l.nameChild(name)) }

// nameChild returns the full name of the next child of that name.
func (l *lane) nameChild(name string) string {
	l.mu.Lock()
	if l.children == nil {
		l.children = make(map[string]int)
	}
	l.children[name]++
	n := l.children[name]
	l.mu.Unlock()
	full := l.name + "/" + name
	if n > 1 {
		full += "#" + strconv.Itoa(n)
	}
	return full
}

// Go runs f in a goroutine of its own, in a child lane of that name, so that a replay tells its operations from those of its
// siblings. A panic in f ends the program, as it does with a go statement. Without an execution it is just a go statement.
func Go(ctx context.Context, name string, f func(ctx context.Context)) {
	ctx = WithLane(ctx, name)
	go func() {
		defer Enter(ctx)()
		f(ctx)
	}()
}

// WithLane returns a context in a child lane of that name, for work that is started otherwise than with [Go].
func WithLane(ctx context.Context, name string) context.Context {
	l := laneOf(ctx)
	if l == nil {
		return ctx
	}
	return context.WithValue(ctx, laneKey{}, l.child(name))
}
