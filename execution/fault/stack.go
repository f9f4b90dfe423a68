package fault

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/flux-go/flux/execution/record"
)

// maxDepth is how many callers are looked at. Between a program and a driver there are some ten frames of database/sql or of
// net/http.
const maxDepth = 32

// A Stack is where the program was. It is shared by all who were there and must not be changed.
//
// What runtime.Callers does takes microseconds, because it looks for each frame in tables of the linker, and a program asks from
// the same places again and again. So the frames are first followed by their pointers, which takes tens of nanoseconds: the
// return addresses say which place it is, and a place that is known has its Stack already.
type Stack struct {
	chain    []uintptr // return addresses
	skip     int
	counters []uintptr // of runtime.Callers
	call     func() record.Frame
}

// known are stacks by the hash of their return addresses, each in one of two places. What finds no room takes that of another,
// which bounds them to a megabyte for programs that recurse.
var known [1024]atomic.Pointer[Stack]

// Here returns where the program is. With skip 0, the innermost frame is that of the caller of Here.
func Here(skip int) *Stack {
	var room [maxDepth]uintptr
	chain := room[:frameChain(&room)]
	if len(chain) == 0 {
		return newStack(nil, skip)
	}
	hash := hashOf(chain)
	first, second := &known[hash%uint64(len(known))], &known[hash>>32%uint64(len(known))]
	for _, at := range [...]*atomic.Pointer[Stack]{first, second} {
		if s := at.Load(); s != nil && s.skip == skip && slices.Equal(s.chain, chain) {
			return s
		}
	}
	s := newStack(chain, skip)
	if !first.CompareAndSwap(nil, s) && !second.CompareAndSwap(nil, s) {
		first.Store(s)
	}
	return s
}

// newStack asks the runtime for the stack above Here.
//
//go:noinline
func newStack(chain []uintptr, skip int) *Stack {
	counters := make([]uintptr, maxDepth-min(skip, maxDepth))
	s := &Stack{chain: slices.Clone(chain), skip: skip}
	s.counters = slices.Clip(counters[:runtime.Callers(skip+3, counters)])
	s.call = sync.OnceValue(func() record.Frame { return Call(s.counters) })
	return s
}

func hashOf(chain []uintptr) uint64 {
	hash := uint64(len(chain))
	for _, pc := range chain {
		hash = (hash ^ uint64(pc)) * 0x9e3779b97f4a7c15
		hash ^= hash >> 29
	}
	return hash
}

// Frames returns the places of the stack as [Frames] does. It is nil for nil.
func (s *Stack) Frames() []record.Frame {
	if s == nil {
		return nil
	}
	return Frames(s.counters)
}

// Call returns the place of the stack as [Call] does, the zero Frame for nil. It is found out once.
func (s *Stack) Call() record.Frame {
	if s == nil {
		return record.Frame{}
	}
	return s.call()
}
