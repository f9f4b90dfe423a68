package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// tailOptions are the flags of tail.
type tailOptions struct{ since, typeFilter string }

func tailCommand(p *program) *cobra.Command {
	var o tailOptions
	cmd := &cobra.Command{
		Use:   "tail [LOG]",
		Short: "Follow a log as it grows",
		Long: "Follow a log, by default that of events, and write each message as it is stored, until interrupted. It disturbs no consumer. " +
			"When the server goes away, it waits until the server is back and goes on after the last message that it wrote.\n\n" +
			"A place in a log is " + placeHelp + ".\n\n" + messageNote,
		Example: "  flux tail\n  flux tail command --since 1h --type 'shop\\..*' --json",
		Args:    cobra.MaximumNArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.tail(ctx, logArgument(args), o) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.since, "since", "now", "`place` of the first message")
	flags.StringVar(&o.typeFilter, "type", "", "`regular expression` that the whole type must match")
	p.connection(flags)
	return cmd
}

func (p *program) tail(ctx context.Context, logName string, o tailOptions) error {
	log, err := parseLog(logName)
	if err != nil {
		return err
	}
	since, err := parsePlace(o.since, time.Now())
	if err != nil {
		return err
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	last := int64(since - 1)
	name := "flux-tail-" + rand.Text()
	err = p.outlast(ctx, func() error {
		return c.follow(ctx, &fluxv1.Tracker{
			Log: log.String(), Consumer: name, TrackerId: name, TypeFilter: o.typeFilter,
			IgnoreSegment: true, ClientControlledIndex: true, LastIndex: &last,
		}, func(m *message.Message) error {
			last = int64(m.Index)
			return p.print(show(log, m))
		})
	})
	if ctx.Err() != nil {
		return nil // to be interrupted is how it ends
	}
	return err
}

// callAgainAfter is how long outlast waits for a server.
const callAgainAfter = 250 * time.Millisecond

// outlast calls f again when the server went away meanwhile. A server that was never there is an error at once.
func (p *program) outlast(ctx context.Context, f func() error) error {
	for met := false; ; {
		err := f()
		away := connect.CodeOf(err) == connect.CodeUnavailable && len(detailsOf(err)) == 0
		if ctx.Err() != nil || !away && !broke(err) || away && !met {
			return err
		}
		if !away {
			met = true
			text, _ := p.explain(err)
			_ = p.err.printf("%s; waiting for it\n", text)
		}
		select {
		case <-time.After(callAgainAfter):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// broke reports whether an error says that a server ends its streams, or that the connection to it broke.
func broke(err error) bool {
	var remote *connect.Error
	if !errors.As(err, &remote) || isNotFlux(remote) {
		return false
	}
	return remote.Code() == connect.CodeUnavailable || len(remote.Details()) == 0
}

func detailsOf(err error) []*connect.ErrorDetail {
	if remote := (*connect.Error)(nil); errors.As(err, &remote) {
		return remote.Details()
	}
	return nil
}

// follow calls f with every message that a tracker gets, until ctx ends. The consumer's position is not stored.
func (c *client) follow(ctx context.Context, tracker *fluxv1.Tracker, f func(*message.Message) error) error {
	stream := c.tracking.Track(ctx)
	defer stream.CloseResponse()
	// While its sending side is open, net/http does not heed the end of ctx.
	defer context.AfterFunc(ctx, func() { _ = stream.CloseRequest() })()
	open := &fluxv1.TrackRequest{Request: &fluxv1.TrackRequest_Open{Open: &fluxv1.TrackOpen{Tracker: tracker}}}
	if err := stream.Send(open); err != nil && !errors.Is(err, io.EOF) { // after EOF, Receive tells the reason
		return err
	}
	for {
		response, err := stream.Receive()
		if err != nil {
			return err
		}
		batch := response.GetBatch()
		if batch == nil {
			continue
		}
		if err := eachMessage(batch.GetChunks(), f); err != nil {
			return err
		}
		handled := &fluxv1.TrackHandled{Batch: batch.GetId(), PositionKept: true}
		err = stream.Send(&fluxv1.TrackRequest{Request: &fluxv1.TrackRequest_Handled{Handled: handled}})
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// eachMessage calls f with the messages of chunks.
func eachMessage(chunks []*fluxv1.Chunk, f func(*message.Message) error) error {
	for _, chunk := range chunks {
		first := message.Index(chunk.GetFirstIndex())
		for block, err := range message.Blocks(chunk.GetBlocks()) {
			if err != nil {
				return fmt.Errorf("block at index %d: %w", first, err)
			}
			messages, err := block.AppendMessages(nil, first)
			if err != nil {
				return fmt.Errorf("block at index %d: %w", first, err)
			}
			for i := range messages {
				if err := f(&messages[i]); err != nil {
					return err
				}
			}
			first += message.Index(block.Span())
		}
	}
	return nil
}
