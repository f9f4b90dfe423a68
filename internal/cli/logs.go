package cli

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// logsOptions are the flags of logs.
type logsOptions struct {
	filterOptions
	limit  int
	cursor string
}

func logsCommand(p *program) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "List recorded executions",
		Long: "List executions, those that started last first: all, or those for which everything holds that the flags say.\n\n" +
			conditionHelp + "\n\n" +
			"With --json, one line for each: " + executionNote + " When there are more, a last line {\"cursor\"} says where to go on.",
		Example: "  flux logs --failed --since 1h --search 'card declined'\n  flux logs --path /orders --where 'req.body.orderId=1009' --json",
		Args:    cobra.NoArgs,
		RunE:    p.run(func(ctx context.Context, _ []string) error { return p.logs(ctx, o) }),
	}
	flags := cmd.Flags()
	o.register(flags)
	flags.BoolVar(&o.failed, "error", false, "another name of --failed")
	must(flags.MarkHidden("error"))
	flags.IntVar(&o.limit, "limit", 50, "most executions to list; 0 lists all")
	flags.StringVar(&o.cursor, "cursor", "", "`cursor` of the list before, to go on where it ended")
	p.connection(flags)
	return cmd
}

func (p *program) logs(ctx context.Context, o logsOptions) error {
	if o.limit < 0 {
		return usagef("use 1 or more, or 0 for all", "--limit %d", o.limit)
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	filter, err := o.filter(ctx, c, time.Now())
	if err != nil {
		return err
	}
	l := executionList{p: p}
	cursor, err := l.list(ctx, c, &fluxv1.ListExecutionsRequest{Filter: filter, Cursor: o.cursor}, o.limit)
	if err != nil {
		return asUsage(err)
	}
	return l.end(cursor, o.empty())
}

// asUsage makes wrong usage of what the server could not make sense of: it came from a flag.
func asUsage(err error) error {
	if connect.CodeOf(err) == connect.CodeInvalidArgument {
		text, hint := (&program{}).explain(err)
		return usagef(hint, "%s", text)
	}
	return err
}

// executionList writes executions as they are found.
type executionList struct {
	p      *program
	listed int
	failed string // id of the first that failed
}

// list writes up to limit executions, all for 0, and returns the cursor to go on.
func (l *executionList) list(ctx context.Context, c *client, request *fluxv1.ListExecutionsRequest, limit int) (string, error) {
	const maxPage = 1000
	for {
		request.MaxSize = maxPage
		if limit > 0 {
			request.MaxSize = int32(min(limit-l.listed, maxPage))
		}
		page, err := c.executions.ListExecutions(ctx, connect.NewRequest(request))
		if err != nil {
			return "", err
		}
		for _, x := range page.Msg.GetExecutions() {
			if err := l.write(x); err != nil {
				return "", err
			}
		}
		request.Cursor = page.Msg.GetCursor()
		if request.Cursor == "" || limit > 0 && l.listed >= limit {
			return request.Cursor, nil
		}
		l.progress(page.Msg.GetSearchedTo())
	}
}

// progress tells on a terminal how far back a search has come that takes long.
func (l *executionList) progress(searchedTo int64) {
	if s := l.p.err; s.terminal {
		_ = s.printf("\r\x1b[K%s\r", s.dim("searched back to "+milli(searchedTo)))
	}
}

func (l *executionList) write(x *fluxv1.ExecutionSummary) error {
	l.listed++
	if x.GetFailed() && l.failed == "" {
		l.failed = shortID(x.GetId())
	}
	if l.p.json {
		return l.p.out.printJSON(showExecution(x))
	}
	if l.listed == 1 {
		if err := l.p.out.printf("%s\n", l.p.out.executionHeading()); err != nil {
			return err
		}
	}
	return l.p.out.printf("%s\n", l.p.out.executionLine(x))
}

// end tells what can be done next.
func (l *executionList) end(cursor string, all bool) error {
	s := l.p.err
	if s.terminal {
		_ = s.printf("\r\x1b[K")
	}
	switch {
	case l.p.json && cursor != "":
		return l.p.out.printJSON(map[string]string{"cursor": cursor})
	case l.p.json:
		return nil
	case l.listed == 0 && all:
		return s.printf("No executions yet. A service records them with package execution, or when it is run by flux go run.\n")
	case l.listed == 0:
		return s.printf("No executions match.\n")
	case cursor != "":
		if err := s.printf("%s the same with --cursor %s\n", s.dim("more"), cursor); err != nil {
			return err
		}
	}
	if l.failed != "" {
		return s.printf("%s flux why %s\n", s.dim("next"), l.failed)
	}
	return nil
}
