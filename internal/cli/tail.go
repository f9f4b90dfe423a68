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
	"github.com/spf13/pflag"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// tailOptions are the flags of tail that are for logs of messages.
type tailOptions struct{ since, typeFilter string }

func tailCommand(p *program) *cobra.Command {
	var o tailOptions
	var executions tailExecutionsOptions
	cmd := &cobra.Command{
		Use:   "tail [executions|LOG]",
		Short: "Follow executions, or a log of messages, as they come",
		Long: "Follow executions and write each as it is recorded, once it has ended or when it is kept while it runs; or follow a log and write " +
			"each message as it is stored. It goes on until it is interrupted, and disturbs no consumer. When the server goes away, it waits " +
			"until the server is back and goes on after what it wrote last.\n\n" +
			"A place in a log is " + placeHelp + ". " + conditionHelp + "\n\n" +
			"For executions, with --json, one line for each: " + executionNote + "\n\n" + "For messages: " + messageNote,
		Example: "  flux tail --failed --service payments\n  flux tail command --since 1h --type 'shop\\..*' --json",
		Args:    cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.since, "since", "now", "messages: `place` of the first")
	flags.StringVar(&o.typeFilter, "type", "", "messages: `regular expression` that the whole type must match")
	ofExecutions := executions.register(flags)
	cmd.RunE = p.run(func(ctx context.Context, args []string) error {
		if len(args) == 0 || args[0] == "executions" {
			if err := refuse(flags, "executions", "since", "type"); err != nil {
				return err
			}
			return p.tailExecutions(ctx, executions)
		}
		if err := refuse(flags, "messages", ofExecutions...); err != nil {
			return err
		}
		return p.tail(ctx, args[0], o)
	})
	p.connection(flags)
	return cmd
}

// refuse returns an error when a flag was given that is not for what is followed.
func refuse(flags *pflag.FlagSet, what string, names ...string) error {
	for _, name := range names {
		if flags.Changed(name) {
			return usagef("flux tail executions, or flux tail LOG: flux tail --help", "--%s is not for %s", name, what)
		}
	}
	return nil
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
		var remote *connect.Error
		if ctx.Err() != nil || !errors.As(err, &remote) {
			return err
		}
		away := remote.Code() == connect.CodeUnavailable && len(remote.Details()) == 0
		if !away && !broke(remote) || away && !met {
			return err
		}
		if !away {
			met = true
			text, _ := p.explainRemote(remote)
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
func broke(err *connect.Error) bool {
	return !isNotFlux(err) && (err.Code() == connect.CodeUnavailable || len(err.Details()) == 0)
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
