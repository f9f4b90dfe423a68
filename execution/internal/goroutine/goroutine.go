// Package goroutine keeps a pointer for each goroutine, which the goroutines it starts inherit in a form of the owner's choice.
//
// It works in programs built by `flux go`: aspects, in execution/auto/orchestrion.yml, add the pointer to the runtime's own
// description of a goroutine and set the variables below. In others, Woven says false and nothing is kept.
//
// What inherits: every go statement, also those of libraries, and the other side of iter.Pull, which goes on in the same place.
// What does not: goroutines of the runtime itself, callbacks of time.AfterFunc, finalizers, and goroutines that already run,
// as those of a pool.
package goroutine

import "unsafe"

// The runtime of a woven program has these variables under the same names, with values. Here they have none, so the linker
// takes the runtime's; without weaving they are nil.
//
//go:linkname get __flux_goroutine_get
var get func() unsafe.Pointer

//go:linkname set __flux_goroutine_set
var set func(unsafe.Pointer)

//go:linkname onStart __flux_goroutine_on_start
var onStart func(func(parent unsafe.Pointer, pc uintptr) unsafe.Pointer)

// Woven says whether goroutines have a pointer in this program.
func Woven() bool { return get != nil }

// Get returns the pointer of this goroutine, nil when it has none.
func Get() unsafe.Pointer {
	if get == nil {
		return nil
	}
	return get()
}

// Set sets the pointer of this goroutine.
func Set(p unsafe.Pointer) {
	if set != nil {
		set(p)
	}
}

// OnStart sets the function that makes the pointer of a goroutine from that of the one that starts it, which is not nil. It is
// called on the goroutine that starts it, at the go statement; pc is the return address of that statement. It must not start
// goroutines itself. Call it before any goroutine has a pointer.
func OnStart(inherit func(parent unsafe.Pointer, pc uintptr) unsafe.Pointer) {
	if onStart != nil {
		onStart(inherit)
	}
}
