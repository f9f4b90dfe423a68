// Package scene is what the demos of several examples need to put programs on stage: addresses for them, and patience.
package scene

import (
	"context"
	"errors"
	"net"
	"time"
)

// FreeAddress returns an address of this machine, as "127.0.0.1:4711", on which nothing listens now.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Until repeats an action until it succeeds. When ctx ends before that, the error is that of ctx and the last one of the action.
func Until(ctx context.Context, action func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := action()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
