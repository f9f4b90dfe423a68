package execution

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"

	"github.com/flux-go/flux/execution/record"
)

// A ContextDialer opens connections: *net.Dialer and *tls.Dialer are some.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// A Dialer opens connections whose dialogues are recorded, for protocols that no adapter knows. A dialogue belongs to the execution
// it was opened in, and to its lane, whoever reads and writes. It is recorded in turns, each of which is an operation:
//
//	CONNECT    the connection itself; it has no effect
//	EXCHANGE   a Write, and what is read until the next one
//	RECEIVE    what is read when nothing was written before: a greeting, or what comes after a time ran out
//
// A turn ends with an error, too, be it a time that ran out.
//
// A replay connects to nobody. A turn is known by what is written in it, however that is cut into Writes. What was read then comes in
// the same pieces, at once, and ends in the same error; who reads on where nothing more was read when it was recorded is stopped.
// Where one goroutine reads while others write, he waits instead, until something is written, the connection is closed, or his
// deadline passes, and what came is read in the order in which it came: an answer not before all is written that was before it.
//
// A resume answers a connection from the record, or does all of it for real: a peer does not know what it was told by another
// program, so a dialogue that was done in part is refused.
//
// The zero value is not usable: see Recorder.Dialer.
type Dialer struct {
	// Effect says what a turn does to the peer, by what is written in it. Defaults to EffectUnknown, which counts as a write. Set it
	// before the first connection.
	Effect func(written []byte) record.Effect

	rec  *Recorder
	base ContextDialer
}

// Dialer returns a dialer that records the connections of executions that base opens, which defaults to a net.Dialer. For TLS give
// it a *tls.Dialer: what is recorded is then what was said, not how it was encrypted. A nil Recorder is allowed.
func (r *Recorder) Dialer(base ContextDialer) *Dialer {
	if base == nil {
		base = new(net.Dialer)
	}
	return &Dialer{rec: r, base: base}
}

// Dial is DialContext without a context.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext opens a connection. It has CloseWrite, and over TLS ConnectionState, whatever its type is otherwise. Errors are
// those of the dialer below, a *Stop, or a *Refused.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.rec == nil {
		return d.base.DialContext(ctx, network, address)
	}
	x := d.rec.executionOf(ctx)
	if x == nil {
		return d.base.DialContext(ctx, network, address)
	}
	talk := &dialogue{dialer: d, ctx: ctx, x: x, network: network, address: address, target: d.target(network, address)}
	call := d.rec.Start(ctx, Op{
		Boundary: boundaryNet, Target: talk.target, Shape: shapeConnect, Effect: record.EffectNone,
		Request: map[string]string{"network": network, "address": address},
	})
	switch {
	case call == nil:
		return d.base.DialContext(ctx, network, address)
	case call.Err() != nil:
		return nil, call.Err()
	}
	talk.number = call.connection()
	if cp := call.Recorded(); cp != nil {
		return talk.answered(cp)
	}
	conn, err := talk.dial(ctx)
	if err != nil {
		call.Finish(nil, err)
		return nil, err
	}
	call.Finish(&connected{Local: conn.LocalAddr().String(), Remote: conn.RemoteAddr().String(), TLS: tlsOf(stateOfTLS(conn), true)}, nil)
	return &liveConn{Conn: conn, dialogue: talk}, nil
}

const (
	boundaryNet   = "tcp"
	shapeConnect  = "CONNECT"
	shapeExchange = "EXCHANGE"
	shapeReceive  = "RECEIVE"
)

// target names a peer: "tcp://host:port", or "tls://host:port".
func (d *Dialer) target(network, address string) string {
	if _, ok := d.base.(*tls.Dialer); ok {
		network = "tls"
	}
	return strings.ToLower(network) + "://" + address
}

// connected is what is recorded of a connection that was opened.
type connected struct {
	Local  string   `json:"local"`
	Remote string   `json:"remote"`
	TLS    *httpTLS `json:"tls,omitempty"`
}

// stateOfTLS returns the state of a connection over TLS, nil for others.
func stateOfTLS(conn net.Conn) *tls.ConnectionState {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return nil
	}
	state := c.ConnectionState()
	return &state
}

// A dialogue is what a connection is to its execution.
type dialogue struct {
	dialer           *Dialer
	ctx              context.Context // under which it was opened
	x                *Execution
	network, address string
	target           string
	number           int         // among the connections of its lane to this target, from 1
	duplex           atomic.Bool // some read while others write
}

// connection returns the number of a connection among those of its lane and target.
func (c *Call) connection() int {
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	n := 0
	for _, other := range c.x.calls[:c.number+1] {
		if other.lane == c.lane && other.op.Boundary == boundaryNet && other.op.Shape == shapeConnect && other.op.Target == c.op.Target {
			n++
		}
	}
	return n
}

func (d *dialogue) dial(ctx context.Context) (net.Conn, error) {
	return d.dialer.base.DialContext(Unrecorded(ctx), d.network, d.address)
}

func (d *dialogue) effect(written []byte) record.Effect {
	switch {
	case len(written) == 0:
		return record.EffectRead
	case d.dialer.Effect == nil:
		return record.EffectUnknown
	}
	return d.dialer.Effect(written)
}

// isOver says that the execution has ended, and counts what happens on its connections now.
func (d *dialogue) isOver() bool {
	d.x.mu.Lock()
	ended := d.x.ended
	d.x.mu.Unlock()
	if ended && d.x.mode == ModeRecord {
		d.dialer.rec.strays.Add(1)
	}
	return ended
}
