package execution

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"syscall"

	"github.com/flux-go/flux/execution/fault"
)

// exitStatus is how a process ended.
type exitStatus struct {
	ExitCode int  `json:"exitCode"`         // -1 when a signal ended it
	Signal   int  `json:"signal,omitempty"` // on Unix
	Dumped   bool `json:"coreDumped,omitempty"`
}

func exitStatusOf(state *os.ProcessState) exitStatus {
	status := exitStatus{ExitCode: state.ExitCode()}
	if state == nil { // nobody could wait for it
		return status
	}
	if wait, ok := state.Sys().(syscall.WaitStatus); ok && wait.Signaled() {
		status.Signal, status.Dumped = int(wait.Signal()), wait.CoreDump()
	}
	return status
}

// state makes what package os knows of a process that ended so. Programs ask an *exec.ExitError for its code, and only package os
// can make the state that has it; so its fields are set here, as they are in Go 1.26. A test knows when they change.
func (s exitStatus) state() *os.ProcessState {
	state := new(os.ProcessState)
	v := reflect.ValueOf(state).Elem()
	switch status := writable(v.FieldByName("status")); status.Kind() {
	case reflect.Uint32: // of wait(2)
		word := uint64(uint8(s.ExitCode))<<8 | uint64(s.Signal)
		if s.Signal != 0 {
			word = uint64(s.Signal)
		}
		if s.Dumped {
			word |= 0x80
		}
		status.SetUint(word)
	case reflect.Struct: // of Windows
		writable(status.FieldByName("ExitCode")).SetUint(uint64(uint32(s.ExitCode)))
	}
	if usage := writable(v.FieldByName("rusage")); usage.Kind() == reflect.Pointer { // the times are asked for without looking
		usage.Set(reflect.New(usage.Type().Elem()))
	}
	return state
}

// writable returns a field that may be set although its package does not export it.
func writable(field reflect.Value) reflect.Value {
	if !field.IsValid() {
		return field
	}
	return reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem()
}

// exitErrors rebuilds the error of a command that ran and failed.
var exitErrors = fault.Kind{
	Name: "exec.ExitError",
	Of: func(err error) (any, bool) {
		exit, ok := err.(*exec.ExitError)
		if !ok || exit.ProcessState == nil {
			return nil, false
		}
		return exitStatusOf(exit.ProcessState), true
	},
	Rebuild: func(fields []byte, _ []error) error {
		var status exitStatus
		if json.Unmarshal(fields, &status) != nil {
			return nil
		}
		return &exec.ExitError{ProcessState: status.state()}
	},
}
