package cli

import (
	"context"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

func pinCommand(p *program) *cobra.Command { return pinningCommand(p, false) }

func unpinCommand(p *program) *cobra.Command { return pinningCommand(p, true) }

func pinningCommand(p *program, unpin bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pin ID",
		Short:   "Keep an execution whatever the retention says",
		Long:    "Keep an execution until it is unpinned.\n\nWith --json, one document: {\"id\",\"pinned\",\"changed\"}.",
		Example: "  flux pin 7f3a\n  flux pin 7f3a --json",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.pin(ctx, args[0], unpin) }),
	}
	if unpin {
		cmd.Use, cmd.Example = "unpin ID", "  flux unpin 7f3a\n  flux unpin 7f3a --json"
		cmd.Short = "Let an execution go that was pinned"
		cmd.Long = "Treat an execution that was pinned like all others again.\n\nWith --json, one document: {\"id\",\"pinned\",\"changed\"}."
	}
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) pin(ctx context.Context, id string, unpin bool) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.executions.PinExecution(ctx, connect.NewRequest(&fluxv1.PinExecutionRequest{Id: id, Unpin: unpin}))
	if err != nil {
		return err
	}
	x := answer.Msg.GetSummary()
	if p.json {
		return p.out.printJSON(map[string]any{"id": x.GetId(), "pinned": x.GetPinned(), "changed": answer.Msg.GetChanged()})
	}
	if unpin {
		return p.out.printf("Execution %s goes when it is old.\n", shortID(x.GetId()))
	}
	return p.out.printf("Execution %s is kept until it is unpinned.\n", shortID(x.GetId()))
}
