package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
)

// executionRow is an execution as --json writes it.
type executionRow struct {
	ID          string          `json:"id"`
	Start       string          `json:"start"`
	DurationMs  float64         `json:"durationMs"`
	Service     string          `json:"service,omitempty"`
	Instance    string          `json:"instance,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Version     string          `json:"version,omitempty"`
	Commit      string          `json:"commit,omitempty"`
	Dirty       bool            `json:"dirty,omitempty"`
	Kind        string          `json:"kind"`
	Method      string          `json:"method,omitempty"`
	Route       string          `json:"route,omitempty"`
	Path        string          `json:"path,omitempty"`
	Status      string          `json:"status"`
	Failed      bool            `json:"failed,omitempty"`
	HTTPStatus  int32           `json:"httpStatus,omitempty"`
	Error       string          `json:"error,omitempty"`
	ErrorClass  string          `json:"errorClass,omitempty"`
	Issue       string          `json:"issue,omitempty"`
	RequestID   string          `json:"requestId,omitempty"`
	Attempt     int32           `json:"attempt,omitempty"`
	Parent      string          `json:"parent,omitempty"`
	Relation    string          `json:"relation,omitempty"`
	Root        string          `json:"root,omitempty"`
	Links       []executionLink `json:"links,omitempty"`
	Operations  int64           `json:"operations"`
	InDoubt     int64           `json:"inDoubt,omitempty"`
	LogLines    int64           `json:"logLines"`
	Replayable  string          `json:"replayable"`
	Kept        string          `json:"kept,omitempty"`
	Pinned      bool            `json:"pinned,omitempty"`
	Bytes       int64           `json:"bytes"`
	Recorded    string          `json:"recorded"`
	Arrival     int64           `json:"arrival"`
}

type executionLink struct {
	Kind      string `json:"kind"`
	Execution string `json:"execution,omitempty"`
	Log       string `json:"log,omitempty"`
	Index     int64  `json:"index,omitempty"`
	MessageID string `json:"messageId,omitempty"`
}

// executionNote describes the JSON form of executions in lists.
const executionNote = `{"id","start","durationMs","service","instance","environment","version","commit","dirty","kind","method","route","path",` +
	`"status","failed","httpStatus","error","errorClass","issue","requestId","attempt","parent","relation","root","links","operations","inDoubt",` +
	`"logLines","replayable","kept","pinned","bytes","recorded","arrival"}, without what is empty.`

func showExecution(x *fluxv1.ExecutionSummary) executionRow {
	row := executionRow{
		ID: x.GetId(), Start: milli(x.GetStart()), DurationMs: float64(x.GetDurationUs()) / 1000,
		Service: x.GetService(), Instance: x.GetInstance(), Environment: x.GetEnvironment(),
		Version: x.GetVersion(), Commit: x.GetCommit(), Dirty: x.GetDirty(),
		Kind: x.GetKind(), Method: x.GetMethod(), Route: x.GetRoute(), Path: x.GetPath(),
		Status: x.GetStatus(), Failed: x.GetFailed(), HTTPStatus: x.GetHttpStatus(),
		Error: x.GetError(), ErrorClass: x.GetErrorClass(), Issue: x.GetFingerprint(),
		RequestID: x.GetRequestId(), Attempt: x.GetAttempt(), Parent: x.GetParent(), Relation: x.GetRelation(), Root: x.GetRoot(),
		Operations: x.GetCheckpoints(), InDoubt: x.GetInDoubt(), LogLines: x.GetLogs(),
		Replayable: x.GetReplayable(), Kept: x.GetKept(), Pinned: x.GetPinned(), Bytes: x.GetSize(),
		Recorded: milli(x.GetRecorded()), Arrival: x.GetArrival(),
	}
	for _, link := range x.GetLinks() {
		row.Links = append(row.Links, executionLink{
			link.GetKind(), link.GetExecution(), link.GetLog(), link.GetIndex(), link.GetMessageId(),
		})
	}
	return row
}

// shortID is an id as lists show it.
func shortID(id string) string { return id[:min(8, len(id))] }

// The columns of a list of executions. Their widths are fixed, so that a row can be written as soon as it is there; the path gets
// what is left of the line.
const (
	timeColumn     = "2006-01-02 15:04:05"
	serviceWidth   = 12
	methodWidth    = 7
	statusWidth    = 13
	durationWidth  = 8
	idWidth        = 8
	minPathWidth   = 18
	maxPathWidth   = 60
	columnGaps     = 6 * 2
	slowerThan     = 500 * time.Millisecond // is shown as slow
	allFixedWidths = len(timeColumn) + serviceWidth + methodWidth + statusWidth + durationWidth + idWidth + columnGaps
)

// pathWidth is how wide the path of a row may be.
func (s *screen) pathWidth() int { return min(max(s.width-allFixedWidths, minPathWidth), maxPathWidth) }

// executionHeading is the heading of a list of executions.
func (s *screen) executionHeading() string {
	return s.bold(strings.TrimRight(fmt.Sprintf("%s  %s  %s  %s  %s  %*s  %s", fit("TIME (UTC)", len(timeColumn)), fit("SERVICE", serviceWidth),
		fit("METHOD", methodWidth), fit("PATH", s.pathWidth()), fit("STATUS", statusWidth), durationWidth, "DURATION", "ID"), " "))
}

// executionLine is a row of a list of executions.
func (s *screen) executionLine(x *fluxv1.ExecutionSummary) string {
	method, path := triggerColumns(x)
	duration := "-"
	if x.GetStatus() != string(record.StatusRunning) {
		duration = shortDuration(durationOf(x))
	}
	pin := ""
	if x.GetPinned() {
		pin = "  pinned"
	}
	return fmt.Sprintf("%s  %s  %s  %s  %s  %*s  %s%s", s.dim(time.UnixMilli(x.GetStart()).UTC().Format(timeColumn)),
		fit(x.GetService(), serviceWidth), s.bold(fit(method, methodWidth)), fit(path, s.pathWidth()),
		s.statusColumn(x), durationWidth, duration, s.dim(shortID(x.GetId())), s.dim(pin))
}

func durationOf(x *fluxv1.ExecutionSummary) time.Duration {
	return time.Duration(x.GetDurationUs()) * time.Microsecond
}

// triggerColumns names what set an execution off.
func triggerColumns(x *fluxv1.ExecutionSummary) (method, path string) {
	switch record.TriggerKind(x.GetKind()) {
	case record.TriggerHTTP:
		return x.GetMethod(), x.GetPath()
	case record.TriggerMessage:
		return x.GetKind(), strings.TrimSpace(x.GetPath() + " " + x.GetMethod())
	case record.TriggerBoot:
		return x.GetKind(), "start of the process"
	}
	return x.GetKind(), cmp.Or(x.GetPath(), x.GetMethod(), x.GetRoute())
}

// statusColumn is the status with a sign and in its colour, as wide as its column.
func (s *screen) statusColumn(x *fluxv1.ExecutionSummary) string {
	text := x.GetStatus()
	if x.GetHttpStatus() != 0 {
		text += fmt.Sprintf(" %d", x.GetHttpStatus())
	}
	switch {
	case x.GetFailed():
		return s.red(fit("✗ "+text, statusWidth))
	case x.GetStatus() != string(record.StatusOK):
		return s.yellow(fit("… "+text, statusWidth))
	case durationOf(x) > slowerThan:
		return s.yellow(fit("⚠ slow", statusWidth))
	}
	return s.green(fit("✓ "+text, statusWidth))
}

// fit makes text exactly as wide as a column.
func fit(text string, width int) string {
	n := utf8.RuneCountInString(text)
	if n <= width {
		return text + strings.Repeat(" ", width-n)
	}
	runes := []rune(text)
	return string(runes[:width-1]) + "…"
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
	return p.out.printf("%s %s, %s %s of %s.\n", verb, shortID(x.GetId()), method, path, milli(x.GetStart()))
}

// retentionOptions are the flags of executions retention.
type retentionOptions struct {
	age, number string
	bytes       string
}

func executionRetentionCommand(p *program) *cobra.Command {
	var o retentionOptions
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Show or set how long executions are kept",
		Long: "Show how long executions are kept and how many there are, or set it. The oldest go when any limit is reached; what is pinned " +
			"stays and does not count. A limit that is not given stays as it is.\n\n" +
			"With --json, one document: {\"seconds\",\"executions\",\"bytes\",\"kept\":{\"executions\",\"bytes\",\"pinned\"}}; -1 is no limit.",
		Example: "  flux executions retention\n  flux executions retention --age 14d --bytes 50GiB",
		Args:    cobra.NoArgs,
		RunE:    p.run(func(ctx context.Context, _ []string) error { return p.executionRetention(ctx, o) }),
	}
	cmd.Flags().StringVar(&o.age, "age", "", "`duration` such as 30d or 12h, forever, or default")
	cmd.Flags().StringVar(&o.number, "number", "", "`number` of executions, unlimited, or default")
	cmd.Flags().StringVar(&o.bytes, "bytes", "", "`bytes` of records such as 10GiB, unlimited, or default")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) executionRetention(ctx context.Context, o retentionOptions) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.executions.GetExecutionRetention(ctx, connect.NewRequest(&fluxv1.GetExecutionRetentionRequest{}))
	if err != nil {
		return err
	}
	if o != (retentionOptions{}) {
		retention := answer.Msg.GetRetention()
		if err := o.change(retention); err != nil {
			return err
		}
		request := &fluxv1.SetExecutionRetentionRequest{Retention: retention}
		if _, err := c.executions.SetExecutionRetention(ctx, connect.NewRequest(request)); err != nil {
			return err
		}
		if answer, err = c.executions.GetExecutionRetention(ctx, connect.NewRequest(&fluxv1.GetExecutionRetentionRequest{})); err != nil {
			return err
		}
	}
	return p.showExecutionRetention(answer.Msg)
}

// change sets the limits that were given.
func (o retentionOptions) change(r *fluxv1.ExecutionRetention) (err error) {
	if o.age != "" {
		if r.Seconds, err = parseRetention(o.age); err != nil {
			return usagef("use a duration such as 30d or 12h, forever, or default", "%q is no retention: %w", o.age, err)
		}
	}
	if o.number != "" {
		if r.Executions, err = parseLimit(o.number, func(text string) (n int64, err error) {
			_, err = fmt.Sscanf(text+"\n", "%d\n", &n)
			return n, err
		}); err != nil {
			return usagef("use a number such as 100000, unlimited, or default", "%q is no number of executions", o.number)
		}
	}
	if o.bytes != "" {
		if r.Bytes, err = parseLimit(o.bytes, func(text string) (int64, error) {
			var n byteSize
			err := n.Set(text)
			return int64(n), err
		}); err != nil {
			return usagef("use a size such as 10GiB, unlimited, or default", "%q is no number of bytes", o.bytes)
		}
	}
	return nil
}

// parseLimit returns -1 for no limit and 0 for the default.
func parseLimit(text string, parse func(string) (int64, error)) (int64, error) {
	switch text {
	case "unlimited":
		return -1, nil
	case "default":
		return 0, nil
	}
	n, err := parse(text)
	if err == nil && n < 1 {
		err = errors.New("the least is 1")
	}
	return n, err
}

func (p *program) showExecutionRetention(in *fluxv1.GetExecutionRetentionResponse) error {
	r := in.GetRetention()
	if p.json {
		return p.out.printJSON(map[string]any{
			"seconds": r.GetSeconds(), "executions": r.GetExecutions(), "bytes": r.GetBytes(),
			"kept": map[string]int64{"executions": in.GetExecutions(), "bytes": in.GetBytes(), "pinned": in.GetPinned()},
		})
	}
	number, bytes := "any number", "any size"
	if r.GetExecutions() >= 0 {
		number = "at most " + plural(r.GetExecutions(), "execution")
	}
	if r.GetBytes() >= 0 {
		bytes = "at most " + size(r.GetBytes())
	}
	return p.out.printf("Executions are kept for %s, %s, %s.\nThere are %s with %s, and %s pinned.\n", retentionText(r.GetSeconds()),
		number, bytes, plural(in.GetExecutions(), "execution"), size(in.GetBytes()), count(in.GetPinned()))
}

func pinCommand(p *program) *cobra.Command { return pinningCommand(p, false) }

func unpinCommand(p *program) *cobra.Command { return pinningCommand(p, true) }

func pinningCommand(p *program, unpin bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pin ID",
		Short:   "Keep an execution whatever the retention says",
		Long:    "Keep an execution until it is unpinned.\n\nWith --json, one document: {\"id\",\"pinned\",\"changed\"}.",
		Example: "  flux pin 7f3a\n  flux logs --pinned",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.pin(ctx, args[0], unpin) }),
	}
	if unpin {
		cmd.Use, cmd.Example = "unpin ID", "  flux unpin 7f3a"
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
