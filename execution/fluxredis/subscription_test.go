package fluxredis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxredis"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices"
)

// receive returns the next n of what comes, as text.
func receive(ctx context.Context, sub *redis.PubSub, n int) ([]string, error) {
	var all []string
	for range n {
		got, err := sub.Receive(ctx)
		if err != nil {
			return all, err
		}
		all = append(all, fmt.Sprint(got))
	}
	return all, nil
}

// subscribers are programs that subscribe. Their channels are their own: other tests have the same server.
var subscribers = map[string]program{
	"subscribe": func(ctx context.Context, c *redis.Client) (any, error) {
		sub := c.Subscribe(ctx, "subscribe:a", "subscribe:b")
		defer sub.Close()
		saw, err := receive(ctx, sub, 2)
		if err != nil {
			return saw, err
		}
		for _, channel := range []string{"subscribe:a", "subscribe:b", "subscribe:a", "nobody's"} {
			saw = append(saw, fmt.Sprint(c.Publish(ctx, channel, "to "+channel+" \xff").Val()))
		}
		for range 3 {
			message, err := sub.ReceiveMessage(ctx)
			if err != nil {
				return saw, err
			}
			saw = append(saw, message.Channel, message.Payload)
		}
		return saw, nil
	},
	"patterns, more and fewer": func(ctx context.Context, c *redis.Client) (any, error) {
		sub := c.PSubscribe(ctx, "patterns:*")
		defer sub.Close()
		saw, err := receive(ctx, sub, 1)
		c.Publish(ctx, "patterns:x", "1")
		first, more := receive(ctx, sub, 1)
		if err = errors.Join(err, more, sub.Subscribe(ctx, "patterns:y"), sub.Ping(ctx)); err != nil {
			return nil, err
		}
		second, err := receive(ctx, sub, 2) // the subscription, and the answer to the ping
		c.Publish(ctx, "patterns:y", "2")
		third, more := receive(ctx, sub, 2) // by name and by pattern
		err = errors.Join(err, more, sub.PUnsubscribe(ctx, "patterns:*"))
		fourth, more := receive(ctx, sub, 1)
		return []any{saw, first, len(second), third, fourth}, errors.Join(err, more)
	},
	"of a shard": func(ctx context.Context, c *redis.Client) (any, error) {
		sub := c.SSubscribe(ctx, "shard:a")
		defer sub.Close()
		saw, err := receive(ctx, sub, 1)
		c.SPublish(ctx, "shard:a", "m")
		message, more := receive(ctx, sub, 1)
		return append(saw, message...), errors.Join(err, more)
	},
	"channel": func(ctx context.Context, c *redis.Client) (any, error) {
		sub := c.Subscribe(ctx, "channel:a")
		if _, err := receive(ctx, sub, 1); err != nil {
			return nil, err
		}
		var saw []string
		in := sub.Channel()
		for i := range 20 {
			c.Publish(ctx, "channel:a", i)
			saw = append(saw, (<-in).Payload)
		}
		err := sub.Close()
		_, open := <-in
		return append(saw, fmt.Sprint(open)), err
	},
	"time runs out": func(ctx context.Context, c *redis.Client) (any, error) {
		sub := c.Subscribe(ctx, "timeout:a")
		defer sub.Close()
		if _, err := receive(ctx, sub, 1); err != nil {
			return nil, err
		}
		_, early := sub.ReceiveTimeout(ctx, time.Millisecond)
		c.Publish(ctx, "timeout:a", "late")
		late, err := sub.ReceiveTimeout(ctx, time.Minute)
		var timeout net.Error
		return []any{errors.As(early, &timeout) && timeout.Timeout(), fmt.Sprint(late)}, err
	},
}

func TestSubscriptionsReplayWithRedisStopped(t *testing.T) {
	t.Parallel()
	for name, p := range subscribers {
		for _, protocol := range []string{"2", "3"} {
			t.Run(name+", RESP"+protocol, func(t *testing.T) {
				t.Parallel()
				server := testservices.OwnRedis(t)
				of, saw, err := run(t, server.URL+"?protocol="+protocol, p)
				if err != nil {
					t.Fatal(err)
				}
				server.Stop()
				report, again, err := replayAt(t, "redis://192.0.2.1:1?protocol="+protocol, of, p)
				if report.Outcome != execution.OutcomeSame || err != nil {
					t.Errorf("%v, %v: %+v", err, report, report.Divergences)
				}
				if !reflect.DeepEqual(again, saw) {
					t.Errorf("the replay saw\n%q, not\n%q", again, saw)
				}
			})
		}
	}
}

// A subscription whose connection is lost is made anew by go-redis, under no context.
func TestALostSubscriptionIsTheSameInAReplay(t *testing.T) {
	t.Parallel()
	server := testservices.OwnRedis(t)
	other := client(t, nil, server.URL, nil)
	outside := context.Background()
	alive := true
	p := func(ctx context.Context, c *redis.Client) (any, error) {
		sub := c.Subscribe(ctx, "lost:a")
		defer sub.Close()
		if _, err := receive(ctx, sub, 1); err != nil {
			return nil, err
		}
		in := sub.ChannelWithSubscriptions()
		publish := func(text string) string {
			if alive {
				other.Publish(outside, "lost:a", text)
			}
			return fmt.Sprint(<-in)
		}
		saw := []string{publish("before")}
		if alive {
			other.ClientKillByFilter(outside, "TYPE", "pubsub")
		}
		saw = append(saw, fmt.Sprint(<-in)) // the new subscription
		return append(saw, publish("after")), nil
	}
	of, saw, err := run(t, server.URL, p)
	if err != nil {
		t.Fatal(err)
	}
	server.Stop()
	alive = false
	report, again, err := replay(t, of, p)
	if report.Outcome != execution.OutcomeSame || err != nil || !reflect.DeepEqual(again, saw) {
		t.Errorf("the replay saw %q, not %q: %v, %v", again, saw, err, report)
	}
	if want := "[Message<lost:a: before> subscribe: lost:a Message<lost:a: after>]"; fmt.Sprint(saw) != want {
		t.Errorf("it saw %v", saw)
	}
}

func TestASubscriptionThatTheRecordDoesNotHaveStops(t *testing.T) {
	t.Parallel()
	of, _, err := run(t, testservices.OwnRedis(t).URL, subscribers["of a shard"])
	if err != nil {
		t.Fatal(err)
	}
	report, _, err := replay(t, of, func(ctx context.Context, c *redis.Client) (any, error) {
		sub := c.SSubscribe(ctx, "shard:b")
		defer sub.Close()
		return receive(ctx, sub, 1)
	})
	if report.Outcome != execution.OutcomeStopped || !errors.Is(err, execution.ErrStopped) {
		t.Errorf("%v, %v", report, err)
	}
}

func TestASubscriptionIsOneOperation(t *testing.T) {
	t.Parallel()
	of, _, err := run(t, testservices.OwnRedis(t).URL+"?protocol=2", subscribers["of a shard"])
	if err != nil {
		t.Fatal(err)
	}
	cp := of.Checkpoints[1]
	want := `{"replies":[["ssubscribe","shard:a",1],["smessage","shard:a","m"]],"ms":[`
	if cp.Shape != "SSUBSCRIBE shard:a" || cp.Effect != record.EffectRead || string(cp.Request.Data) != `{"command":["ssubscribe","shard:a"]}` || !strings.HasPrefix(string(cp.Response.Data), want) {
		t.Errorf("%s %s: %s, %s", cp.Shape, cp.Effect, cp.Request.Data, cp.Response.Data)
	}
}

// What Strict refuses is not sent, whoever subscribes.
func TestStrictRefusesSubscriptions(t *testing.T) {
	t.Parallel()
	url := testservices.OwnRedis(t).URL
	rec, _ := recorder(t)
	recorded, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	defer x.End(nil)
	for _, ctx := range []context.Context{recorded, t.Context()} {
		c := client(t, rec, url, &fluxredis.Options{Strict: true})
		for name, sub := range map[string]*redis.PubSub{"SUBSCRIBE": c.Subscribe(ctx, "a"), "PSUBSCRIBE": c.PSubscribe(ctx, "a*")} {
			_, err := sub.Receive(ctx)
			if !errors.Is(err, fluxredis.ErrRefused) || !strings.Contains(err.Error(), "Redis pub/sub is not supported in Flux (non-deterministic execution)") {
				t.Errorf("%s: %v", name, err)
			}
			_ = sub.Close()
		}
		sharded := c.SSubscribe(ctx, "a") // it never was refused
		_, err := sharded.Receive(ctx)
		_ = sharded.Unsubscribe(ctx, "a")
		if _, refused := sharded.Receive(ctx); err != nil || !errors.Is(refused, fluxredis.ErrRefused) {
			t.Errorf("SSUBSCRIBE: %v, UNSUBSCRIBE: %v", err, refused)
		}
		_ = sharded.Close()
		if n := c.PubSubNumPat(ctx).Val() + c.PubSubNumSub(ctx, "a").Val()["a"]; n != 0 {
			t.Errorf("%d subscriptions came to Redis", n)
		}
	}
}
