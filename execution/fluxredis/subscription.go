package fluxredis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// Subscriptions have no hook of their own in go-redis, but their connections are dialled under the context of who subscribes, and
// those of commands under none. So a connection that is dialled in an execution is looked into for what it is told:
//
//	SUBSCRIBE news   an operation, with all that comes until the next one
//	PING, CLIENT …   left alone: go-redis sends them when it wants to
//
// A connection that is lost is dialled anew under no context, too. It belongs to the execution of the one that was lost.

// commandsOfSubscriptions are the commands that are operations on a connection for subscriptions.
var commandsOfSubscriptions = words(`SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE`)

// messages are the kinds of what comes on a subscription.
var messages = words(`message pmessage smessage subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe`)

const shapeConnect = "CONNECT"

// stream is what came on a subscription, as a response. It is safe for concurrent use.
type stream struct {
	mu   sync.Mutex
	data streamJSON
	size int
}

type streamJSON struct {
	Replies   []*reply `json:"replies,omitempty"`   // as they came
	Ms        []int64  `json:"ms,omitempty"`        // when, since the command
	Timeouts  []int    `json:"timeouts,omitempty"`  // before which of the replies a Read ran out of time
	Truncated bool     `json:"truncated,omitempty"` // more came
}

// MarshalJSON implements json.Marshaler.
func (s *stream) MarshalJSON() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.Marshal(s.data)
}

// A subscription is an operation of a connection.
type subscription struct {
	call  *execution.Call
	came  *stream
	began time.Time
}

// tap is a connection that may be one for subscriptions.
type tap struct {
	net.Conn
	h   *hook
	ctx context.Context // whose execution it belongs to, if any

	mu      sync.Mutex
	plain   bool   // it is not, or it is not recorded
	written []byte // the beginning of a command
	read    []byte // the beginning of a reply
	current *subscription
	refused error
	closed  bool
}

// tapped returns conn as it is to be used. What go-redis asks of the system about connections works on it as well.
func (h *hook) tapped(ctx context.Context, conn net.Conn) net.Conn {
	t := &tap{Conn: conn, h: h, ctx: ctx}
	if system, ok := conn.(syscall.Conn); ok {
		return struct {
			*tap
			syscall.Conn
		}{t, system}
	}
	return t
}

// Write implements net.Conn. What is refused is not written, and who reads is told: go-redis forgets errors of writing.
func (t *tap) Write(p []byte) (int, error) {
	if err := t.tell(p); err != nil {
		return len(p), t.Conn.SetReadDeadline(time.Unix(1, 0)) // it may be waiting
	}
	return t.Conn.Write(p)
}

// tell looks at what is written, before it is.
func (t *tap) tell(p []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.plain {
		return nil
	}
	t.written = append(t.written, p...)
	for {
		words, rest, ok := nextCommand(t.written)
		if !ok {
			return nil
		}
		t.written = rest
		switch name := words.name(); {
		case commandsOfSubscriptions[name]:
			if t.refused = t.begin(words); t.refused != nil {
				return t.refused
			}
		case t.current == nil && !handshake[name] && name != "PING":
			t.plain, t.written = true, nil
			return nil
		}
	}
}

// begin begins the operation of a command.
func (t *tap) begin(words command) error {
	if t.h.strict {
		if err := refusalOf(words.name(), false); err != nil {
			return err
		}
	}
	t.current.finish(nil)
	t.current = nil
	if x := execution.FromContext(t.ctx); x.Mode() == execution.ModeResume {
		x.Shortened("a subscription in a resume", 0)
		t.plain = true
		return nil
	}
	call := t.h.rec.Start(t.ctx, t.h.subscriptionOp(words))
	switch {
	case call == nil:
	case call.Err() != nil:
		return call.Err()
	default:
		t.current = &subscription{call: call, came: &stream{}, began: time.Now()}
	}
	return nil
}

// subscriptionOp is the operation of a command on a subscription. The order of channels is not part of what it asks: go-redis draws
// it from a map when it connects anew.
func (h *hook) subscriptionOp(words command) execution.Op {
	sorted := slices.Clone(words)
	slices.SortFunc(sorted[1:], func(a, b record.Body) int { return bytes.Compare(a.Data, b.Data) })
	shape := words.name()
	if len(words) > 1 {
		shape += " " + maskedKey(sorted[1].Data)
	}
	return execution.Op{
		Boundary: "redis", Target: h.target, Shape: shape, Effect: record.EffectRead,
		Request: &request{Command: words}, Identity: &request{Command: sorted},
	}
}

// Read implements net.Conn.
func (t *tap) Read(p []byte) (int, error) {
	if err := t.refusal(); err != nil {
		return 0, err
	}
	n, err := t.Conn.Read(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.refused != nil:
		return 0, t.refused
	case t.plain || t.current == nil:
		return n, err
	}
	t.take(p[:n])
	var timeout net.Error
	switch {
	case err == nil || t.closed:
	case errors.As(err, &timeout) && timeout.Timeout():
		t.current.waited()
	default:
		t.current.finish(err)
		t.h.lost(t.ctx)
		t.plain = true
	}
	return n, err
}

// refusal returns what a command was refused with, nil when none was.
func (t *tap) refusal() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

// take adds what comes to the record: messages, and refusals of what was asked.
func (t *tap) take(p []byte) {
	t.read = append(t.read, p...)
	for {
		r, rest, err := decodeReply(t.read)
		if err != nil {
			break
		}
		t.read = rest
		if r.kind == kindError || r.isMessage() {
			t.current.add(&r)
		}
	}
	if len(t.read) > maxPending+t.current.call.Execution().BodyLimit() {
		t.current.shorten()
		t.plain, t.read = true, nil
	}
}

// maxPending bounds how much of a reply is kept until the rest of it comes, beside what is recorded of one.
const maxPending = 1 << 20

// isMessage says that a reply is one of those that come unasked, or that confirm a subscription.
func (r *reply) isMessage() bool {
	return (r.kind == kindArray || r.kind == kindPush) && len(r.items) > 0 && messages[string(r.items[0].text)]
}

func (s *subscription) add(r *reply) {
	s.came.mu.Lock()
	x, data, n := s.call.Execution(), &s.came.data, r.size()
	s.came.size += n
	if data.Truncated || s.came.size > x.BodyLimit() || !x.Reserve(n) {
		data.Truncated = true
	} else {
		data.Replies = append(data.Replies, r)
		data.Ms = append(data.Ms, time.Since(s.began).Milliseconds())
	}
	s.came.mu.Unlock()
	s.call.Answer(s.came)
}

// size is about how much memory a reply takes.
func (r *reply) size() int {
	n := len(r.text)
	for i := range r.items {
		n += r.items[i].size()
	}
	return n
}

func (s *subscription) shorten() {
	s.came.mu.Lock()
	s.came.data.Truncated = true
	s.came.mu.Unlock()
	s.finish(nil)
}

// waited notes that a Read ran out of time.
func (s *subscription) waited() {
	s.came.mu.Lock()
	defer s.came.mu.Unlock()
	s.came.data.Timeouts = append(s.came.data.Timeouts, len(s.came.data.Replies))
}

// finish ends an operation. It is for nil, too.
func (s *subscription) finish(err error) {
	switch {
	case s == nil:
	case err != nil:
		s.call.FinishFault(s.came, fault.Of(err))
	default:
		s.call.Finish(s.came, nil)
	}
}

// Close implements net.Conn.
func (t *tap) Close() error {
	t.mu.Lock()
	t.current.finish(nil)
	t.closed = true
	t.mu.Unlock()
	return t.Conn.Close()
}

// lost remembers the execution of a connection that go-redis is going to dial anew.
func (h *hook) lost(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.orphans = append(h.orphans, ctx)
}

// owner returns the context that a connection belongs to: its own, or that of one that was lost.
func (h *hook) owner(ctx context.Context) context.Context {
	x := execution.FromContext(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, orphan := range h.orphans {
		if x == nil || x == execution.FromContext(orphan) {
			h.orphans = slices.Delete(h.orphans, i, i+1)
			if x == nil {
				return orphan
			}
			break
		}
	}
	return ctx
}

// nextCommand takes a command off what is written. It returns false for the beginning of one, and for what is none.
func nextCommand(data []byte) (words command, rest []byte, ok bool) {
	r, rest, err := decodeReply(data)
	if err != nil || r.kind != kindArray || len(r.items) == 0 {
		return nil, data, false
	}
	for _, item := range r.items {
		words = append(words, record.NewBody(bytes.Clone(item.text), len(item.text)))
	}
	return words, rest, true
}

func (c command) name() string { return strings.ToUpper(string(c[0].Data)) }

// dial opens a connection of somebody who subscribes, whose execution is that of ctx.
func (h *hook) dial(ctx context.Context, connect func() (net.Conn, error)) (net.Conn, error) {
	call := h.rec.Start(ctx, execution.Op{Boundary: "redis", Target: h.target, Shape: shapeConnect, Effect: record.EffectNone})
	switch cp := call.Recorded(); {
	case call.Err() != nil:
		return nil, call.Err()
	case cp != nil && cp.Error != nil:
		return nil, fault.Rebuild(cp.Error, kinds...)
	case call.Execution().Mode() == execution.ModeReplay:
		return newRecordedConn(h, ctx), nil
	}
	conn, err := connect()
	if err != nil {
		call.FinishFault(nil, fault.Of(err))
		return nil, err
	}
	call.Finish(nil, nil)
	return h.tapped(ctx, conn), nil
}

// streamOf returns what a checkpoint has of a subscription.
func streamOf(cp *record.Checkpoint) (s streamJSON, err error) {
	if len(cp.Response.Data) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(cp.Response.Data, &s); err != nil {
		return s, fmt.Errorf("%w: the record of op %d is not that of a subscription: %w", execution.ErrDiverged, cp.Number, err)
	}
	return s, nil
}
