package fluxredis

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// errSent is what commands end with that are not refused.
var errSent = errors.New("sent")

// refusals are all commands that Strict refuses (G-055), by the feature that its message names, and under "" others, which are like
// them and pass.
var refusals = map[string][]string{
	"transactions are": {"MULTI", "EXEC", "WATCH a", "UNWATCH"},
	"pub/sub is":       {"SUBSCRIBE a", "PSUBSCRIBE a*", "UNSUBSCRIBE a", "PUNSUBSCRIBE a*", "PUBLISH a m"},
	"blocking commands are": {
		"BLPOP a 1", "BRPOP a 1", "BZPOPMIN a 1", "BZPOPMAX a 1", "XREAD BLOCK 1 STREAMS a 0", "XREADGROUP GROUP g c BLOCK 1 STREAMS a >",
	},
	"": {
		"BLMOVE a b LEFT LEFT 1", "BRPOPLPUSH a b 1", "BLMPOP 1 1 a LEFT", "BZMPOP 1 1 a MIN", "WAIT 0 1", "DISCARD", "SSUBSCRIBE a", "SPUBLISH a m",
		"XREAD STREAMS block 0", "XREADGROUP GROUP g c STREAMS a >", "EVAL return 0", "XADD a * f v", "PUBSUB NUMPAT", "MONITOR", "CLIENT REPLY OFF",
		"GET a", "SET a b", "LPOP a", "RPOP a", "ZPOPMIN a", "SCAN 0", "KEYS *", "TYPE a", "PING",
	},
}

func TestStrictRefusesJustItsGroups(t *testing.T) {
	t.Parallel()
	h := &hook{strict: true}
	one := h.ProcessHook(func(context.Context, redis.Cmder) error { return errSent })
	several := h.ProcessPipelineHook(func(context.Context, []redis.Cmder) error { return errSent })
	for feature, lines := range refusals {
		for _, line := range lines {
			for _, line := range []string{line, strings.ToLower(line)} {
				var args []any
				for _, word := range strings.Fields(line) {
					args = append(args, word)
				}
				cmd := redis.NewCmd(t.Context(), args...)
				for way, err := range map[string]error{
					"alone":         one(t.Context(), cmd),
					"in a pipeline": several(t.Context(), []redis.Cmder{redis.NewCmd(t.Context(), "GET", "a"), cmd}),
				} {
					want := "refused: Redis " + feature + " not supported in Flux (non-deterministic execution)"
					if refused := errors.Is(err, ErrRefused); refused != (feature != "") || refused && err.Error() != want || !refused && err != errSent {
						t.Errorf("%s %s: %v", line, way, err)
					}
				}
			}
		}
	}
}
