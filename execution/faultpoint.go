package execution

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// The points at which the variable FaultVariable may end the process, all about writes that are really done.
const (
	faultBeforeIntent  = "before-intent"              // nothing of the write is on disk, nor was it sent
	faultAfterIntent   = "after-intent"               // its intent is on disk when it is journalled, and it was not sent
	faultBeforeOutcome = "after-write-before-outcome" // it took effect, and nobody knows
	faultAfterOutcome  = "after-outcome"              // its outcome was journalled
)

// FaultVariable names the variable of the environment that ends a process with exit code 1, for tests of what a crash leaves:
// POINT:N is the N-th time, from 1, that an execution passes a point, which is before-intent, after-intent,
// after-write-before-outcome or after-outcome.
const FaultVariable = "FLUX_FAULT"

// faultPoint ends the process when it is passed often enough. Nil never does.
type faultPoint struct {
	name string
	left atomic.Int64
	exit func()
}

// parseFault returns the point that a text names, nil for none. The error is ErrBadConfig.
func parseFault(text string) (*faultPoint, error) {
	if text == "" {
		return nil, nil
	}
	name, number, counted := strings.Cut(text, ":")
	n := int64(1)
	var err error
	if counted {
		n, err = strconv.ParseInt(number, 10, 64)
	}
	switch name {
	case faultBeforeIntent, faultAfterIntent, faultBeforeOutcome, faultAfterOutcome:
	default:
		err = fmt.Errorf("no point %q", name)
	}
	if err != nil || n < 1 {
		return nil, fmt.Errorf("%w: %s=%s: use POINT:N with N from 1 (%v)", ErrBadConfig, FaultVariable, text, err)
	}
	f := &faultPoint{name: name, exit: func() { os.Exit(1) }}
	f.left.Store(n)
	return f, nil
}

// pass is called where a call comes by a point.
func (f *faultPoint) pass(point string, c *Call) {
	if f != nil && f.name == point && c.op.Effect.Writes() && f.left.Add(-1) == 0 {
		f.exit()
	}
}
