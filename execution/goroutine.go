package execution

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/flux-go/flux/execution/internal/goroutine"
)

// A place is where a goroutine is: the lane of an execution that its operations belong to when their context does not say.
// Goroutines have places in programs built by flux go. A lane is added when something happens in it, so that goroutines of
// libraries, which mostly do nothing of their own, leave no trace.
type place struct {
	stay *stay
	name string // of the lane
	lane atomic.Pointer[lane]
}

// A stay is the time that a goroutine, with those it started, is in an execution. At its end all places forget the execution,
// for a goroutine may live on: that of a connection, for one.
type stay struct {
	mu     sync.Mutex
	x      *Execution // nil after the end
	places []*place   // that have a lane
}

// Enter makes the execution of the context that of this goroutine, for operations with no context or with one of no execution.
// Goroutines that are started meanwhile are in a lane of their own, named after the function that started them. Leave ends that,
// for all of them when they entered the execution here. Without an execution, or in a program that was not built by flux go,
// Enter does nothing.
func Enter(ctx context.Context) (leave func()) {
	l, _ := ctx.Value(laneKey{}).(*lane)
	if l == nil || l.x == nil || !goroutine.Woven() {
		return func() {}
	}
	before := goroutine.Get()
	s, end := stayIn(l.x, (*place)(before))
	p := &place{stay: s, name: l.name}
	s.settle(p, l)
	goroutine.Set(unsafe.Pointer(p))
	return func() {
		goroutine.Set(before)
		end()
	}
}

// stayIn returns the stay of a place when that is in the execution, otherwise a new one, and what to do at the end.
func stayIn(x *Execution, at *place) (s *stay, end func()) {
	if at != nil && at.stay.isIn(x) {
		return at.stay, func() {}
	}
	s = &stay{x: x}
	return s, s.end
}

func init() { goroutine.OnStart(inherit) }

// inherit returns the place of a goroutine that is started at pc by one with that place, nil when the execution has ended.
func inherit(parent unsafe.Pointer, pc uintptr) unsafe.Pointer {
	p := (*place)(parent)
	l := p.current()
	if l == nil {
		return nil
	}
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	return unsafe.Pointer(&place{stay: p.stay, name: l.nameChild(frame.Function)})
}

// goroutineLane returns the lane of this goroutine, nil when it is in no execution.
func goroutineLane() *lane {
	if p := (*place)(goroutine.Get()); p != nil {
		return p.current()
	}
	return nil
}

func (p *place) current() *lane {
	if l := p.lane.Load(); l != nil {
		return l
	}
	return p.stay.arrive(p)
}

// arrive adds the lane of a place where something happens for the first time.
func (s *stay) arrive(p *place) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.x != nil && p.lane.Load() == nil {
		s.keep(p, s.x.addLane(p.name))
	}
	return p.lane.Load()
}

func (s *stay) settle(p *place, l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.x != nil {
		s.keep(p, l)
	}
}

// keep gives a place its lane, until the end. The stay is locked.
func (s *stay) keep(p *place, l *lane) {
	p.lane.Store(l)
	s.places = append(s.places, p)
}

func (s *stay) isIn(x *Execution) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.x == x
}

func (s *stay) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.places {
		p.lane.Store(nil)
	}
	s.x, s.places = nil, nil
}

// isBelow says that a lane was started from another one, or from one below it.
func (l *lane) isBelow(other *lane) bool {
	return l.x == other.x && len(l.name) > len(other.name) && strings.HasPrefix(l.name, other.name) && l.name[len(other.name)] == '/'
}
