package server

import (
	"time"

	"github.com/flux-go/flux/internal/engine"
)

// WithStore returns the config of a server whose store is opened by open.
func WithStore(c Config, open func(engine.Options) (*engine.Engine, error)) Config {
	c.hooks.openStore = open
	return c
}

// WithPings returns the config of a server that asks silent clients after a time, and gives them as long to answer.
func WithPings(c Config, every time.Duration) Config {
	c.hooks.pings = every
	return c
}
