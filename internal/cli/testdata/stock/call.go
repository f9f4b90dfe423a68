package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxgrpc"
)

type service struct {
	pb.UnimplementedTestServiceServer
}

// UnaryCall takes what the message says for who the metadata says, and ships it.
func (service) UnaryCall(ctx context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	who := metadata.ValueFromIncomingContext(ctx, "who")
	if len(who) == 0 {
		return nil, status.Error(codes.InvalidArgument, "for nobody")
	}
	items := string(in.GetPayload().GetBody()) + " for " + who[0]
	err := take(ctx, items)
	if err == nil {
		err = ship(ctx, items)
	}
	if err != nil {
		return nil, failure(err)
	}
	return &pb.SimpleResponse{Username: items}, nil
}

// StreamingInputCall takes what each message says, and ships all in the end.
func (service) StreamingInputCall(in grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
	all := ""
	for {
		m, err := in.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		items := string(m.GetPayload().GetBody())
		if all += items + " "; err == nil {
			err = take(in.Context(), items)
		}
		if err != nil {
			return failure(err)
		}
	}
	if err := ship(in.Context(), all); err != nil {
		return failure(err)
	}
	return in.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(len(all))})
}

// failure is an error as callers get it.
func failure(err error) error { return status.Error(codes.Unavailable, err.Error()) }

func newServer(rec *execution.Recorder) *grpc.Server {
	var options []grpc.ServerOption
	if os.Getenv("STOCK_BUG") == "guarded" {
		options = append(options, grpc.ChainUnaryInterceptor(refuse))
	}
	if os.Getenv("STOCK_BUG") != "unrecorded" {
		options = append(options, fluxgrpc.ServerOptions(rec)...)
	}
	server := grpc.NewServer(options...)
	if os.Getenv("STOCK_BUG") != "unregistered" {
		pb.RegisterTestServiceServer(server, service{})
	}
	return server
}

func refuse(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
	return nil, status.Error(codes.Unauthenticated, "who are you?")
}

// recordCall has a call fail, of the kind that the first argument says, and notes in the folder where the server listened.
func recordCall(ctx context.Context, args []string) error {
	rec, err := connect(args[1])
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	server := newServer(rec)
	go server.Serve(listener)
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	if err := call(ctx, pb.NewTestServiceClient(conn), args[0]); status.Code(err) != codes.Unavailable {
		return errors.Join(errors.New("the call did not fail as it should"), err)
	}
	server.GracefulStop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return errors.Join(conn.Close(), rec.Close(ctx), os.WriteFile("address", []byte(address), 0o600))
}

func call(ctx context.Context, client pb.TestServiceClient, kind string) error {
	payload := func(text string) *pb.Payload { return &pb.Payload{Body: []byte(text)} }
	if kind == "unary" {
		ctx = metadata.AppendToOutgoingContext(ctx, "who", "me", "raw-bin", "\x00\xff")
		_, err := client.UnaryCall(ctx, &pb.SimpleRequest{Payload: payload("books")})
		return err
	}
	stream, err := client.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	for _, items := range []string{"books", "pens"} {
		if err := stream.Send(&pb.StreamingInputCallRequest{Payload: payload(items)}); err != nil {
			return err
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

func serve(ctx context.Context, _ []string) error {
	address, err := os.ReadFile("address")
	if err != nil {
		return err
	}
	rec, err := connect("")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", string(address))
	if err != nil {
		return err
	}
	server := newServer(rec)
	fluxgrpc.Attend(rec, server)
	go func() {
		<-ctx.Done()
		server.Stop()
	}()
	err = server.Serve(listener)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, rec.Close(ctx))
}
