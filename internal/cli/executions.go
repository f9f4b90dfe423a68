package cli

import (
	"context"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
)

func executionsCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "executions",
		Short: "Delete recorded executions, and change how long they are kept",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommands,
	}
	cmd.AddCommand(deleteExecutionsCommand(p), executionRetentionCommand(p))
	return cmd
}

// executionID returns the whole id of the execution that text is the id of, or the beginning of its id.
func (c *client) executionID(ctx context.Context, text string) (string, error) {
	if id, err := record.ParseID(text); err == nil {
		return id.String(), nil
	}
	if _, _, err := record.ParsePrefix(text); err != nil {
		return "", usagef("take an id from flux logs", "%w", err)
	}
	answer, err := c.executions.GetExecution(ctx, connect.NewRequest(&fluxv1.GetExecutionRequest{Id: text, SummaryOnly: true}))
	if err != nil {
		return "", err
	}
	return answer.Msg.GetSummary().GetId(), nil
}
