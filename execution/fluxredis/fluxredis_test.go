package fluxredis_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxredis"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices"
)

// recorder returns a recorder and the channel of what it keeps.
func recorder(t *testing.T) (*execution.Recorder, <-chan *record.Execution) {
	t.Helper()
	kept := make(chan *record.Execution, 1)
	rec, err := execution.New(execution.Config{
		Service: "shop", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	return rec, kept
}

// client returns an instrumented client of a server at an address that may be dead.
func client(t *testing.T, rec *execution.Recorder, url string, opts *fluxredis.Options) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries = -1
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	fluxredis.Instrument(rec, c, opts)
	return c
}

// A program uses Redis and returns what it saw.
type program func(ctx context.Context, c *redis.Client) (any, error)

// run records a program against a real server.
func run(t *testing.T, url string, p program) (*record.Execution, any, error) {
	t.Helper()
	rec, kept := recorder(t)
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	saw, err := p(ctx, client(t, rec, url, nil))
	x.End(err)
	return <-kept, saw, err
}

// replay replays a program with a client of an address where nobody listens.
func replay(t *testing.T, of *record.Execution, p program) (*execution.Report, any, error) {
	t.Helper()
	return replayAt(t, "redis://192.0.2.1:1", of, p)
}

func replayAt(t *testing.T, url string, of *record.Execution, p program) (*execution.Report, any, error) {
	t.Helper()
	rec, _ := recorder(t)
	ctx, x, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: of}, nil)
	if err != nil {
		t.Fatal(err)
	}
	saw, err := p(ctx, client(t, rec, url, &fluxredis.Options{Target: of.Checkpoints[0].Target}))
	x.End(err)
	return x.Report(), saw, err
}

// programs are what clients do with Redis, from single commands to transactions.
var programs = map[string]program{
	"strings": func(ctx context.Context, c *redis.Client) (any, error) {
		set := c.Set(ctx, "a", "x\xff\x00y", 30*time.Second)
		nx := c.SetNX(ctx, "a", 1, 0)
		ttl := c.TTL(ctx, "a")
		return []any{
			set.Val(), nx.Val(), ttl.Val() > 0, c.Get(ctx, "a").Val(), c.Incr(ctx, "n").Val(), c.IncrBy(ctx, "n", 9).Val(),
			c.IncrByFloat(ctx, "f", 1.5).Val(), c.MSet(ctx, "k1", "v1", "k2", 2).Val(), c.MGet(ctx, "k1", "missing", "k2").Val(),
			c.Append(ctx, "k1", "+").Val(), c.SetArgs(ctx, "k2", "3", redis.SetArgs{Get: true}).Val(), c.StrLen(ctx, "k1").Val(), c.Exists(ctx, "k1", "zz").Val(),
			c.Type(ctx, "k1").Val(), c.Del(ctx, "k1", "k2").Val(), c.Ping(ctx).Val(),
		}, nil
	},
	"hashes, lists, sets": func(ctx context.Context, c *redis.Client) (any, error) {
		return []any{
			c.HSet(ctx, "h", map[string]any{"one": 1}).Val(), c.HGetAll(ctx, "h").Val(), c.HGet(ctx, "h", "one").Val(), c.HExists(ctx, "h", "two").Val(),
			c.RPush(ctx, "l", 1, 2, 3).Val(), c.LRange(ctx, "l", 0, -1).Val(), c.LPop(ctx, "l").Val(),
			c.SAdd(ctx, "s", "a", "b", "c").Val(), c.SCard(ctx, "s").Val(), c.SIsMember(ctx, "s", "a").Val(),
			c.ZAdd(ctx, "z", redis.Z{Score: 10, Member: "a"}, redis.Z{Score: 20.5, Member: "b"}).Val(), c.ZScore(ctx, "z", "b").Val(),
			c.ZRangeWithScores(ctx, "z", 0, -1).Val(), c.ZRank(ctx, "z", "b").Val(), len(c.Keys(ctx, "*").Val()),
		}, nil
	},
	"nil and errors": func(ctx context.Context, c *redis.Client) (any, error) {
		missing := c.Get(ctx, "missing").Err()
		c.LPush(ctx, "list", 1)
		wrong := c.Get(ctx, "list").Err()
		return []any{errors.Is(missing, redis.Nil), redis.HasErrorPrefix(wrong, "WRONGTYPE"), wrong.Error()}, wrong
	},
	"pipeline": func(ctx context.Context, c *redis.Client) (any, error) {
		var get *redis.StringCmd
		var bad *redis.StringCmd
		cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.LPush(ctx, "q", 1)
			p.Set(ctx, "p", "v", 0)
			get = p.Get(ctx, "p")
			bad = p.Get(ctx, "q")
			return nil
		})
		return []any{len(cmds), get.Val(), redis.HasErrorPrefix(bad.Err(), "WRONGTYPE"), redis.HasErrorPrefix(err, "WRONGTYPE")}, nil
	},
	"transaction": func(ctx context.Context, c *redis.Client) (any, error) {
		var incr *redis.IntCmd
		_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, "t", 4, 0)
			incr = p.Incr(ctx, "t")
			return nil
		})
		return incr.Val(), err
	},
	"watch": func(ctx context.Context, c *redis.Client) (any, error) {
		rounds := 0
		err := c.Watch(ctx, func(tx *redis.Tx) error {
			rounds++
			n, err := tx.Get(ctx, "w").Int()
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, "w", n+1, 0)
				return nil
			})
			return err
		}, "w")
		return []any{rounds, c.Get(ctx, "w").Val()}, err
	},
	"aborted transaction": func(ctx context.Context, c *redis.Client) (any, error) {
		err := c.Watch(ctx, func(tx *redis.Tx) error {
			if err := c.Incr(ctx, "w2").Err(); err != nil { // as another client would
				return err
			}
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, "w2", "lost", 0)
				return nil
			})
			return err
		}, "w2")
		return errors.Is(err, redis.TxFailedErr), nil
	},
	"blocking": func(ctx context.Context, c *redis.Client) (any, error) {
		c.RPush(ctx, "b", "x", "y")
		c.ZAdd(ctx, "bz", redis.Z{Score: 1.5, Member: "m"})
		c.XAdd(ctx, &redis.XAddArgs{Stream: "st", ID: "1-1", Values: []any{"a", "1"}})
		pop, err := c.BLPop(ctx, time.Second, "b").Result()
		empty := c.BLPop(ctx, 10*time.Millisecond, "nothing").Err()
		z := c.BZPopMin(ctx, time.Second, "bz").Val()
		read := c.XRead(ctx, &redis.XReadArgs{Streams: []string{"st", "0"}, Block: time.Second}).Val()
		return []any{pop, errors.Is(empty, redis.Nil), z, fmt.Sprint(read)}, err
	},
	"script": func(ctx context.Context, c *redis.Client) (any, error) {
		return c.Eval(ctx, "return {KEYS[1], ARGV[1], 3}", []string{"k"}, "v").Result()
	},
	"concurrent": func(ctx context.Context, c *redis.Client) (any, error) {
		var group sync.WaitGroup
		got := make([]int64, 5)
		for i := range got {
			group.Add(1)
			execution.Go(ctx, fmt.Sprint("worker", i), func(ctx context.Context) {
				defer group.Done()
				got[i] = c.IncrBy(ctx, fmt.Sprint("c", i), int64(i)).Val()
			})
		}
		group.Wait()
		return got, nil
	},
}

func TestProgramsReplayWithoutRedis(t *testing.T) {
	t.Parallel()
	for name, p := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of, saw, wentWrong := run(t, testservices.Redis(t), p)
			if len(of.Checkpoints) == 0 {
				t.Fatal("nothing was recorded")
			}
			report, again, err := replay(t, of, p)
			if report.Outcome != execution.OutcomeSame {
				t.Errorf("%v: %+v", report, report.Divergences)
			}
			if !reflect.DeepEqual(again, saw) {
				t.Errorf("the replay saw\n%v, not\n%v", again, saw)
			}
			if (err == nil) != (wentWrong == nil) || err != nil && err.Error() != wentWrong.Error() {
				t.Errorf("the replay ended with %v, not with %v", err, wentWrong)
			}
		})
	}
}

func TestRefusedConnectionReplaysAsItself(t *testing.T) {
	t.Parallel()
	p := func(ctx context.Context, c *redis.Client) (any, error) { return nil, c.Get(ctx, "a").Err() }
	of, _, live := run(t, "redis://127.0.0.1:1", p)
	_, _, again := replay(t, of, p)
	if live == nil || again == nil || live.Error() != again.Error() || of.Checkpoints[0].Error.Class != record.ClassRefused {
		t.Errorf("live %v, replayed %v, recorded %+v", live, again, of.Checkpoints[0].Error)
	}
}

func TestStrictRefusesBeforeTheNetwork(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(t, nil, "redis://127.0.0.1:1", &fluxredis.Options{Strict: true})
	_, tx := c.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "a", 1, 0).Err() })
	for feature, err := range map[string]error{
		"Redis transactions are not supported in Flux":      tx,
		"Redis blocking commands are not supported in Flux": c.BLPop(ctx, time.Second, "q").Err(),
		"Redis pub/sub is not supported in Flux":            c.Publish(ctx, "news", "hi").Err(),
	} {
		if !errors.Is(err, fluxredis.ErrRefused) || !strings.Contains(err.Error(), feature) {
			t.Errorf("%q: %v", feature, err)
		}
	}
	if err := c.XRead(ctx, &redis.XReadArgs{Streams: []string{"s", "0"}, Block: time.Second}).Err(); !errors.Is(err, fluxredis.ErrRefused) {
		t.Errorf("XREAD BLOCK: %v", err)
	}
}

func TestWithoutAnExecutionNothingChanges(t *testing.T) {
	t.Parallel()
	c := client(t, nil, testservices.Redis(t), nil)
	if err := c.Set(t.Context(), "a", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Get(t.Context(), "a").Int(); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}
