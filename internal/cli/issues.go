package cli

import (
	"context"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

func issuesCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issues",
		Short: "List, show and resolve failures that belong together",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommands,
	}
	cmd.AddCommand(listIssuesCommand(p), showIssueCommand(p), resolveIssueCommand(p, false), resolveIssueCommand(p, true))
	return cmd
}

// issueRow is an issue as --json writes it.
type issueRow struct {
	Issue      string        `json:"issue"`
	Title      string        `json:"title"`
	Status     string        `json:"status"`
	Count      int64         `json:"count"`
	FirstSeen  string        `json:"firstSeen"`
	LastSeen   string        `json:"lastSeen"`
	Resolved   string        `json:"resolved,omitempty"`
	ErrorClass string        `json:"errorClass,omitempty"`
	Location   string        `json:"location,omitempty"`
	Services   []string      `json:"services,omitempty"`
	Sample     *executionRow `json:"sample,omitempty"`
}

// issueNote describes the JSON form of issues.
const issueNote = `{"issue","title","status","count","firstSeen","lastSeen","resolved","errorClass","location","services"}, without what is empty.`

func showIssue(i *fluxv1.Issue) issueRow {
	row := issueRow{
		Issue: i.GetFingerprint(), Title: i.GetTitle(), Status: i.GetStatus(), Count: i.GetCount(),
		FirstSeen: milli(i.GetFirstSeen()), LastSeen: milli(i.GetLastSeen()),
		ErrorClass: i.GetErrorClass(), Location: i.GetLocation(), Services: i.GetServices(),
	}
	if i.GetResolved() != 0 {
		row.Resolved = milli(i.GetResolved())
	}
	if i.GetSample() != nil {
		sample := showExecution(i.GetSample())
		row.Sample = &sample
	}
	return row
}

// issueStatus shows the status of an issue in its colour.
func (s *screen) issueStatus(status string) string {
	switch status {
	case "resolved":
		return s.green(status)
	case "regressed":
		return s.red(status)
	}
	return s.yellow(status)
}

// issueOptions are the flags of issues list.
type issueOptions struct {
	status, service, cursor string
	limit                   int
}

func listIssuesCommand(p *program) *cobra.Command {
	var o issueOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List issues",
		Long: "List issues, those that were seen last first. An issue is a failure: executions that failed with the same error at the same place.\n\n" +
			"With --json, one line for each issue: " + issueNote + " When there are more, a last line {\"cursor\"} says where to go on.",
		Example: "  flux issues list --status open\n  flux issues list --service payments --json",
		Args:    cobra.NoArgs,
		RunE:    p.run(func(ctx context.Context, _ []string) error { return p.listIssues(ctx, o) }),
	}
	cmd.Flags().StringVar(&o.status, "status", "", "`status`: open, resolved, regressed")
	cmd.Flags().StringVar(&o.service, "service", "", "`name` of a service in which it was seen")
	cmd.Flags().IntVar(&o.limit, "limit", 50, "most issues to list; 0 lists all")
	cmd.Flags().StringVar(&o.cursor, "cursor", "", "`cursor` of the list before, to go on where it ended")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) listIssues(ctx context.Context, o issueOptions) error {
	if o.limit < 0 {
		return usagef("use 1 or more, or 0 for all", "--limit %d", o.limit)
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	rows := newTable("issue", "status", ">seen", "last seen", "title")
	request := &fluxv1.ListIssuesRequest{Status: o.status, Service: o.service, Cursor: o.cursor}
	for more, listed := true, 0; more; {
		if request.MaxSize, more = nextPage(o.limit, listed); !more {
			break
		}
		answer, err := c.executions.ListIssues(ctx, connect.NewRequest(request))
		if err != nil {
			return asUsage(err)
		}
		for _, i := range answer.Msg.GetIssues() {
			listed++
			if p.json {
				if err := p.out.printJSON(showIssue(i)); err != nil {
					return err
				}
			}
			rows.add(shortID(i.GetFingerprint()), i.GetStatus(), count(i.GetCount()), milli(i.GetLastSeen()), plain(i.GetTitle()))
		}
		request.Cursor = answer.Msg.GetCursor()
		more = request.Cursor != ""
	}
	if p.json && request.Cursor != "" {
		return p.out.printJSON(map[string]string{"cursor": request.Cursor})
	}
	if err := p.writeList(rows, "No issues."); err != nil || p.json || len(rows.rows) == 0 {
		return err
	}
	if request.Cursor != "" {
		if err := p.err.printf("%s the same with --cursor %s\n", p.err.dim("more"), request.Cursor); err != nil {
			return err
		}
	}
	return p.err.printf("%s flux issues show %s\n", p.err.dim("next"), rows.rows[0][0])
}

func showIssueCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ISSUE",
		Short: "Show an issue and the newest execution that failed so",
		Long: "Show an issue, which is given by its fingerprint or at least 4 digits of its beginning, and the newest execution that failed so.\n\n" +
			"With --json, one document: " + issueNote + " \"sample\" is an execution as in flux logs.",
		Example: "  flux issues show a3f0\n  flux issues show a3f0 --json",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.showIssue(ctx, args[0]) }),
	}
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) showIssue(ctx context.Context, fingerprint string) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.executions.GetIssue(ctx, connect.NewRequest(&fluxv1.GetIssueRequest{Fingerprint: fingerprint}))
	if err != nil {
		return err
	}
	i := answer.Msg.GetIssue()
	if p.json {
		return p.out.printJSON(showIssue(i))
	}
	return p.writeIssue(i)
}

func (p *program) writeIssue(i *fluxv1.Issue) error {
	out := p.out
	if err := out.printf("%s  %s\n%s\n", out.bold(plain(i.GetTitle())), out.issueStatus(i.GetStatus()), out.dim(i.GetFingerprint())); err != nil {
		return err
	}
	rows := [][2]string{
		{"seen", plural(i.GetCount(), "time")},
		{"first", milli(i.GetFirstSeen())},
		{"last", milli(i.GetLastSeen())},
		{"services", strings.Join(i.GetServices(), ", ")},
		{"class", i.GetErrorClass()},
		{"place", i.GetLocation()},
	}
	if i.GetResolved() != 0 {
		rows = append(rows, [2]string{"resolved", milli(i.GetResolved())})
	}
	for _, row := range rows {
		if row[1] == "" {
			continue
		}
		if err := out.printf("  %s  %s\n", out.dim(fit(row[0], len("resolved"))), plain(row[1])); err != nil {
			return err
		}
	}
	if i.GetSample() == nil {
		return out.printf("\nNone of its executions is kept any more.\n")
	}
	if err := out.printf("\n%s\n", out.executionLine(i.GetSample())); err != nil {
		return err
	}
	return p.err.printf("%s flux why %s\n", p.err.dim("next"), shortID(i.GetSample().GetId()))
}

func resolveIssueCommand(p *program, reopen bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resolve ISSUE",
		Short: "Say that an issue is dealt with",
		Long: "Say that an issue is dealt with. When an execution that starts later fails so, it is regressed.\n\n" +
			"With --json, one document: " + issueNote,
		Example: "  flux issues resolve a3f0\n  flux issues resolve a3f0 --json",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.resolveIssue(ctx, args[0], reopen) }),
	}
	if reopen {
		cmd.Use, cmd.Short, cmd.Example = "reopen ISSUE", "Open an issue again", "  flux issues reopen a3f0\n  flux issues reopen a3f0 --json"
		cmd.Long = "Say that an issue is not dealt with after all.\n\nWith --json, one document: " + issueNote
	}
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) resolveIssue(ctx context.Context, fingerprint string, reopen bool) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	request := &fluxv1.ResolveIssueRequest{Fingerprint: fingerprint, Reopen: reopen}
	answer, err := c.executions.ResolveIssue(ctx, connect.NewRequest(request))
	if err != nil {
		return err
	}
	i := answer.Msg.GetIssue()
	if p.json {
		return p.out.printJSON(showIssue(i))
	}
	return p.out.printf("Issue %s is %s: %s\n", shortID(i.GetFingerprint()), p.out.issueStatus(i.GetStatus()), plain(i.GetTitle()))
}
