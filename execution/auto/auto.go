// Package auto records executions of programs that do not import Flux. flux go links it into the program, and weaves calls of
// it into the standard library and into the program's own packages; docs/instrumentation.md tells which.
//
// # The way of a call
//
//	the program calls time.Now ─► auto.Now ─► execution.Now ─► the lane of this goroutine
//	net/http serves a request  ─► serve    ─► Recorder.Middleware ─► execution.Enter ─► the program's handler
//	net/http sends a request   ─► roundTrip ─► Recorder.Transport ─► the transport it was
//
// Calls find their execution by their goroutine: a handler enters it, and what it starts inherits it.
//
// # What can go wrong
//
// Without FLUX_URL, FLUX_DIR or FLUX_REPLAY in the environment nothing is recorded, and the woven calls find nil. With a
// configuration that cannot be, that is said on standard error, and the program runs unrecorded. Packages that are initialized
// before this one, and open databases or make loggers meanwhile, have them unrecorded; those of the program itself are not,
// since their calls import this package.
package auto

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/flux-go/flux/execution"
)

// recorder is that of the process, nil when it does not record.
var recorder = start()

// Recorder returns the recorder of the process, nil when it does not record.
func Recorder() *execution.Recorder { return recorder }

func start() *execution.Recorder {
	config, wanted, err := configure(os.LookupEnv)
	if !wanted {
		return nil
	}
	if err == nil {
		var r *execution.Recorder
		if r, err = connect(config); err == nil {
			return r
		}
	}
	fmt.Fprintln(os.Stderr, "flux: this program is not recorded:", err)
	return nil
}

// connect is execution.Connect, which makes the default transport fail in a replay, for those who go past the recorder. Here
// nobody does: each transport of net/http records.
func connect(config execution.Config) (*execution.Recorder, error) {
	transport := http.DefaultTransport
	defer func() { http.DefaultTransport = transport }()
	return execution.Connect(config)
}

// closeTimeout is how long the end of the program waits for a server that takes the last records.
const closeTimeout = 5 * time.Second

// Close brings away what was recorded. It is called at the end of main.
func Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := recorder.Close(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "flux: the last records are not with the server:", err)
	}
}
