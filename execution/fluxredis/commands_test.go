package fluxredis_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/internal/testservices"
)

// supported are the commands of G-056, each as a client has it: strings, keys, counters, hashes, lists, sets, sorted sets.
var supported = strings.Fields(`PING SET GET GETSET GETDEL GETRANGE SETRANGE MSET MGET SETNX APPEND STRLEN
	DEL EXISTS EXPIRE PEXPIRE TTL PTTL PERSIST RENAME TYPE KEYS SCAN INCR INCRBY INCRBYFLOAT DECR DECRBY
	HSET HGET HMGET HGETALL HDEL HEXISTS HLEN HKEYS HVALS HINCRBY
	LPUSH RPUSH LPOP RPOP LRANGE LLEN LINDEX SADD SREM SMEMBERS SISMEMBER SCARD ZADD ZREM ZSCORE ZRANGE ZRANK ZCARD ZINCRBY`)

// allSupported uses each of them once.
func allSupported(ctx context.Context, c *redis.Client) (any, error) {
	var saw []string
	do := func(cmds ...redis.Cmder) {
		for _, cmd := range cmds {
			if name := cmd.Name(); name != "ttl" && name != "pttl" { // they tell how fast the test is
				saw = append(saw, cmd.String())
			}
		}
	}
	//lint:ignore SA1019 programs still use GETSET
	do(c.Ping(ctx), c.Set(ctx, "s", "abc", 0), c.Get(ctx, "s"), c.GetSet(ctx, "s", "def"), c.GetRange(ctx, "s", 0, 1), c.SetRange(ctx, "s", 1, "EF"),
		c.Append(ctx, "s", "!"), c.StrLen(ctx, "s"), c.GetDel(ctx, "s"), c.MSet(ctx, "k1", "v1", "k2", "v2"), c.MGet(ctx, "k1", "none", "k2"),
		c.Do(ctx, "setnx", "k1", "no"), c.Exists(ctx, "k1", "none"), c.Expire(ctx, "k1", time.Hour), c.TTL(ctx, "k1"), c.PExpire(ctx, "k1", time.Hour),
		c.PTTL(ctx, "k1"), c.Persist(ctx, "k1"), c.Rename(ctx, "k1", "k3"), c.Type(ctx, "k3"), c.Keys(ctx, "k3*"), c.Scan(ctx, 0, "k3*", 1000),
		c.Del(ctx, "k2", "k3"))
	do(c.Incr(ctx, "n"), c.IncrBy(ctx, "n", 9), c.IncrByFloat(ctx, "f", 1.5), c.Decr(ctx, "n"), c.DecrBy(ctx, "n", 4))
	do(c.HSet(ctx, "h", "a", "1"), c.HGet(ctx, "h", "a"), c.HMGet(ctx, "h", "a", "none"), c.HGetAll(ctx, "h"), c.HExists(ctx, "h", "b"), c.HLen(ctx, "h"),
		c.HKeys(ctx, "h"), c.HVals(ctx, "h"), c.HIncrBy(ctx, "h", "a", 2), c.HDel(ctx, "h", "a"))
	do(c.LPush(ctx, "l", "a", "b"), c.RPush(ctx, "l", "c"), c.LRange(ctx, "l", 0, -1), c.LLen(ctx, "l"), c.LIndex(ctx, "l", 1), c.LPop(ctx, "l"), c.RPop(ctx, "l"))
	do(c.SAdd(ctx, "u", "a"), c.SIsMember(ctx, "u", "a"), c.SMembers(ctx, "u"), c.SCard(ctx, "u"), c.SRem(ctx, "u", "a"))
	do(c.ZAdd(ctx, "z", redis.Z{Score: 1.5, Member: "a"}), c.ZIncrBy(ctx, "z", 1, "a"), c.ZScore(ctx, "z", "a"), c.ZRange(ctx, "z", 0, -1), c.ZRank(ctx, "z", "a"),
		c.ZCard(ctx, "z"), c.ZRem(ctx, "z", "a"))
	return saw, nil
}

func TestAllSupportedCommandsReplay(t *testing.T) {
	t.Parallel()
	of, saw, err := run(t, testservices.Redis(t), allSupported)
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, cp := range of.Checkpoints {
		name, _, _ := strings.Cut(cp.Shape, " ")
		used = append(used, name)
		if !cp.Succeeded() {
			t.Errorf("%s: %+v", cp.Shape, cp.Error)
		}
	}
	slices.Sort(used)
	if want := slices.Sorted(slices.Values(supported)); !slices.Equal(used, want) || len(want) != 57 {
		t.Errorf("used %d commands:\n%v\nnot these %d:\n%v", len(used), used, len(want), want)
	}
	report, again, err := replay(t, of, allSupported)
	if report.Outcome != execution.OutcomeSame || err != nil || !reflect.DeepEqual(again, saw) {
		t.Errorf("the replay saw\n%v, not\n%v: %v, %v", again, saw, err, report)
	}
}
