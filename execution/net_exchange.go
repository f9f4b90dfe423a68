package execution

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// An exchange is a turn of a dialogue: an operation. What marshals it may run while it goes on.
type exchange struct {
	talk    *dialogue
	call    *Call
	tells   bool // something is written
	written capture
	read    capture
	eof     atomic.Bool // the peer ended
	unsent  atomic.Bool // the error is that of a Write

	answered bool // something was read; guarded by the connection
	over     bool // nothing more can be read; guarded by the connection
}

// asked is the request of a turn. Requests to one peer are the same wherever they are made, but for those of connections whose
// order of answers is that of the connection, not of the requests.
type asked struct {
	Connection int          `json:"connection,omitempty"` // among those of the lane and the target, from 1
	Written    *record.Body `json:"written,omitempty"`
}

// told is the response of a turn.
type told struct {
	Read   record.Body `json:"read,omitzero"`
	Chunks []chunk     `json:"chunks,omitempty"`
	EOF    bool        `json:"eof,omitempty"`    // the peer ended after that
	Unsent bool        `json:"unsent,omitempty"` // it failed in writing
	Duplex bool        `json:"duplex,omitempty"` // of the connection: some read while others wrote
}

// The faces of an exchange in a record.
type (
	exchangeRequest  struct{ *exchange }
	exchangeIdentity struct{ *exchange }
	exchangeResponse struct{ *exchange }
)

// MarshalJSON implements json.Marshaler.
func (e exchangeRequest) MarshalJSON() ([]byte, error) { return marshal(e.asked(true)), nil }

// MarshalJSON implements json.Marshaler.
func (e exchangeIdentity) MarshalJSON() ([]byte, error) {
	return marshal(e.asked(e.talk.duplex.Load())), nil
}

// MarshalJSON implements json.Marshaler.
func (e exchangeResponse) MarshalJSON() ([]byte, error) {
	t := told{EOF: e.eof.Load(), Unsent: e.unsent.Load(), Duplex: e.talk.duplex.Load()}
	t.Read, t.Chunks = e.read.result()
	return marshal(t), nil
}

func (e *exchange) asked(numbered bool) asked {
	var a asked
	if numbered {
		a.Connection = e.talk.number
	}
	if e.tells {
		body, _ := e.written.result()
		a.Written = &body
	}
	return a
}

// newExchange returns a turn that is not begun: nothing is written in one that only reads.
func (d *dialogue) newExchange(written []byte) *exchange {
	e := &exchange{talk: d, tells: len(written) > 0}
	e.read.begin(d.x)
	if e.tells {
		e.written.begin(d.x)
		_, _ = e.written.Write(written)
	}
	return e
}

func (e *exchange) op(effect record.Effect) Op {
	shape := shapeExchange
	if !e.tells {
		shape = shapeReceive
	}
	return Op{
		Boundary: boundaryNet, Target: e.talk.target, Shape: shape, Effect: effect,
		Request: exchangeRequest{e}, Identity: exchangeIdentity{e},
	}
}

// start begins the operation of a turn.
func (e *exchange) start(effect record.Effect) {
	e.call = e.talk.dialer.rec.Start(e.talk.ctx, e.op(effect))
}

// came takes what a Read returned.
func (e *exchange) came(data []byte, err error) {
	if len(data) > 0 {
		_, _ = e.read.Write(data)
		e.read.cut()
		e.answered = true
		e.call.Answer(exchangeResponse{e})
	}
	switch {
	case err == nil:
	case err == io.EOF:
		if e.eof.Store(true); e.tells && !e.answered { // the peer went without an answer
			e.call.Doubt()
		}
		e.answered, e.over = true, true
		e.finish(nil)
	default:
		e.answered, e.over = true, !isTimeout(err)
		e.finish(err)
	}
}

// finish ends a turn. It is for nil, too.
func (e *exchange) finish(err error) {
	switch {
	case e == nil:
	case err != nil:
		e.call.FinishFault(exchangeResponse{e}, fault.Of(err))
	default:
		e.call.Finish(exchangeResponse{e}, nil)
	}
}

// torn is the error of a turn that is answered from the record on a connection that is not, or the other way round.
func (e *exchange) torn() error {
	reason := fmt.Sprintf("the dialogue with %s was done in part, and the peer does not know what was said", e.talk.target)
	if e.call.x.mode != ModeResume {
		return fmt.Errorf("%w: %s", ErrDiverged, reason)
	}
	e.finish(errors.New(reason)) // it was not sent
	e.call.x.refuse(e.call, e.call.match, reason)
	return e.call.Err()
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
