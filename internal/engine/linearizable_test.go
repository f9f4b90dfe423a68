package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// TestLinearizable has clients append to logs, read them, and store and read positions at the same time, some of it on
// conditions, and looks for an order that explains all they saw: each call has its effect at one moment between its beginning
// and its end. Logs and positions are told apart, as calls on one have nothing to do with those on another.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	for i := range uint64(10) {
		seed := seed + i
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			history := record(t, seed)
			switch result, _ := porcupine.CheckOperationsVerbose(linearModel, history, time.Minute); result {
			case porcupine.Illegal:
				t.Errorf("no order explains what the clients saw:\n%s", describe(history))
			case porcupine.Unknown:
				t.Error("found no answer within a minute")
			}
		})
	}
}

// call is what a client asked for.
type call struct {
	kind      byte // 'a'ppend, 'r'ead, 's'tore, 'g'et
	log       message.Log
	count     int            // of messages to append
	after     message.Index  // to read
	last      message.Index  // to store
	condition *message.Index // on the last index of the log, or on the position
}

// reply is what it was told.
type reply struct {
	conflict bool
	first    message.Index
	indexes  []message.Index
	position message.Index
}

// linearState is a log, or a position.
type linearState struct {
	indexes  []message.Index
	position message.Index
}

var linearModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make(map[string][]porcupine.Operation)
		for _, op := range history {
			c := op.Input.(call)
			part := fmt.Sprint(c.log, c.kind == 's' || c.kind == 'g')
			parts[part] = append(parts[part], op)
		}
		var all [][]porcupine.Operation
		for _, part := range parts {
			all = append(all, part)
		}
		return all
	},
	Init: func() any { return linearState{position: message.Beginning} },
	Step: func(state, input, output any) (bool, any) {
		return state.(linearState).step(input.(call), output.(reply))
	},
	Equal: func(a, b any) bool {
		x, y := a.(linearState), b.(linearState)
		return x.position == y.position && slices.Equal(x.indexes, y.indexes)
	},
}

func (s linearState) last() message.Index {
	if len(s.indexes) == 0 {
		return message.Beginning
	}
	return s.indexes[len(s.indexes)-1]
}

// step reports whether a call on the state may be replied to so, and returns the state after it.
func (s linearState) step(c call, r reply) (bool, linearState) {
	switch c.kind {
	case 'a':
		if conflict := c.condition != nil && *c.condition != s.last(); conflict || r.conflict {
			return conflict == r.conflict, s
		}
		next := linearState{indexes: slices.Clip(s.indexes)}
		for i := range c.count {
			next.indexes = append(next.indexes, r.first+message.Index(i))
		}
		return r.first > s.last(), next
	case 'r':
		from, _ := slices.BinarySearch(s.indexes, c.after+1)
		return slices.Equal(s.indexes[from:], r.indexes), s
	case 's':
		if conflict := c.condition != nil && *c.condition != s.position; conflict || r.conflict {
			return conflict == r.conflict, s
		}
		return true, linearState{position: max(s.position, c.last)}
	default:
		return r.position == s.position, s
	}
}

func describe(history []porcupine.Operation) string {
	var out string
	for _, op := range history {
		c := op.Input.(call)
		out += fmt.Sprintf("%d to %d: client %d: %c %s %+v: %+v\n", op.Call, op.Return, op.ClientId, c.kind, c.log, c, op.Output)
	}
	return out
}

// recorder calls an engine and keeps what was asked and replied.
type recorder struct {
	t         *testing.T
	engine    *engine.Engine
	logs      []*messagelog.Logs // the later ones know less of the tails
	positions *position.Positions
	start     time.Time

	mu struct {
		sync.Mutex
		history []porcupine.Operation
	}
}

func record(t *testing.T, seed uint64) []porcupine.Operation {
	var clock walk
	e, err := engine.Open("store", engine.Options{FS: vfs.NewMem(), Clock: clock.now, MemTableBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r := &recorder{t: t, engine: e, logs: []*messagelog.Logs{messagelog.New(e)}, positions: position.New(e), start: time.Now()}
	for range 2 { // clients work, then others with a reader that has seen none of it
		var clients sync.WaitGroup
		for client := range 6 {
			clients.Go(func() { r.client(client, rand.New(rand.NewPCG(seed, uint64(client)))) })
		}
		clients.Wait()
		r.logs = append(r.logs, messagelog.New(e))
	}
	return r.mu.history
}

func (r *recorder) client(client int, random *rand.Rand) {
	seen := map[message.Log]message.Index{events: message.Beginning, prices: message.Beginning}
	for range 30 {
		c := call{log: events, kind: "aarsg"[random.IntN(5)], count: 1 + random.IntN(3)}
		if random.IntN(2) == 0 {
			c.log = prices
		}
		c.after = seen[c.log] - message.Index(random.IntN(2))
		c.last = message.Index(random.IntN(20))
		if random.IntN(3) == 0 {
			condition := seen[c.log]
			if c.kind == 's' {
				condition = message.Index(random.IntN(20) - 1)
			}
			c.condition = &condition
		}
		began := time.Since(r.start)
		reply := r.call(c, r.logs[random.IntN(len(r.logs))])
		ended := time.Since(r.start)
		if c.kind == 'a' && !reply.conflict {
			seen[c.log] = reply.first + message.Index(c.count) - 1
		}
		r.mu.Lock()
		r.mu.history = append(r.mu.history, porcupine.Operation{
			ClientId: client, Input: c, Call: int64(began), Output: reply, Return: int64(ended),
		})
		r.mu.Unlock()
	}
}

func (r *recorder) call(c call, logs *messagelog.Logs) (reply reply) {
	switch c.kind {
	case 'a':
		a := newAppend(r.t, c.log, c.count)
		a.IfLast = c.condition
		reply.conflict = r.propose(a)
		reply.first = a.First
	case 'r':
		entries, err := logs.Read(ns, c.log, c.after, messagelog.Limit{Messages: 1 << 30, Bytes: 1 << 30})
		if err != nil {
			r.t.Error(err)
		}
		for _, e := range entries {
			for i := e.First + message.Index(e.Skip); i <= e.Last; i++ {
				reply.indexes = append(reply.indexes, i)
			}
		}
	case 's':
		store := &position.Store{Consumer: consumerOf(c.log), Segments: message.AllSegments, Last: c.last}
		if c.condition != nil {
			p := message.NewPosition(message.AllSegments, *c.condition)
			if *c.condition == message.Beginning {
				p = message.Position{}
			}
			store.If = &p
		}
		reply.conflict = r.propose(store)
	default:
		p, err := r.positions.Get(ns, consumerOf(c.log))
		if err != nil {
			r.t.Error(err)
		}
		reply.position = message.Beginning
		if index, found := p.Index(0); found {
			reply.position = index
		}
	}
	return reply
}

func consumerOf(log message.Log) position.Consumer { return position.Consumer{Log: log, Name: "one"} }

func (r *recorder) propose(op engine.Operation) (conflict bool) {
	err := r.engine.Propose(context.Background(), &engine.Transaction{Namespace: ns, Operations: []engine.Operation{op}})
	if err != nil && !errors.Is(err, engine.ErrConflict) {
		r.t.Error(err)
	}
	return err != nil
}

func newAppend(t testing.TB, log message.Log, count int) *messagelog.Append {
	t.Helper()
	var w message.BlockWriter
	for range count {
		if err := w.Add(&message.Message{Payload: []byte("x"), Timestamp: 1}); err != nil {
			t.Fatal(err)
		}
	}
	a, err := messagelog.NewAppend(log, w.Seal(nil, message.NoCompression))
	if err != nil {
		t.Fatal(err)
	}
	return a
}
