package main

import (
	"context"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// warehouse is connected when the program begins: without one there is nothing to sell.
var warehouse = health.NewHealthClient(must(grpc.Dial(os.Getenv("SHOP_WAREHOUSE"), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithBlock())))

// inWarehouse returns an error when the warehouse does not have an item.
func inWarehouse(ctx context.Context, item string) error {
	answer, err := warehouse.Check(ctx, &health.HealthCheckRequest{Service: item})
	if err == nil && answer.Status != health.HealthCheckResponse_SERVING {
		err = status.Errorf(codes.Unavailable, "%s is %s", item, answer.Status)
	}
	return err
}

// checks says how it is with the orders of an item, as the health of a service of that name.
type checks struct {
	health.UnimplementedHealthServer
}

func serveHealth() *grpc.Server {
	server := grpc.NewServer(grpc.UnaryInterceptor(admit))
	health.RegisterHealthServer(server, checks{})
	l := must(net.Listen("tcp", os.Getenv("SHOP_CALLS")))
	go server.Serve(l)
	return server
}

// admit counts the calls of each caller.
func admit(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	caller := metadata.ValueFromIncomingContext(ctx, "caller")
	if len(caller) == 0 {
		return nil, status.Error(codes.Unauthenticated, "who calls?")
	}
	n, err := cache.Incr(ctx, "caller:"+caller[0]).Result()
	if err != nil {
		return nil, err
	}
	logger.InfoContext(ctx, "called", "caller", caller[0], "calls", n)
	return handle(ctx, req)
}

func (checks) Check(ctx context.Context, r *health.HealthCheckRequest) (*health.HealthCheckResponse, error) {
	var pieces int64
	if err := pooled.QueryRowContext(ctx, `SELECT coalesce(sum(pieces), 0) FROM reserved WHERE item = $1`, r.Service).Scan(&pieces); err != nil {
		return nil, err
	}
	if pieces == 0 {
		return nil, status.Errorf(codes.NotFound, "nobody ordered %s", r.Service)
	}
	if err := inWarehouse(ctx, r.Service); err != nil {
		return nil, err
	}
	return &health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING}, nil
}

// Watch tells of each piece that was ordered.
func (checks) Watch(r *health.HealthCheckRequest, out grpc.ServerStreamingServer[health.HealthCheckResponse]) error {
	rows, err := pool.Query(out.Context(), `SELECT generate_series(1, pieces) FROM reserved WHERE item = $1`, r.Service)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := out.Send(&health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING}); err != nil {
			return err
		}
	}
	return rows.Err()
}
