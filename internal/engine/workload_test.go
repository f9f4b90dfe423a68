package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/producer"
	"github.com/flux-go/flux/message"
)

const ns = message.DefaultNamespace

var (
	events = message.Log{Type: message.Event}
	prices = message.Log{Type: message.Custom, Topic: "prices"} // truncated now and then
)

// workload is clients that write at the same time. The transaction with number n of client c appends 1 to 4 messages to two
// logs each and stores n as the position of consumer c, all under the dedupe of producer c. So what was committed can be told
// from any of these, and all must agree.
type workload struct {
	seed    uint64
	clients []*client
	clock   walk
	tokens  chan struct{} // a transaction takes one
	stop    chan struct{}
	wg      sync.WaitGroup

	mu struct {
		sync.Mutex
		answers int
		wanted  int
		reached chan struct{} // closed when answers is wanted
	}
}

// client is one of them. What it was answered is in the order of the numbers, which is the order of commits.
type client struct {
	number  int
	answers []answer // guarded by workload.mu
	err     error    // set before wg is done
}

// answer is the first indexes of the appends of a transaction.
type answer []message.Index

func (c *client) id() producer.ID { return producer.ID{0: 'c', 1: byte(c.number)} }

func (c *client) consumer() position.Consumer {
	return position.Consumer{Log: events, Name: message.ConsumerName(fmt.Sprint("c", c.number))}
}

// messages is how many messages transaction n of the client appends to each log.
func (c *client) messages(n uint64) int { return 1 + (int(n)+c.number)%4 }

// maxTransactions is the most that a workload sends.
const maxTransactions = 10_000

// newWorkload returns a workload that may send some transactions more than are waited for.
func newWorkload(seed uint64, clients, ahead int) *workload {
	w := &workload{seed: seed, stop: make(chan struct{}), tokens: make(chan struct{}, maxTransactions)}
	w.allow(ahead)
	for i := range clients {
		w.clients = append(w.clients, &client{number: i})
	}
	return w
}

func (w *workload) allow(transactions int) {
	for range transactions {
		w.tokens <- struct{}{}
	}
}

// walk is a clock that jumps, also back.
type walk struct{ reads atomic.Uint64 }

func (w *walk) now() time.Time {
	n := w.reads.Add(1)
	return time.UnixMilli(1_000_000 + int64(n/5) - int64(n%11))
}

func (w *workload) options(fs vfs.FS) engine.Options {
	r := rand.New(rand.NewPCG(w.seed, 0))
	return engine.Options{FS: fs, Clock: w.clock.now, MemTableBytes: 16 << 10 << r.IntN(5), CacheBytes: 1 << 20}
}

func (w *workload) start(e *engine.Engine) {
	for _, c := range w.clients {
		w.wg.Go(func() { c.err = w.send(e, c) })
	}
}

// run has the clients send n transactions more, or until each is refused one, and returns the error of each that was.
func (w *workload) run(e *engine.Engine, n int) []error {
	w.allow(n)
	close(w.tokens)
	w.start(e)
	return w.wait()
}

// end stops the clients and returns the error of each that was refused.
func (w *workload) end() []error {
	close(w.stop)
	return w.wait()
}

func (w *workload) wait() (errs []error) {
	w.wg.Wait()
	for _, c := range w.clients {
		if c.err != nil {
			errs = append(errs, c.err)
		}
	}
	return errs
}

// send sends transactions, up to four at a time, until one is refused or the workload ends.
func (w *workload) send(e *engine.Engine, c *client) error {
	r := rand.New(rand.NewPCG(w.seed, uint64(c.number)+1))
	results := make(chan error, 4)
	flying := 0
	for n := uint64(1); ; n++ {
		select {
		case <-w.stop:
			return drain(results, flying)
		case _, more := <-w.tokens:
			if !more {
				return drain(results, flying)
			}
		}
		once := w.transaction(c, n, r)
		tx := &engine.Transaction{Namespace: ns, Operations: []engine.Operation{once}}
		err := e.Submit(context.Background(), tx, func(err error) {
			if err == nil {
				w.answered(c, once.Firsts)
			}
			results <- err
		})
		if err != nil {
			return errors.Join(err, drain(results, flying))
		}
		if flying++; flying == cap(results) {
			if err := <-results; err != nil {
				return errors.Join(err, drain(results, flying-1))
			}
			flying--
		}
	}
}

func drain(results chan error, n int) (err error) {
	for range n {
		err = errors.Join(err, <-results)
	}
	return err
}

func (w *workload) transaction(c *client, n uint64, r *rand.Rand) *producer.Once {
	once := &producer.Once{Producer: c.id(), Sequence: n, AnsweredThrough: max(n, 8) - 8}
	for _, log := range []message.Log{events, prices} {
		once.Operations = append(once.Operations, c.append(log, n, r))
	}
	once.Operations = append(once.Operations,
		&position.Store{Consumer: c.consumer(), Segments: message.AllSegments, Last: message.Index(n)})
	if answers := w.answers(c); len(answers) > 5 && r.IntN(10) == 0 {
		once.Operations = append(once.Operations, &messagelog.Truncate{Log: prices, Through: answers[len(answers)-5][1]})
	}
	return once
}

// append returns the operation that appends the messages of a transaction, some of which are large.
func (c *client) append(log message.Log, n uint64, r *rand.Rand) *messagelog.Append {
	var b message.BlockWriter
	for i := range c.messages(n) {
		size := r.IntN(300)
		if r.IntN(20) == 0 {
			size = r.IntN(20_000)
		}
		payload := fmt.Sprintf("%d/%d/%d/%s", c.number, n, i, strings.Repeat("x", size))
		if err := b.Add(&message.Message{Payload: []byte(payload), Timestamp: 1}); err != nil {
			panic(err)
		}
	}
	a, err := messagelog.NewAppend(log, b.Seal(nil, message.LZ4))
	if err != nil {
		panic(err)
	}
	return a
}

func (w *workload) answered(c *client, firsts []message.Index) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.answers = append(c.answers, firsts)
	if w.mu.answers++; w.mu.answers == w.mu.wanted {
		close(w.mu.reached)
	}
}

func (w *workload) answers(c *client) []answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return c.answers
}

// all returns what every client was answered so far.
func (w *workload) all() [][]answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all [][]answer
	for _, c := range w.clients {
		all = append(all, slices.Clip(c.answers))
	}
	return all
}

// after lets the clients send n more transactions and returns a channel that is closed when as many were answered.
func (w *workload) after(n int) <-chan struct{} {
	defer w.allow(n)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.wanted, w.mu.reached = w.mu.answers+n, make(chan struct{})
	return w.mu.reached
}

// found is what an engine has of a workload.
type found struct {
	workload  *workload
	engine    *engine.Engine
	logs      *messagelog.Logs
	last      []uint64 // number of the last transaction of each client, by its position
	heads     map[message.Log]messagelog.Head
	committed []map[uint64][2]message.Index // first indexes in both logs, by client and number
}

// check looks at an engine and returns what is wrong with it: damage, an answer that was lost, a transaction that is there in
// part, messages out of order.
func (w *workload) check(e *engine.Engine, answers [][]answer) (*found, error) {
	f := &found{workload: w, engine: e, logs: messagelog.New(e), heads: make(map[message.Log]messagelog.Head)}
	if err := f.verify(); err != nil {
		return nil, err
	}
	for _, c := range w.clients {
		p, err := position.New(e).Get(ns, c.consumer())
		if err != nil {
			return nil, err
		}
		last, _ := p.Index(0)
		if int(last) < len(answers[c.number]) {
			return nil, fmt.Errorf("client %d was answered %d transactions, its position is %d", c.number, len(answers[c.number]), last)
		}
		f.last = append(f.last, uint64(last))
		f.committed = append(f.committed, make(map[uint64][2]message.Index))
	}
	for i, log := range []message.Log{events, prices} {
		if err := f.read(i, log); err != nil {
			return nil, fmt.Errorf("log %s: %w", log, err)
		}
	}
	return f, f.compare(answers)
}

func (f *found) verify() error {
	view := f.engine.View()
	defer view.Close()
	checks := []engine.Check{messagelog.NewCheck(), position.NewCheck(), producer.NewCheck()}
	figures, err := view.Verify(context.Background(), checks, nil)
	if figures.Found > 0 {
		err = errors.Join(err, fmt.Errorf("problems: %v", figures.Problems))
	}
	return err
}

// read notes the transactions of a log, and checks that each has all its messages, in order.
func (f *found) read(which int, log message.Log) error {
	head, err := f.logs.Head(ns, log)
	if err != nil {
		return err
	}
	f.heads[log] = head
	entries, err := f.logs.Read(ns, log, message.Beginning, messagelog.Limit{Messages: 1 << 40, Bytes: 1 << 40})
	if err != nil {
		return err
	}
	last := head.Truncated
	next := make(map[int]string)
	for _, e := range entries {
		first := e.First
		for b, err := range message.Blocks(e.Blocks) {
			if err != nil {
				return err
			}
			messages, err := b.AppendMessages(nil, first)
			if err != nil {
				return err
			}
			if first > last { // no block that is partly truncated is looked into
				if err := f.note(which, messages, next); err != nil {
					return err
				}
			}
			first += message.Index(b.Span())
		}
		if e.First+message.Index(e.Skip) <= last || first != e.Last+1 {
			return fmt.Errorf("entry of %d to %d, skipping %d, with blocks up to %d, after %d", e.First, e.Last, e.Skip, first-1, last)
		}
		last = e.Last
	}
	if last != head.Last && head.Truncated != head.Last {
		return fmt.Errorf("messages up to %d, head says %d", last, head.Last)
	}
	return nil
}

// note takes the messages of one block, which are those of one transaction in one log.
func (f *found) note(which int, messages []message.Message, next map[int]string) error {
	var number int
	var n uint64
	for i, m := range messages {
		var ordinal int
		payload := string(m.Payload[:min(len(m.Payload), 40)])
		if _, err := fmt.Sscanf(strings.ReplaceAll(payload, "/", " "), "%d %d %d", &number, &n, &ordinal); err != nil {
			return fmt.Errorf("message %d is %q", m.Index, payload)
		}
		if ordinal != i {
			return fmt.Errorf("message %d is %q, want ordinal %d", m.Index, payload, i)
		}
	}
	c := f.workload.clients[number]
	if len(messages) != c.messages(n) {
		return fmt.Errorf("transaction %d of client %d has %d messages, want %d", n, number, len(messages), c.messages(n))
	}
	if want := next[number]; want != "" && want != fmt.Sprint(n) {
		return fmt.Errorf("transaction %d of client %d, want %s", n, number, want)
	}
	next[number] = fmt.Sprint(n + 1)
	firsts := f.committed[number][n]
	firsts[which] = messages[0].Index
	f.committed[number][n] = firsts
	return nil
}

// compare compares what was found with what was answered.
func (f *found) compare(answers [][]answer) error {
	truncated := f.heads[prices].Truncated
	for _, c := range f.workload.clients {
		if got, want := len(f.committed[c.number]), f.last[c.number]; uint64(got) != want {
			return fmt.Errorf("client %d has %d transactions in the logs, its position is %d", c.number, got, want)
		}
		for n := uint64(1); n <= f.last[c.number]; n++ {
			firsts := f.committed[c.number][n]
			if firsts[0] == 0 {
				return fmt.Errorf("transaction %d of client %d is not in %s", n, c.number, events)
			}
			if n > uint64(len(answers[c.number])) {
				continue
			}
			answer := answers[c.number][n-1]
			if firsts[0] != answer[0] || firsts[1] != answer[1] && answer[1] > truncated {
				return fmt.Errorf("transaction %d of client %d is at %v, was answered %v", n, c.number, firsts, answer)
			}
		}
	}
	return nil
}

// goOn sends the last committed transaction of each client again and then a new one, and checks that the former is known
// and that no index is given out twice.
func (f *found) goOn() error {
	w := f.workload
	r := rand.New(rand.NewPCG(w.seed, 99))
	for _, c := range w.clients {
		for _, n := range []uint64{f.last[c.number], f.last[c.number] + 1} {
			if n == 0 {
				continue
			}
			once := w.transaction(c, n, r)
			once.Operations = once.Operations[:3]
			tx := &engine.Transaction{Namespace: ns, Operations: []engine.Operation{once}}
			if err := f.engine.Propose(context.Background(), tx); err != nil {
				return err
			}
			if err := f.resent(c, n, once); err != nil {
				return err
			}
		}
		f.last[c.number]++
	}
	return nil
}

func (f *found) resent(c *client, n uint64, once *producer.Once) error {
	if once.Duplicate != (n == f.last[c.number]) {
		return fmt.Errorf("transaction %d of client %d after %d: duplicate %v", n, c.number, f.last[c.number], once.Duplicate)
	}
	firsts := f.committed[c.number][n]
	for i, log := range []message.Log{events, prices} {
		head := f.heads[log]
		switch first := once.Firsts[i]; {
		case once.Duplicate && first != firsts[i] && firsts[i] != 0:
			return fmt.Errorf("transaction %d of client %d is at %v, was answered %v again", n, c.number, firsts, once.Firsts)
		case !once.Duplicate && first <= head.Last:
			return fmt.Errorf("new index %d in %s, whose last was %d", first, log, head.Last)
		case !once.Duplicate:
			head.Last = first
			f.heads[log] = head
		}
	}
	return nil
}
