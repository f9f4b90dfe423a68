package capacitor

import (
	"errors"
	"fmt"

	"github.com/flux-go/flux/internal/auth"
	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/internal/engine"
)

var (
	// errUnsupported is the result of a request that its endpoint does not take.
	errUnsupported = errors.New("unsupported request")
	errForbidden   = errors.New("the token does not allow this")
)

// isRepeatable reports whether a command may take effect twice without harm, so that no record of it is needed.
func isRepeatable(base *wire.Base) bool {
	return base.Type == "storePosition" || base.Type == "disconnectTracker"
}

// begin reports whether a request is to be carried out. It is not when it is a command that was sent before; one that has
// ended gets the same result again, one that has not will get its result.
func (s *socket) begin(base *wire.Base) bool {
	if !base.Stored() || isRepeatable(base) {
		return true
	}
	o := s.peers.history.begin(base.ID, base.Print, s)
	if o > underWay {
		s.answer(s.outcomeResult(base, o))
	}
	return o == fresh
}

func (s *socket) outcomeResult(base *wire.Base, o outcome) []byte {
	if o == succeeded {
		return s.result(base).AppendVoid(nil)
	}
	return s.result(base).AppendBoolean(nil, o == answeredTrue)
}

// end ends a command, or a request that was refused at once.
func (s *socket) end(base *wire.Base, err error) {
	if err == nil {
		s.endWith(base, succeeded)
		return
	}
	s.fail(base, err)
	for _, other := range s.record(base, fresh) {
		other.fail(base, err)
	}
}

// endWith ends a command that was carried out.
func (s *socket) endWith(base *wire.Base, o outcome) {
	if !base.Stored() {
		return
	}
	s.answer(s.outcomeResult(base, o))
	s.recordAndTell(base, o)
}

// recordAndTell notes the end of a command and tells those sockets over which it came again.
func (s *socket) recordAndTell(base *wire.Base, o outcome) {
	for _, other := range s.record(base, o) {
		other.answer(other.outcomeResult(base, o))
	}
}

// record notes the end of a command and returns the sockets over which it came again.
func (s *socket) record(base *wire.Base, o outcome) (again []*socket) {
	if !base.Stored() || isRepeatable(base) {
		return nil
	}
	return s.peers.history.end(base.ID, base.Print, o)
}

// submit commits the operations of a command and answers it then.
func (s *socket) submit(base *wire.Base, operations ...engine.Operation) error {
	return s.submitThen(func(err error) { s.end(base, err) }, operations...)
}

// submitThen commits operations and calls done then, on the engine's goroutine, unless it returns an error. Commands commit
// in the order of the calls.
func (s *socket) submitThen(done func(error), operations ...engine.Operation) error {
	tx := &engine.Transaction{Namespace: s.namespace, Operations: operations}
	return s.handler.Engine.Submit(s.handler.ctx, tx, done)
}

// mayAdminister returns an error unless the token of the socket allows what affects other clients.
func (s *socket) mayAdminister(base *wire.Base) error {
	if s.grant.Allows(s.namespace, auth.Admin) {
		return nil
	}
	return fmt.Errorf("%w: %s needs the right %s in namespace %s", errForbidden, base.Type, auth.Admin, s.namespace)
}

func (s *socket) unsupported(r wire.Request) error {
	return fmt.Errorf("%w: %q at %s", errUnsupported, wire.BaseOf(r).Type, s.path)
}

// newService returns what carries out the requests of the socket's endpoint.
func newService(s *socket) service {
	switch s.kind {
	case gatewayKind:
		return &gateway{socket: s}
	case trackingKind:
		return &trackers{socket: s}
	case eventSourcingKind:
		return &events{socket: s}
	case keyValueKind:
		return &values{socket: s}
	case schedulingKind:
		return &schedules{socket: s}
	}
	return &missing{s}
}

// missing is an endpoint that nothing serves yet.
type missing struct{ *socket }

func (m *missing) handle(r wire.Request) error { return m.unsupported(r) }

func (m *missing) flush() {}
