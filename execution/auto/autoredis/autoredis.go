// Package autoredis records what programs that do not import Flux do with go-redis. flux go links it into those that have
// go-redis among their modules; see package auto.
package autoredis

import (
	_ "unsafe" // for go:linkname

	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution/auto"
	"github.com/flux-go/flux/execution/fluxredis"
)

// clientHook is a variable of the woven go-redis: it sees every client that is made.
//
//go:linkname clientHook __flux_redis_client
var clientHook func(redis.UniversalClient)

func init() {
	if rec := auto.Recorder(); rec != nil {
		clientHook = func(c redis.UniversalClient) { fluxredis.Instrument(rec, c, nil) }
	}
}
