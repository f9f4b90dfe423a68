package execution

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/google/uuid"
)

// clock is what the clock of a lane gave, and what it is going to give. Values are differences in ns, as signed varints.
type clock struct {
	last   time.Duration // given last, since the start of the execution
	values []byte        // given
	left   []byte        // of a record, not given yet
	read   time.Duration // the last value that was taken from left, since the start of the record
}

// next takes a value from a record that started at a time. It returns false when there are no more.
func (c *clock) next(start time.Time) (time.Time, bool) {
	step, n := binary.Varint(c.left)
	if n <= 0 {
		return time.Time{}, false
	}
	c.left = c.left[n:]
	c.read += time.Duration(step)
	return start.Add(c.read).Local(), true
}

// give notes a value, given that long after the start.
func (c *clock) give(since time.Duration) {
	c.values = binary.AppendVarint(c.values, int64(since-c.last))
	c.last = since
}

// Now returns the time of the clock, or in a replay what the clock returned then. When a replay reads the clock more often
// than the record does, time goes on from the last value by a nanosecond a read, and the report says so.
func Now(ctx context.Context) time.Time {
	l := laneOf(ctx)
	if l == nil {
		return time.Now()
	}
	return l.now()
}

func (l *lane) now() time.Time {
	switch l.x.mode {
	case ModeReplay:
		return l.replayedNow()
	case ModeResume:
		return l.resumedNow()
	}
	// Not time.Now: the record has durations, of which a replay must make the same time to the nanosecond.
	since := time.Since(l.x.started)
	l.mu.Lock()
	l.clock.give(since)
	l.mu.Unlock()
	return l.x.started.Add(since)
}

func (l *lane) replayedNow() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	start := l.x.matcher.of.Start
	if now, ok := l.clock.next(start); ok {
		return now
	}
	l.clock.read++
	l.x.report.source(record.SourceClock, l.name, "")
	return start.Add(l.clock.read).Local()
}

// resumedNow gives the times of the record, so that requests are those of the record, and then the time. All of them are noted, so
// that the resume can be resumed.
func (l *lane) resumedNow() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, ok := l.clock.next(l.x.matcher.of.Start)
	if !ok {
		now = l.x.started.Add(time.Since(l.x.started))
	}
	l.clock.give(now.Sub(l.x.head.Start))
	return now
}

// Since is time.Since for the clock of [Now].
func Since(ctx context.Context, t time.Time) time.Duration { return Now(ctx).Sub(t) }

// Until is time.Until for the clock of [Now].
func Until(ctx context.Context, t time.Time) time.Duration { return t.Sub(Now(ctx)) }

const boundaryTimer = "timer"

// Sleep waits for d, or until the context ends and returns its error. It is recorded as an operation of the boundary "timer";
// a replay returns at once what came of it then.
func Sleep(ctx context.Context, d time.Duration) error {
	_, err := Do(ctx, Op{
		Boundary: boundaryTimer, Shape: "sleep", Effect: record.EffectNone, Request: map[string]int64{"ns": int64(d)},
	}, func(ctx context.Context) (struct{}, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return struct{}{}, ctx.Err()
		case <-timer.C:
			return struct{}{}, nil
		}
	})
	return err
}

// After is time.After with [Sleep]. The channel gets nothing when the context ends first.
func After(ctx context.Context, d time.Duration) <-chan time.Time {
	due := make(chan time.Time, 1)
	Go(ctx, "after", func(ctx context.Context) {
		if Sleep(ctx, d) == nil {
			due <- Now(ctx)
		}
	})
	return due
}

// random is the source of a lane's random values. All come from one seed, so that the record needs only that.
type random struct {
	seed   [32]byte
	source *rand.ChaCha8 // nil until the first use
}

// lockedSource is the random source of a lane for all its goroutines.
type lockedSource struct{ lane *lane }

func (s lockedSource) Uint64() uint64 {
	s.lane.mu.Lock()
	defer s.lane.mu.Unlock()
	return s.lane.chacha().Uint64()
}

func (s lockedSource) Read(p []byte) (int, error) {
	s.lane.mu.Lock()
	defer s.lane.mu.Unlock()
	return s.lane.chacha().Read(p)
}

// chacha returns the source of the lane. The lane is locked.
func (l *lane) chacha() *rand.ChaCha8 {
	if l.random.source != nil {
		return l.random.source
	}
	if l.x.mode == ModeRecord {
		_, _ = crand.Read(l.random.seed[:])
	} else if l.random.seed == [32]byte{} {
		l.random.seed = l.x.inventedSeed(l.name)
		l.x.report.source(record.SourceRandom, l.name, "")
	}
	l.random.source = rand.NewChaCha8(l.random.seed)
	return l.random.source
}

// Rand returns a source of random numbers that gives the same ones in a replay. Outside an execution it is seeded at random.
func Rand(ctx context.Context) *rand.Rand {
	if l := laneOf(ctx); l != nil {
		return rand.New(lockedSource{l})
	}
	var seed [32]byte
	_, _ = crand.Read(seed[:])
	return rand.New(rand.NewChaCha8(seed))
}

// RandReader returns a reader of random bytes that gives the same ones in a replay. It is good for ids and nonces; the seed of
// what it gives is in the record, so do not make keys from it. Outside an execution it is crypto/rand.Reader.
func RandReader(ctx context.Context) io.Reader {
	if l := laneOf(ctx); l != nil {
		return lockedSource{l}
	}
	return crand.Reader
}

// UUID returns a random UUID (version 4), the same one in a replay.
func UUID(ctx context.Context) uuid.UUID {
	return uuid.Must(uuid.NewRandomFromReader(RandReader(ctx)))
}

// UUIDv7 returns a UUID of the time of [Now] (version 7), the same one in a replay.
func UUIDv7(ctx context.Context) uuid.UUID {
	id := UUID(ctx)
	ms := uint64(Now(ctx).UnixMilli())
	id[0], id[1], id[2], id[3], id[4], id[5] = byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms)
	id[6] = id[6]&0x0f | 0x70
	return id
}
