package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

func topicsCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "List logs with their figures, and change how long they are kept",
		Long: "List the logs of the namespace: those of each message type and those of each topic.\n\n" +
			"With --json, one line for each log: {\"log\",\"firstIndex\",\"lastIndex\",\"appendedMessages\",\"appendedBytes\"," +
			"\"retentionSeconds\",\"defaultRetention\"}. A retention of -1 is for ever.",
		Example: "  flux topics\n  flux topics --json",
		Args:    cobra.ArbitraryArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return subcommands(cmd, args)
		}
		return p.run(func(ctx context.Context, _ []string) error { return p.topics(ctx) })(cmd, args)
	}
	p.connection(cmd.Flags())
	cmd.AddCommand(retentionCommand(p), truncateCommand(p))
	return cmd
}

// topic is a log as --json writes it. Appended is what was ever appended, whether it is still there or not.
type topic struct {
	Log              string `json:"log"`
	FirstIndex       int64  `json:"firstIndex"`
	LastIndex        int64  `json:"lastIndex"`
	AppendedMessages uint64 `json:"appendedMessages"`
	AppendedBytes    uint64 `json:"appendedBytes"`
	RetentionSeconds int64  `json:"retentionSeconds"`
	DefaultRetention bool   `json:"defaultRetention"`
}

func (p *program) topics(ctx context.Context) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.logs.ListLogs(ctx, connect.NewRequest(&fluxv1.ListLogsRequest{}))
	if err != nil {
		return err
	}
	rows := newTable("log", ">appended", ">bytes", "newest", "kept for")
	for _, info := range answer.Msg.GetLogs() {
		t := topic{
			info.GetLog(), info.GetFirstIndex(), info.GetLastIndex(), info.GetAppendedMessages(), info.GetAppendedBytes(),
			info.GetRetentionSeconds(), info.GetDefaultRetention(),
		}
		if p.json {
			if err := p.out.printJSON(t); err != nil {
				return err
			}
		}
		rows.add(t.Log, count(t.AppendedMessages), size(t.AppendedBytes), newest(t.LastIndex), retentionText(t.RetentionSeconds))
	}
	if p.json {
		return nil
	}
	if len(rows.rows) == 0 {
		return p.err.printf("No logs yet. The first message makes one: flux publish shop.OrderPlaced '{}'\n")
	}
	return rows.write(p.out)
}

func newest(index int64) string {
	if index < 0 {
		return "none"
	}
	return indexTime(index)
}

// daySeconds is how many seconds a day of a retention has.
const daySeconds = 24 * 60 * 60

func retentionText(seconds int64) string {
	switch {
	case seconds < 0:
		return "ever"
	case seconds > 0 && seconds%daySeconds == 0:
		return plural(seconds/daySeconds, "day")
	}
	return (time.Duration(seconds) * time.Second).String()
}

func retentionCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retention LOG KEEP",
		Short: "Set how long messages of a log are kept",
		Long: "Set how long messages of a log are kept: a duration such as 30d or 12h, \"forever\", or \"default\", which is for ever for " +
			"events and documents and 30 days for everything else.\n\n" +
			"With --json, one document: {\"log\",\"retentionSeconds\"}, -1 for ever and 0 for the default.",
		Example: "  flux topics retention command 7d\n  flux topics retention custom/prices forever",
		Args:    cobra.ExactArgs(2),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.setRetention(ctx, args[0], args[1]) }),
	}
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) setRetention(ctx context.Context, logName, keep string) error {
	log, err := parseLog(logName)
	if err != nil {
		return err
	}
	seconds, err := parseRetention(keep)
	if err != nil {
		return usagef("use a duration such as 30d or 12h, forever, or default", "%q is no retention: %w", keep, err)
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	request := connect.NewRequest(&fluxv1.SetRetentionRequest{Log: log.String(), Seconds: seconds})
	if _, err := c.logs.SetRetention(ctx, request); err != nil {
		return err
	}
	if p.json {
		return p.out.printJSON(map[string]any{"log": log.String(), "retentionSeconds": seconds})
	}
	return p.out.printf("Messages of log %s are kept %s.\n", log, keptText(seconds))
}

func keptText(seconds int64) string {
	switch seconds {
	case -1:
		return "for ever"
	case 0:
		return "for the default time"
	}
	return "for " + retentionText(seconds)
}

// parseRetention returns a retention in seconds, -1 for ever and 0 for the default.
func parseRetention(text string) (int64, error) {
	switch text {
	case "forever":
		return -1, nil
	case "default":
		return 0, nil
	}
	if number, found := strings.CutSuffix(text, "d"); found {
		days, err := strconv.ParseInt(number, 10, 32)
		if err != nil || days < 1 {
			return 0, errors.New("days are a positive number")
		}
		return days * daySeconds, nil
	}
	duration, err := time.ParseDuration(text)
	if err == nil && duration < time.Second {
		err = errors.New("the shortest is 1s")
	}
	return int64(duration / time.Second), err
}

// truncateOptions are the flags of topics truncate.
type truncateOptions struct {
	before string
	dryRun bool
}

func truncateCommand(p *program) *cobra.Command {
	var o truncateOptions
	cmd := &cobra.Command{
		Use:   "truncate LOG --before PLACE",
		Short: "Delete the messages of a log before a place",
		Long: "Delete the messages of a log that lie before a place. They are gone for good, for every consumer.\n\n" +
			"A place in a log is " + placeHelp + ".\n\n" +
			"With --json, one document: {\"log\",\"throughIndex\",\"messages\",\"dryRun\"}.",
		Example: "  flux topics truncate command --before 2026-01-31 --dry-run\n  flux topics truncate custom/prices --before now",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.truncate(ctx, args[0], o) }),
	}
	cmd.Flags().StringVar(&o.before, "before", "", "`place` of the first message to keep")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "change nothing, only tell what would be done")
	must(cmd.MarkFlagRequired("before"))
	p.connection(cmd.Flags())
	return cmd
}

// truncated is what a truncation did, as --json writes it.
type truncated struct {
	Log          string `json:"log"`
	ThroughIndex int64  `json:"throughIndex"` // the last one that was deleted
	Messages     int    `json:"messages"`
	DryRun       bool   `json:"dryRun"`
}

func (p *program) truncate(ctx context.Context, logName string, o truncateOptions) error {
	log, err := parseLog(logName)
	if err != nil {
		return err
	}
	before, err := parsePlace(o.before, time.Now())
	if err != nil {
		return err
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	change := truncated{Log: log.String(), ThroughIndex: int64(before) - 1, DryRun: o.dryRun}
	if change.Messages, err = c.countBefore(ctx, log, before); err != nil {
		return err
	}
	if !o.dryRun {
		request := connect.NewRequest(&fluxv1.TruncateRequest{Log: change.Log, ThroughIndex: change.ThroughIndex})
		if _, err := c.logs.Truncate(ctx, request); err != nil {
			return err
		}
	}
	if p.json {
		return p.out.printJSON(change)
	}
	verb := "Deleted"
	if o.dryRun {
		verb = "Would delete"
	}
	text := fmt.Sprintf("%s %s of log %s from before %s", verb, plural(change.Messages, "message"), log, before.Time().Format(timeFormat))
	return p.out.printf("%s.\n", text)
}

// countBefore returns the number of messages of a log before an index.
func (c *client) countBefore(ctx context.Context, log message.Log, before message.Index) (int, error) {
	n := 0
	err := c.read(ctx, log, 0, readOptions{}, func(m *message.Message) (bool, error) {
		if m.Index >= before {
			return false, nil
		}
		n++
		return true, nil
	})
	return n, err
}
