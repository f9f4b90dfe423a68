// Package autogrpc records the calls of gRPC that programs that do not import Flux make and handle. flux go links it into those
// that have gRPC among their modules; see package auto.
//
// On a connection it is the last of the interceptors, next to the network: it sees each call as it is sent. On a server it is the
// first of them, so that what the others do, to check who calls for one, is part of the execution.
//
// In a replay a connection stays idle, whoever tells it to connect: calls are answered from the record. So grpc.WithBlock waits
// for nothing.
package autogrpc

import (
	"context"
	"fmt"
	"net"
	_ "unsafe" // for go:linkname

	"google.golang.org/grpc"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/auto"
	"github.com/flux-go/flux/execution/fluxgrpc"
)

// These variables are in the woven gRPC: clientHook returns options for each connection, serverHook the interceptors of each
// server, and offline says that nothing may be dialled.
//
//go:linkname clientHook __flux_grpc_client
var clientHook func() []grpc.DialOption

//go:linkname serverHook __flux_grpc_server
var serverHook func() (grpc.UnaryServerInterceptor, grpc.StreamServerInterceptor)

//go:linkname offline __flux_grpc_offline
var offline bool

func init() {
	rec := auto.Recorder()
	if rec == nil {
		return
	}
	offline = rec.Offline()
	clientHook = func() []grpc.DialOption {
		options := fluxgrpc.DialOptions(rec, nil)
		if offline {
			options = append(options, grpc.WithContextDialer(refuse))
		}
		return options
	}
	serverHook = func() (grpc.UnaryServerInterceptor, grpc.StreamServerInterceptor) {
		return fluxgrpc.UnaryServer(rec), fluxgrpc.StreamServer(rec)
	}
}

func refuse(_ context.Context, address string) (net.Conn, error) {
	return nil, fmt.Errorf("%w: a replay dials nothing, not even %s", execution.ErrStopped, address)
}
