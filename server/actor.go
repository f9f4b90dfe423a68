package server

import (
	"context"
	"errors"
	"sync"
)

// actor is a part of the server that runs on its own.
type actor struct {
	name string
	// run returns when interrupt was called, or earlier when something broke.
	run func() error
	// interrupt makes run return, in any order of the two.
	interrupt func()
}

// untilCanceled is an actor that runs until its context ends.
func untilCanceled(name string, run func(ctx context.Context) error) actor {
	ctx, cancel := context.WithCancel(context.Background())
	return actor{name, func() error { return ignoreCanceled(run(ctx)) }, cancel}
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// group runs actors that end together: the first to end stops the rest.
type group struct {
	actors []actor
	wg     sync.WaitGroup
	first  sync.Once
	err    error
	// ended is called once, when the first has ended.
	ended func()
}

// start runs the actors.
func (g *group) start() {
	for _, a := range g.actors {
		g.wg.Go(func() {
			err := a.run()
			g.first.Do(func() {
				g.err = err
				g.ended()
			})
		})
	}
}

// stop interrupts the actors from the last to the first, waits for them, and returns what the first that ended had to say.
func (g *group) stop() error {
	for i := len(g.actors) - 1; i >= 0; i-- {
		g.actors[i].interrupt()
	}
	g.wg.Wait()
	return g.err
}
