package engine

import (
	"fmt"
	"sync"
)

// failure is the first write or sync that failed, after which the engine only reads (E5). The zero value is not ready: see
// newFailure. Safe for concurrent use.
type failure struct {
	once     sync.Once
	err      error         // set before happened is closed
	happened chan struct{} // closed by the first set
	report   func(cause error)
}

func newFailure(report func(cause error)) *failure {
	return &failure{happened: make(chan struct{}), report: report}
}

// set makes the engine refuse transactions from now on, because of the first cause it is given.
func (f *failure) set(cause error) {
	f.once.Do(func() {
		f.err = fmt.Errorf("%w: %w", ErrReadOnly, cause)
		f.report(cause)
		close(f.happened)
	})
}

// get returns ErrReadOnly with its cause, or nil while all is well.
func (f *failure) get() error {
	select {
	case <-f.happened:
		return f.err
	default:
		return nil
	}
}
