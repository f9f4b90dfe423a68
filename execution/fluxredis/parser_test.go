package fluxredis

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestFillIsWhatTheClientMakesOfAReply(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	get := redis.NewStringCmd(ctx, "get", "a")
	if err := fill(ctx, []redis.Cmder{get}, [][]byte{[]byte("$5\r\nhello\r\n")}); err != nil || get.Val() != "hello" {
		t.Errorf("get: %q, %v", get.Val(), err)
	}
	missing := redis.NewStringCmd(ctx, "get", "b")
	if err := fill(ctx, []redis.Cmder{missing}, [][]byte{[]byte("$-1\r\n")}); !errors.Is(err, redis.Nil) || !errors.Is(missing.Err(), redis.Nil) {
		t.Errorf("missing: %v", err)
	}
	hash := redis.NewMapStringStringCmd(ctx, "hgetall", "h")
	if err := fill(ctx, []redis.Cmder{hash}, [][]byte{[]byte("%1\r\n$1\r\na\r\n$1\r\nb\r\n")}); err != nil || hash.Val()["a"] != "b" {
		t.Errorf("hgetall: %v, %v", hash.Val(), err)
	}
	wrong := redis.NewStringCmd(ctx, "get", "h")
	if err := fill(ctx, []redis.Cmder{wrong}, [][]byte{[]byte("-WRONGTYPE no\r\n")}); !redis.HasErrorPrefix(err, "WRONGTYPE") {
		t.Errorf("wrong type: %v", err)
	}
}

func BenchmarkFill(b *testing.B) {
	ctx := b.Context()
	data := []byte("$5\r\nhello\r\n")
	for b.Loop() {
		cmd := redis.NewStringCmd(ctx, "get", "a")
		if err := fill(ctx, []redis.Cmder{cmd}, [][]byte{data}); err != nil {
			b.Fatal(err)
		}
	}
}
