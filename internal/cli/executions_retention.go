package cli

import (
	"context"
	"errors"
	"strconv"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

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
		if r.Executions, err = parseLimit(o.number, parseCount); err != nil {
			return usagef("use a number such as 100000, unlimited, or default", "%q is no number of executions", o.number)
		}
	}
	if o.bytes != "" {
		if r.Bytes, err = parseLimit(o.bytes, parseBytes); err != nil {
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

func parseCount(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }

func parseBytes(text string) (int64, error) {
	var n byteSize
	err := n.Set(text)
	return int64(n), err
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
