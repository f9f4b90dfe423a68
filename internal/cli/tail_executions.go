package cli

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/pflag"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// tailExecutionsOptions are the flags of tail that are for executions.
type tailExecutionsOptions struct {
	filterOptions
	last  int
	after int64
}

// register adds the flags, and returns their names.
func (o *tailExecutionsOptions) register(flags *pflag.FlagSet) (names []string) {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.registerLive(own)
	own.IntVar(&o.last, "last", 10, "`number` of executions to begin with that came before, up to 1000")
	own.Int64Var(&o.after, "after", -1, "`arrival` of the execution after which to begin; 0 is the beginning")
	own.VisitAll(func(flag *pflag.Flag) {
		names = append(names, flag.Name)
		flag.Usage = "executions: " + flag.Usage
	})
	flags.AddFlagSet(own)
	return names
}

// tailExecutions writes executions as they come, until it is interrupted. When the connection breaks it goes on where it ended,
// as soon as the server is back.
func (p *program) tailExecutions(ctx context.Context, o tailExecutionsOptions) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	filter, err := o.filter(ctx, c, time.Now())
	if err != nil {
		return err
	}
	t := executionTail{p: p, request: &fluxv1.TailExecutionsRequest{Filter: filter, Backlog: int32(o.last)}}
	if o.after >= 0 {
		t.request.After = &o.after
	}
	err = p.outlast(ctx, func() error { return t.follow(ctx, c) })
	if ctx.Err() != nil {
		return nil // to be interrupted is how it ends
	}
	return asUsage(err)
}

// executionTail is a tail under way.
type executionTail struct {
	p       *program
	request *fluxv1.TailExecutionsRequest
}

// follow writes executions until the stream breaks. After that the request is one that goes on.
func (t *executionTail) follow(ctx context.Context, c *client) error {
	stream, err := c.executions.TailExecutions(ctx, connect.NewRequest(t.request))
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		for _, x := range stream.Msg().GetExecutions() {
			if err := t.write(x); err != nil {
				return err
			}
		}
		after := stream.Msg().GetAfter()
		t.request.After = &after
	}
	return stream.Err()
}

func (t *executionTail) write(x *fluxv1.ExecutionSummary) error {
	out := t.p.out
	if t.p.json {
		return out.printJSON(showExecution(x))
	}
	if err := out.printf("%s\n", out.executionLine(x)); err != nil || x.GetError() == "" || !x.GetFailed() {
		return err
	}
	return out.printf("  %s %s\n", out.dim("└"), out.red(plain(x.GetError())))
}
