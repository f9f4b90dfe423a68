package fluxredis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
)

// runTyped sends a command whose time limit only the command itself knows, and makes the reply again from what it got.
func (h *hook) runTyped(ctx context.Context, call *execution.Call, next redis.ProcessHook, cmd redis.Cmder) error {
	err := next(execution.Unrecorded(ctx), cmd)
	r, known := replyOf(cmd, err)
	switch {
	case known:
		call.FinishFault(&response{Reply: &r}, replyFault(&r))
	case err == nil:
		call.Finish(nil, fmt.Errorf("%w: the result of %s has a type that cannot be recorded: %T", ErrRefused, nameOf(cmd), cmd))
	default:
		call.FinishFault(nil, fault.Of(err, kinds...))
	}
	return err
}

// replyOf makes the reply from which a command that waits got its result.
func replyOf(cmd redis.Cmder, err error) (reply, bool) {
	var failed redis.Error
	switch {
	case errors.Is(err, redis.Nil):
		return reply{kind: kindArray, null: true}, true
	case errors.As(err, &failed):
		return reply{kind: kindError, text: []byte(failed.Error())}, true
	case err != nil:
		return reply{}, false
	}
	switch c := cmd.(type) {
	case *redis.StringCmd:
		return bulk(c.Val()), true
	case *redis.IntCmd:
		return reply{kind: kindInt, text: strconv.AppendInt(nil, c.Val(), 10)}, true
	case *redis.StringSliceCmd:
		return bulks(c.Val()), true
	case *redis.ZWithKeyCmd:
		return array(bulk(c.Val().Key), bulk(fmt.Sprint(c.Val().Member)), score(c.Val().Score)), true
	case *redis.KeyValuesCmd:
		key, values := c.Val()
		return array(bulk(key), bulks(values)), true
	case *redis.ZSliceWithKeyCmd:
		key, members := c.Val()
		var items []reply
		for _, m := range members {
			items = append(items, array(bulk(fmt.Sprint(m.Member)), score(m.Score)))
		}
		return array(bulk(key), array(items...)), true
	case *redis.XStreamSliceCmd:
		return streams(c.Val()), true
	case *redis.Cmd:
		return untyped(c.Val())
	}
	return reply{}, false
}

func bulk(s string) reply        { return reply{kind: kindBulk, text: []byte(s)} }
func array(items ...reply) reply { return reply{kind: kindArray, items: items} }
func score(f float64) reply      { return bulk(strconv.FormatFloat(f, 'g', -1, 64)) }

func bulks(values []string) reply {
	r := reply{kind: kindArray}
	for _, v := range values {
		r.items = append(r.items, bulk(v))
	}
	return r
}

func streams(all []redis.XStream) reply {
	r := reply{kind: kindArray}
	for _, s := range all {
		var entries []reply
		for _, m := range s.Messages {
			var fields []reply
			for _, name := range slices.Sorted(maps.Keys(m.Values)) { // the client has lost their order
				fields = append(fields, bulk(name), bulk(fmt.Sprint(m.Values[name])))
			}
			entries = append(entries, array(bulk(m.ID), array(fields...)))
		}
		r.items = append(r.items, array(bulk(s.Stream), array(entries...)))
	}
	return r
}

// untyped makes the reply of a command without a type of its own.
func untyped(v any) (reply, bool) {
	switch v := v.(type) {
	case string:
		return bulk(v), true
	case int64:
		return reply{kind: kindInt, text: strconv.AppendInt(nil, v, 10)}, true
	case nil:
		return reply{kind: kindArray, null: true}, true
	case []any:
		r := reply{kind: kindArray}
		for _, item := range v {
			one, ok := untyped(item)
			if !ok {
				return reply{}, false
			}
			r.items = append(r.items, one)
		}
		return r, true
	}
	return reply{}, false
}
