package fault

import (
	"errors"
	"path"
	"reflect"
	"runtime"
	"strings"
	"sync"

	"github.com/flux-go/flux/execution/record"
)

// Frames returns the places that program counters of runtime.Callers stand for, innermost first, without those of the Go
// runtime, of the standard library and of Flux itself. Files are relative to the main module; those of other modules begin
// with the path of their package.
func Frames(pcs []uintptr) []record.Frame {
	var places []record.Frame
	for _, frame := range framesOf(pcs) {
		if p := placeOf(frame.Function); !p.standard && !p.flux(frame.File) {
			places = append(places, p.frame(frame))
		}
	}
	return places
}

// Call returns the innermost place in the main module: the line of the user's program that asked for something. Where the
// main module has no part in it, it is the innermost place outside the standard library and Flux, or the zero Frame.
func Call(pcs []uintptr) record.Frame {
	var first record.Frame
	for _, frame := range framesOf(pcs) {
		p := placeOf(frame.Function)
		switch {
		case p.standard || p.flux(frame.File):
		case p.own:
			return p.frame(frame)
		case first == record.Frame{}:
			first = p.frame(frame)
		}
	}
	return first
}

// Line returns the place of one program counter as [Call] does. It remembers them.
func Line(pc uintptr) record.Frame {
	if frame, ok := lines.Load(pc); ok {
		return frame.(record.Frame)
	}
	frame := Call([]uintptr{pc})
	lines.Store(pc, frame)
	return frame
}

// lines are the places of program counters: as many as there are statements in the program that log.
var lines sync.Map

func framesOf(pcs []uintptr) (all []runtime.Frame) {
	if len(pcs) == 0 {
		return nil
	}
	frames := runtime.CallersFrames(pcs)
	for {
		frame, more := frames.Next()
		if frame.Function != "" {
			all = append(all, frame)
		}
		if !more {
			return all
		}
	}
}

// A place is whose code a function is.
type place struct {
	pkg      string // path of the package
	folder   string // of the package within the main module; "." for the root of it
	own      bool   // of the main module
	standard bool   // of the standard library, runtime included
}

// placeOf tells whose code a function is by its full name, such as "example.com/app/store.(*Orders).Load.func1".
func placeOf(function string) place {
	p := place{pkg: packageOf(function)}
	module := program()
	full := strings.TrimSuffix(p.pkg, "_test")
	if full == "main" {
		full = module.main
	}
	p.own = full == "" || full == "command-line-arguments" || within(full, module.module)
	p.standard = !p.own && isStandardPackage(p.pkg)
	if p.own && module.module != "" && full != "command-line-arguments" {
		p.folder = path.Clean(strings.TrimPrefix(strings.TrimPrefix(full, module.module), "/"))
	}
	return p
}

// packageOf returns the path of the package of a function. In names of functions, dots in the last part of the path are
// escaped.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	last, _, _ := strings.Cut(function[slash:], ".")
	return function[:slash] + strings.ReplaceAll(last, "%2e", ".")
}

const fluxModule = "github.com/flux-go/flux"

// flux says that the code is of Flux. Its examples and tests stand for programs that use it.
func (p place) flux(file string) bool {
	return within(p.pkg, fluxModule) && !within(p.pkg, fluxModule+"/examples") && !strings.HasSuffix(file, "_test.go")
}

func (p place) frame(f runtime.Frame) record.Frame {
	file := f.File
	switch {
	case p.folder != "":
		file = path.Join(p.folder, path.Base(f.File))
	case !p.own && !p.standard:
		file = p.pkg + "/" + path.Base(f.File)
	}
	return record.Frame{Function: f.Function, File: file, Line: f.Line}
}

// stackOf returns the program counters that an error carries by one of the two conventions of error packages: a method
// Callers, or StackTrace with a slice of a type of their own. The innermost error was nearest to the cause.
func stackOf(err error) (pcs []uintptr) {
	defer func() { _ = recover() }()
	for range maxParts {
		if own := countersOf(err); len(own) > 0 {
			pcs = own
		}
		if err = errors.Unwrap(err); err == nil {
			break
		}
	}
	return pcs
}

func countersOf(err error) []uintptr {
	if own, ok := err.(interface{ Callers() []uintptr }); ok {
		return own.Callers()
	}
	method := reflect.ValueOf(err).MethodByName("StackTrace")
	if !method.IsValid() || method.Type().NumIn() != 0 || method.Type().NumOut() != 1 {
		return nil
	}
	frames := method.Call(nil)[0]
	if frames.Kind() != reflect.Slice || frames.Type().Elem().Kind() != reflect.Uintptr {
		return nil
	}
	pcs := make([]uintptr, frames.Len())
	for i := range pcs {
		pcs[i] = uintptr(frames.Index(i).Uint())
	}
	return pcs
}
