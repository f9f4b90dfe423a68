package auto

import (
	"context"
	"database/sql/driver"
	"io"
	"log/slog"
	"net/http"
	_ "unsafe" // for go:linkname

	"github.com/flux-go/flux/execution"
)

// These variables are in the woven packages, under the same link names. Outside a woven program nobody reads them.
//
//go:linkname serveHook __flux_http_serve
var serveHook func(http.ResponseWriter, *http.Request) bool

//go:linkname roundTripHook __flux_http_round_trip
var roundTripHook func(http.RoundTripper, *http.Request) (*http.Response, error)

//go:linkname connectorHook __flux_sql_connector
var connectorHook func(driver.Connector) driver.Connector

//go:linkname handlerHook __flux_slog_handler
var handlerHook func(slog.Handler) slog.Handler

//go:linkname uuidHook __flux_uuid_random
var uuidHook func() io.Reader

// wrapDefault is a function of the woven log/slog, which makes a handler that of the default logger.
//
//go:linkname wrapDefault __flux_slog_default
var wrapDefault func(wrap func(slog.Handler) slog.Handler)

func init() {
	if recorder == nil {
		return
	}
	serveHook, roundTripHook, uuidHook = serve, roundTrip, randomReader
	connectorHook, handlerHook = connector, recorder.Handler
	if wrapDefault != nil {
		wrapDefault(recorder.Handler)
	}
}

// inbound records the requests of all servers of the process.
var inbound = recorder.Middleware(http.HandlerFunc(dispatch))

// serve handles a request in place of the server's own dispatch, unless the request is for the server itself: OPTIONS *, and
// the preface of HTTP/2 without TLS, whose streams come as requests of their own.
func serve(w http.ResponseWriter, r *http.Request) bool {
	if r.RequestURI == "*" || r.Method == "PRI" {
		return false
	}
	inbound.ServeHTTP(w, r)
	return true
}

// dispatch does what the server was going to do, in the execution of the request.
func dispatch(w http.ResponseWriter, r *http.Request) {
	defer execution.Enter(r.Context())()
	var handler http.Handler = http.DefaultServeMux
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.Handler != nil {
		handler = server.Handler
	}
	handler.ServeHTTP(w, r)
}

// roundTrip sends a request through t and records it, unless it is one of Flux itself: those are recorded as what they mean.
func roundTrip(t http.RoundTripper, r *http.Request) (*http.Response, error) {
	if len(r.Header["Flux-Namespace"]) > 0 {
		return t.RoundTrip(r)
	}
	return recorder.Transport(t).RoundTrip(r)
}

// A RecordedConnector gives connections that are recorded by themselves: packages below this one wrap those of a library that
// they record. What database/sql does with them is not recorded again.
type RecordedConnector struct{ driver.Connector }

// connector is what database/sql opens in place of c.
func connector(c driver.Connector) driver.Connector {
	if recorded, ok := c.(RecordedConnector); ok {
		return recorded.Connector
	}
	return recorder.Connector(c)
}

// randomReader is where random UUIDs come from, nil outside an execution.
func randomReader() io.Reader {
	if ctx := context.Background(); execution.FromContext(ctx) != nil {
		return execution.RandReader(ctx)
	}
	return nil
}
