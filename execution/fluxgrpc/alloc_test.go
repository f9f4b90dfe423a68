package fluxgrpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxgrpc"
	"github.com/flux-go/flux/execution/record"
)

// What is not recorded costs no memory, except for the context that says so.
func TestNotRecordingAllocatesNothing(t *testing.T) {
	rec, err := execution.New(execution.Config{Service: "quiet", Record: func(x record.Trigger) bool { return x.Kind != record.TriggerGRPC }})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close(context.Background())
	_, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil) // ends the start of the process
	x.End(nil)
	client, server := fluxgrpc.UnaryClient(rec, nil), fluxgrpc.UnaryServer(rec)
	invoke := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil }
	handle := func(context.Context, any) (any, error) { return nil, nil }
	info := &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}
	ctx := t.Context()
	var failure error
	check := func(what string, most float64, call func()) {
		if allocs := testing.AllocsPerRun(100, call); allocs > most || failure != nil {
			t.Errorf("%s: %v allocations, at most %v; %v", what, allocs, most, failure)
		}
	}
	check("client", 0, func() { failure = client(ctx, info.FullMethod, nil, nil, nil, invoke) })
	check("server", 1, func() { _, failure = server(ctx, nil, info, handle) })
}
