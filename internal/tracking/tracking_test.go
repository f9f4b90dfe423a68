package tracking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

const public = message.DefaultNamespace

var (
	events        = message.Log{Type: message.Event}
	notifications = message.Log{Type: message.Notification}
	orders        = position.Consumer{Log: events, Name: "orders"}
)

// world is a service on an engine in memory.
type world struct {
	*Service
	t   testing.TB
	ctx context.Context // ends with the test
	// requests counts those that open has started.
	requests sync.WaitGroup
}

// setup starts a world that ends with the test.
func setup(t testing.TB) *world {
	t.Helper()
	e, err := engine.Open("store", engine.Options{FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &world{Service: New(e, messagelog.New(e), position.New(e), Options{}), t: t, ctx: ctx}
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		w.requests.Wait()
		if err := errors.Join(<-ended, e.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// inWorld runs a test in a bubble with a time of its own.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, setup(t)) })
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// appendTo appends one block of messages and returns their indexes.
func (w *world) appendTo(log message.Log, messages ...message.Message) []message.Index {
	w.t.Helper()
	first := w.appendBlocks(log, pack(w.t, messages))
	indexes := make([]message.Index, len(messages))
	for i := range indexes {
		indexes[i] = first + message.Index(i)
	}
	return indexes
}

func (w *world) appendBlocks(log message.Log, blocks []byte) (first message.Index) {
	w.t.Helper()
	op, err := messagelog.NewAppend(log, blocks)
	w.must(err)
	w.must(w.engine.Propose(w.ctx, &engine.Transaction{Namespace: public, Operations: []engine.Operation{op}}))
	return op.First
}

// append appends a block of events of type "e" in the segments, and returns once all trackers have done what they do then.
func (w *world) append(segments ...int) []message.Index {
	w.t.Helper()
	defer synctest.Wait()
	return w.appendTo(events, inSegments(segments...)...)
}

func inSegments(segments ...int) []message.Message {
	messages := make([]message.Message, len(segments))
	for i, segment := range segments {
		messages[i] = message.Message{Type: "e", Routed: true, Segment: int32(segment), Payload: []byte("{}")}
	}
	return messages
}

func pack(t testing.TB, messages []message.Message) []byte {
	t.Helper()
	var writer message.BlockWriter
	for i := range messages {
		if err := writer.Add(&messages[i]); err != nil {
			t.Fatal(err)
		}
	}
	return writer.Seal(nil, message.Snappy)
}

// tracker returns a tracker of orders that begins at the beginning.
func tracker(id string) Tracker {
	from := message.Beginning
	return Tracker{Namespace: public, Log: events, Consumer: orders.Name, ID: id, ClientID: "client of " + id, Last: &from}
}

func at(index message.Index) *message.Index { return &index }

// read reads with a wait of a minute of the bubble's time.
func (w *world) read(t Tracker) Batch { return w.readFor(t, time.Minute) }

func (w *world) readFor(t Tracker, maxWait time.Duration) Batch {
	w.t.Helper()
	b, err := w.Read(w.ctx, t, maxWait, nil)
	w.must(err)
	return b
}

// answer is what an open request returns.
type answer struct {
	done  chan struct{}
	batch Batch
	err   error
	after time.Duration
}

// open reads in the background and returns once the request waits or was answered.
func (w *world) open(t Tracker, maxWait time.Duration, connection any) *answer {
	a := &answer{done: make(chan struct{})}
	start := time.Now()
	w.requests.Go(func() {
		defer close(a.done)
		a.batch, a.err = w.Read(w.ctx, t, maxWait, connection)
		a.after = time.Since(start)
	})
	synctest.Wait()
	return a
}

func (a *answer) answered() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// now fails unless the request was answered, and returns the batch.
func (a *answer) now(t testing.TB) Batch {
	t.Helper()
	synctest.Wait()
	if !a.answered() {
		t.Fatal("the request still waits")
	}
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.batch
}

// store stores the position after a batch.
func (w *world) store(c position.Consumer, b Batch) {
	w.t.Helper()
	if b.Last != nil {
		w.must(w.StorePosition(w.ctx, public, c, b.Segments, *b.Last))
	}
}

func (w *world) position(c position.Consumer) string {
	w.t.Helper()
	p, err := w.positions.Get(public, c)
	w.must(err)
	return p.String()
}

func decode(t testing.TB, chunks []Chunk) []message.Message {
	t.Helper()
	var all []message.Message
	for _, chunk := range chunks {
		first := chunk.First
		for b, err := range message.Blocks(chunk.Blocks) {
			if err == nil {
				all, err = b.AppendMessages(all, first)
			}
			if err != nil {
				t.Fatal(err)
			}
			first += message.Index(b.Span())
		}
	}
	return all
}

func indexes(t testing.TB, chunks []Chunk) []message.Index {
	t.Helper()
	var all []message.Index
	for _, m := range decode(t, chunks) {
		all = append(all, m.Index)
	}
	if !slices.IsSorted(all) {
		t.Fatalf("indexes %d are not ascending", all)
	}
	return all
}

func (w *world) wantMessages(b Batch, want ...message.Index) {
	w.t.Helper()
	if got := indexes(w.t, b.Chunks); !slices.Equal(got, want) {
		w.t.Fatalf("messages %d, want %d", got, want)
	}
	if len(want) > 0 && (b.Last == nil || *b.Last < want[len(want)-1]) {
		w.t.Fatalf("last index %v is before the last message %d", b.Last, want[len(want)-1])
	}
}

func (w *world) wantSegments(b Batch, start, end int) {
	w.t.Helper()
	if want := (message.SegmentRange{Start: start, End: end}); b.Segments != want {
		w.t.Fatalf("segments %s, want %s", b.Segments, want)
	}
}

// ranges are all trackers of orders: "a 0-64* b 64-128", those with messages in hand with a star.
func (w *world) ranges() string {
	w.t.Helper()
	synctest.Wait()
	info, err := w.Consumer(w.ctx, public, orders)
	w.must(err)
	text := ""
	for i, t := range info.Trackers {
		if i > 0 {
			text += " "
		}
		text += t.ID + " -"
		if !t.Segments.Empty() {
			text = text[:len(text)-1] + fmt.Sprintf("%d-%d", t.Segments.Start, t.Segments.End)
		}
		if t.Active {
			text += "*"
		}
	}
	return text
}

func (w *world) wantRanges(want string) {
	w.t.Helper()
	if got := w.ranges(); got != want {
		w.t.Fatalf("ranges %q, want %q", got, want)
	}
}

func (w *world) truncate(log message.Log, through message.Index) {
	w.t.Helper()
	op := &messagelog.Truncate{Log: log, Through: through}
	w.must(w.engine.Propose(w.ctx, &engine.Transaction{Namespace: public, Operations: []engine.Operation{op}}))
}
