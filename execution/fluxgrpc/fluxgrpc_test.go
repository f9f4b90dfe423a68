package fluxgrpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxgrpc"
	"github.com/flux-go/flux/execution/record"
)

// recorder returns a recorder and what it keeps.
func recorder(t *testing.T, service string) (*execution.Recorder, <-chan *record.Execution) {
	t.Helper()
	kept := make(chan *record.Execution, 16)
	rec, err := execution.New(execution.Config{
		Service: service, Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	return rec, kept
}

// service is a real service; what it does depends on what it is asked.
type service struct {
	pb.UnimplementedTestServiceServer
	fixed bool
}

func register(s *service) func(grpc.ServiceRegistrar) {
	return func(r grpc.ServiceRegistrar) { pb.RegisterTestServiceServer(r, s) }
}

func payload(text string) *pb.Payload { return &pb.Payload{Body: []byte(text)} }

// UnaryCall answers, waits for the deadline, or fails with details.
func (s *service) UnaryCall(ctx context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	err := errors.Join(
		grpc.SetHeader(ctx, metadata.Pairs("who", strings.Join(md.Get("who"), ","), "raw-bin", "\x00\xff")),
		grpc.SetTrailer(ctx, metadata.Pairs("cost", "7")),
	)
	if err != nil {
		return nil, err
	}
	switch text := string(in.GetPayload().GetBody()); {
	case text == "panic":
		panic("at " + text)
	case text == "wait":
		<-ctx.Done()
		return nil, ctx.Err()
	case text == "fail" && !s.fixed:
		with, err := status.New(codes.FailedPrecondition, "no stock").WithDetails(payload("shelf 7"))
		return nil, errors.Join(err, with.Err())
	}
	return &pb.SimpleResponse{Payload: payload("re: " + string(in.GetPayload().GetBody())), Username: execution.UUID(ctx).String()}, nil
}

func (s *service) StreamingOutputCall(in *pb.StreamingOutputCallRequest, out grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	for i := range 3 {
		if err := out.Send(&pb.StreamingOutputCallResponse{Payload: payload(fmt.Sprint(string(in.GetPayload().GetBody()), i))}); err != nil {
			return err
		}
	}
	if string(in.GetPayload().GetBody()) == "broken" {
		return status.Error(codes.DataLoss, "the rest is gone")
	}
	return nil
}

func (s *service) StreamingInputCall(in grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
	var size int32
	for {
		m, err := in.Recv()
		switch {
		case err == io.EOF:
			return in.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: size})
		case err != nil:
			return err
		}
		size += int32(len(m.GetPayload().GetBody()))
	}
}

func (s *service) FullDuplexCall(both grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	for {
		m, err := both.Recv()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if err := both.Send(&pb.StreamingOutputCallResponse{Payload: payload("re: " + string(m.GetPayload().GetBody()))}); err != nil {
			return err
		}
	}
}

// recovering makes panics errors, as programs do: gRPC does not.
func recovering(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = status.Errorf(codes.Internal, "panic: %v", p)
		}
	}()
	return handle(ctx, req)
}

// serve returns the address of a server on loopback that ends with the test.
func serve(t *testing.T, rec *execution.Recorder) (address string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append([]grpc.ServerOption{grpc.ChainUnaryInterceptor(recovering)}, fluxgrpc.ServerOptions(rec)...)...)
	register(&service{})(server)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String(), server.Stop
}

func dial(t *testing.T, rec *execution.Recorder, address string) pb.TestServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(address, append(fluxgrpc.DialOptions(rec, nil), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pb.NewTestServiceClient(conn)
}

func simple(text string) *pb.SimpleRequest { return &pb.SimpleRequest{Payload: payload(text)} }

func streaming(text string) *pb.StreamingOutputCallRequest {
	return &pb.StreamingOutputCallRequest{Payload: payload(text)}
}

func panics(ctx context.Context, c pb.TestServiceClient) []any {
	_, err := c.UnaryCall(ctx, simple("panic"))
	return []any{status.Code(err)}
}

// programs are what clients do, and return what they saw.
var programs = map[string]func(context.Context, pb.TestServiceClient) []any{
	"unary": func(ctx context.Context, c pb.TestServiceClient) []any {
		var header, trailer metadata.MD
		ctx = metadata.AppendToOutgoingContext(ctx, "who", "me")
		r, err := c.UnaryCall(ctx, simple("hello"), grpc.Header(&header), grpc.Trailer(&trailer))
		return []any{string(r.GetPayload().GetBody()), r.GetUsername() != "", header.Get("who"), header.Get("raw-bin"), trailer.Get("cost"), err}
	},
	"status with details": func(ctx context.Context, c pb.TestServiceClient) []any {
		_, err := c.UnaryCall(ctx, simple("fail"))
		s, ok := status.FromError(fmt.Errorf("charging: %w", err))
		detail, _ := s.Details()[0].(*pb.Payload)
		return []any{ok, s.Code(), err.Error(), string(detail.GetBody()), len(s.Details())}
	},
	"deadline": func(ctx context.Context, c pb.TestServiceClient) []any {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err := c.UnaryCall(ctx, simple("wait"))
		return []any{status.Code(err), errors.Is(err, context.DeadlineExceeded)}
	},
	"server streams": func(ctx context.Context, c pb.TestServiceClient) []any {
		s, err := c.StreamingOutputCall(ctx, streaming("x"))
		return append(receiveAll(s, err), s.Trailer() != nil)
	},
	"server stream breaks": func(ctx context.Context, c pb.TestServiceClient) []any {
		s, err := c.StreamingOutputCall(ctx, streaming("broken"))
		return receiveAll(s, err)
	},
	"client streams": func(ctx context.Context, c pb.TestServiceClient) []any {
		s, err := c.StreamingInputCall(ctx)
		if err != nil {
			return []any{err}
		}
		for _, text := range []string{"a", "bc", "def"} {
			if err := s.Send(&pb.StreamingInputCallRequest{Payload: payload(text)}); err != nil {
				return []any{err}
			}
		}
		r, err := s.CloseAndRecv()
		return []any{r.GetAggregatedPayloadSize(), err}
	},
	"both stream": func(ctx context.Context, c pb.TestServiceClient) []any {
		s, err := c.FullDuplexCall(ctx)
		if err != nil {
			return []any{err}
		}
		var saw []any
		for _, text := range []string{"1", "2"} {
			if err := s.Send(streaming(text)); err != nil {
				return []any{err}
			}
			r, err := s.Recv()
			saw = append(saw, string(r.GetPayload().GetBody()), err)
		}
		return append(saw, s.CloseSend(), receiveAll(s, nil))
	},
}

func receiveAll(s interface {
	Recv() (*pb.StreamingOutputCallResponse, error)
}, err error,
) (saw []any) {
	for err == nil {
		var r *pb.StreamingOutputCallResponse
		if r, err = s.Recv(); err == nil {
			saw = append(saw, string(r.GetPayload().GetBody()))
		}
	}
	if err != io.EOF {
		saw = append(saw, status.Code(err), err.Error())
	}
	return saw
}

// run runs a program in an execution and returns its record.
func run(t *testing.T, address string, program func(context.Context, pb.TestServiceClient) []any) (*record.Execution, []any) {
	t.Helper()
	rec, kept := recorder(t, "client")
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	saw := program(ctx, dial(t, rec, address))
	x.End(nil)
	return <-kept, saw
}

func replay(t *testing.T, of *record.Execution, program func(context.Context, pb.TestServiceClient) []any) (*execution.Report, []any) {
	t.Helper()
	rec, _ := recorder(t, "client")
	ctx, x, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: of}, nil)
	if err != nil {
		t.Fatal(err)
	}
	saw := program(ctx, dial(t, rec, "192.0.2.1:1"))
	x.End(nil)
	return x.Report(), saw
}

func TestCallsReplayWithTheServerStopped(t *testing.T) {
	t.Parallel()
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, stop := serve(t, nil)
			of, saw := run(t, address, program)
			stop()
			report, again := replay(t, of, program)
			if !reflect.DeepEqual(saw, again) {
				t.Errorf("recorded %v\nreplayed %v", saw, again)
			}
			if report.Outcome != execution.OutcomeSame || report.Served != len(of.Checkpoints) {
				t.Errorf("%s, served %d of %d, %+v", report, report.Served, len(of.Checkpoints), report.Divergences)
			}
		})
	}
}

func TestAnUnavailableServerIsTheSameInAReplay(t *testing.T) {
	t.Parallel()
	address, stop := serve(t, nil)
	stop()
	program := func(ctx context.Context, c pb.TestServiceClient) []any {
		_, err := c.UnaryCall(ctx, simple("hello"))
		return []any{status.Code(err), err.Error()}
	}
	of, saw := run(t, address, program)
	if cp := of.Checkpoints[0]; saw[0] != codes.Unavailable || cp.Error.Code != "Unavailable" || cp.Error.Class != record.ClassRefused || cp.InDoubt() {
		t.Errorf("saw %v, op %+v", saw, cp.Error)
	}
	if _, again := replay(t, of, program); !reflect.DeepEqual(saw, again) {
		t.Errorf("recorded %v\nreplayed %v", saw, again)
	}
}

func TestAReplayStopsAtAnotherMessage(t *testing.T) {
	t.Parallel()
	address, _ := serve(t, nil)
	for name, programs := range map[string][2]func(context.Context, pb.TestServiceClient) []any{
		"unary": {
			func(ctx context.Context, c pb.TestServiceClient) []any {
				_, err := c.UnaryCall(ctx, simple("a"))
				return []any{err}
			},
			func(ctx context.Context, c pb.TestServiceClient) []any {
				_, err := c.UnaryCall(ctx, simple("b"))
				return []any{err}
			},
		},
		"client streams": {
			func(ctx context.Context, c pb.TestServiceClient) []any { return sendAll(ctx, c, "a", "b") },
			func(ctx context.Context, c pb.TestServiceClient) []any { return sendAll(ctx, c, "a", "c") },
		},
		"both stream": {
			func(ctx context.Context, c pb.TestServiceClient) []any { return exchange(ctx, c, "a", "b") },
			func(ctx context.Context, c pb.TestServiceClient) []any { return exchange(ctx, c, "a", "c") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of, saw := run(t, address, programs[0])
			if err, _ := saw[0].(error); err != nil {
				t.Fatal(err)
			}
			report, again := replay(t, of, programs[1])
			if err, _ := again[0].(error); report.Stop == nil || !errors.Is(err, execution.ErrStopped) {
				t.Errorf("%s: the program saw %v", report, again)
			}
		})
	}
}

func sendAll(ctx context.Context, c pb.TestServiceClient, texts ...string) []any {
	s, err := c.StreamingInputCall(ctx)
	for _, text := range texts {
		if err == nil {
			err = s.Send(&pb.StreamingInputCallRequest{Payload: payload(text)})
		}
	}
	if err == nil {
		_, err = s.CloseAndRecv()
	}
	return []any{err}
}

func exchange(ctx context.Context, c pb.TestServiceClient, texts ...string) []any {
	s, err := c.FullDuplexCall(ctx)
	for _, text := range texts {
		if err == nil {
			err = s.Send(streaming(text))
		}
		if err == nil {
			_, err = s.Recv()
		}
	}
	return []any{err}
}

func TestACallIsAnExecutionOfTheServer(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t, "server")
	address, stop := serve(t, rec)
	caller, _ := run(t, address, programs["unary"])
	callee := <-kept
	if callee.Trigger.Kind != record.TriggerGRPC || callee.Trigger.Method != "/grpc.testing.TestService/UnaryCall" || callee.Trigger.Peer == "" {
		t.Errorf("trigger %+v", callee.Trigger)
	}
	if len(callee.Links) != 1 || callee.Links[0].Execution != caller.ID || callee.Parent != caller.ID || callee.Relation != record.RelationChild {
		t.Errorf("links %+v, parent %s, want %s", callee.Links, callee.Parent, caller.ID)
	}
	if links := caller.Checkpoints[0].Links; len(links) != 1 || links[0].Kind != record.LinkEffect || links[0].Execution != callee.ID {
		t.Errorf("the call links to %+v, want %s", links, callee.ID)
	}
	_, saw := run(t, address, panics)
	failed := []*record.Execution{<-kept}
	if saw[0] != codes.Internal || failed[0].Error == nil || failed[0].Error.Class != record.ClassPanic {
		t.Errorf("saw %v, error %+v", saw, failed[0].Error)
	}
	for _, name := range []string{"status with details", "server stream breaks", "client streams", "both stream"} {
		run(t, address, programs[name])
		failed = append(failed, <-kept)
	}
	stop()
	for _, of := range append(failed, callee) {
		report, err := fluxgrpc.Replay(t.Context(), rec, register(&service{}), &record.Bundle{Execution: of}, nil)
		if err != nil || report.Outcome != execution.OutcomeSame {
			t.Errorf("%s: %s, %v, %+v", of.Trigger.Method, report, err, report)
		}
	}
	if failed[1].Status != record.StatusError || !strings.Contains(failed[1].Error.Message, "no stock") {
		t.Errorf("%s, %+v", failed[1].Status, failed[1].Error)
	}
	fixed, err := fluxgrpc.Replay(t.Context(), rec, register(&service{fixed: true}), &record.Bundle{Execution: failed[1]}, nil)
	if err != nil || fixed.Outcome != execution.OutcomeFixed {
		t.Errorf("with the fix: %s, %v", fixed, err)
	}
	none := func(grpc.ServiceRegistrar) {}
	if _, err := fluxgrpc.Replay(t.Context(), rec, none, &record.Bundle{Execution: callee}, nil); !errors.Is(err, execution.ErrNotReplayable) {
		t.Errorf("without the service: %v", err)
	}
}

// In a process that flux replay started, a call with the nonce stands for the recorded one.
func TestAProcessReplaysTheRecordedCall(t *testing.T) {
	t.Parallel()
	if os.Getenv(execution.EnvReplay) != "" {
		replayInProcess(t)
		return
	}
	rec, kept := recorder(t, "server")
	address, _ := serve(t, rec)
	run(t, address, programs["status with details"])
	var bundle bytes.Buffer
	if err := record.WriteBundle(&bundle, &record.Bundle{Execution: <-kept}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	control := execution.Control{Bundle: filepath.Join(dir, "x.fluxrec"), Report: filepath.Join(dir, "report.json"), Nonce: "n1"}
	data, err := json.Marshal(control)
	path := filepath.Join(dir, "control.json")
	if err := errors.Join(err, os.WriteFile(control.Bundle, bundle.Bytes(), 0o600), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), execution.EnvReplay+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if report, err := os.ReadFile(control.Report); err != nil || !bytes.Contains(report, []byte(`"outcome":"same"`)) {
		t.Errorf("%s, %v", report, err)
	}
}

// replayInProcess is a program that flux replay started, and the call with which that sets the replay off.
func replayInProcess(t *testing.T) {
	rec, err := execution.Connect(execution.Config{Service: "server", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	address, _ := serve(t, rec)
	client := dial(t, nil, address)
	if _, err := client.UnaryCall(t.Context(), simple("live")); err != nil {
		t.Errorf("a call of somebody else: %v", err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "flux-replay", "n1")
	if _, err := client.UnaryCall(ctx, nil); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("the replay answers %v", err)
	}
}
