package cli

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// deleteOptions are the flags of executions delete.
type deleteOptions struct {
	filterOptions
	dryRun, yes bool
}

func deleteExecutionsCommand(p *program) *cobra.Command {
	var o deleteOptions
	cmd := &cobra.Command{
		Use:   "delete [ID…]",
		Short: "Delete recorded executions",
		Long: "Delete executions for good: those with the ids, or those that the flags pick, which also takes --yes. What is pinned is left. " +
			"An id may be given by at least 4 digits of its beginning.\n\n" + conditionHelp + "\n\n" +
			"With --json, one line for each: {\"id\",\"deleted\",\"pinned\",\"dryRun\"}.",
		Example: "  flux executions delete 7f3a\n  flux executions delete --where 'req.body.customer=c-17' --dry-run",
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.deleteExecutions(ctx, args, o) }),
	}
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "change nothing, only tell what would be done")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "delete all that the flags pick")
	o.register(cmd.Flags())
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) deleteExecutions(ctx context.Context, args []string, o deleteOptions) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	filter, err := o.filter(ctx, c, time.Now())
	if err != nil {
		return err
	}
	switch {
	case len(args) > 0 && !o.empty():
		return usagef("leave out the ids, or the flags", "ids and flags that pick executions")
	case len(args) == 0 && o.empty():
		return usagef("give ids, or flags such as --until 90d", "nothing says what to delete")
	case len(args) == 0 && !o.yes && !o.dryRun:
		return usagef("look with --dry-run, then add --yes", "this deletes all that the flags pick")
	case len(args) == 0:
		return p.deletePicked(ctx, c, filter, o.dryRun)
	}
	var rows []*fluxv1.ExecutionSummary
	for _, arg := range args {
		answer, err := c.executions.GetExecution(ctx, connect.NewRequest(&fluxv1.GetExecutionRequest{Id: arg, SummaryOnly: true}))
		if err != nil {
			return err
		}
		rows = append(rows, answer.Msg.GetSummary())
	}
	deleted, err := p.deletePage(ctx, c, rows, o.dryRun)
	if err == nil && deleted < len(rows) {
		err = failf("flux unpin ID lets it go", "%s pinned", plural(len(rows)-deleted, "execution"))
	}
	return err
}

// deletePicked deletes all executions that a filter picks.
func (p *program) deletePicked(ctx context.Context, c *client, filter *fluxv1.ExecutionFilter, dryRun bool) error {
	deleted := 0
	request := &fluxv1.ListExecutionsRequest{Filter: filter, MaxSize: 100}
	for more := true; more; {
		page, err := c.executions.ListExecutions(ctx, connect.NewRequest(request))
		if err != nil {
			return err
		}
		n, err := p.deletePage(ctx, c, page.Msg.GetExecutions(), dryRun)
		if err != nil {
			return err
		}
		deleted += n
		request.Cursor = page.Msg.GetCursor()
		more = request.Cursor != ""
	}
	return p.err.printf("%s %s.\n", deletedText(dryRun), plural(deleted, "execution"))
}

// deletePage deletes executions, except those that are pinned, and tells of each. It returns how many.
func (p *program) deletePage(ctx context.Context, c *client, rows []*fluxv1.ExecutionSummary, dryRun bool) (deleted int, err error) {
	var ids []string
	for _, row := range rows {
		if !row.GetPinned() {
			ids = append(ids, row.GetId())
		}
	}
	if !dryRun && len(ids) > 0 {
		answer, err := c.executions.DeleteExecutions(ctx, connect.NewRequest(&fluxv1.DeleteExecutionsRequest{Ids: ids}))
		if err != nil {
			return 0, err
		}
		ids = answer.Msg.GetDeleted()
	}
	gone := map[string]bool{}
	for _, id := range ids {
		gone[id] = true
	}
	for _, row := range rows {
		err = errors.Join(err, p.tellDeleted(row, gone[row.GetId()], dryRun))
	}
	return len(ids), err
}

func (p *program) tellDeleted(x *fluxv1.ExecutionSummary, deleted, dryRun bool) error {
	if p.json {
		return p.out.printJSON(map[string]any{"id": x.GetId(), "deleted": deleted && !dryRun, "pinned": x.GetPinned(), "dryRun": dryRun})
	}
	method, path := triggerColumns(x)
	verb := deletedText(dryRun)
	if !deleted {
		verb = "Left"
	}
	return p.out.printf("%s %s, %s %s of %s.\n", verb, shortID(x.GetId()), plain(method), plain(path), milli(x.GetStart()))
}
