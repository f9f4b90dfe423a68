package cli

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// resetOptions are the flags of consumers reset.
type resetOptions struct {
	log, to string
	dryRun  bool
}

func resetConsumerCommand(p *program) *cobra.Command {
	var o resetOptions
	cmd := &cobra.Command{
		Use:   "reset CONSUMER --to PLACE",
		Short: "Move a consumer backward or forward in its log",
		Long: "Move a consumer to a place in its log: what it handles next is the first message at or after that place. What lies between " +
			"is handled again, or skipped.\n\n" +
			"A place in a log is " + placeHelp + ".\n\n" +
			"With --json, one document: {\"log\",\"consumer\",\"from\",\"to\",\"dryRun\"}, where \"from\" and \"to\" are last indexes.",
		Example: "  flux consumers reset reports --to beginning --dry-run\n  flux consumers reset reports --to 2026-01-31T12:00:00Z",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.resetConsumer(ctx, args[0], o) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.log, "log", "event", "`log` of the consumer")
	flags.StringVar(&o.to, "to", "", "`place` to move to")
	flags.BoolVar(&o.dryRun, "dry-run", false, "change nothing, only tell what would be done")
	must(cmd.MarkFlagRequired("to"))
	p.connection(flags)
	return cmd
}

// moved is what a reset did, as --json writes it.
type moved struct {
	Log      string `json:"log"`
	Consumer string `json:"consumer"`
	From     int64  `json:"from"`
	To       int64  `json:"to"`
	DryRun   bool   `json:"dryRun"`
}

func (p *program) resetConsumer(ctx context.Context, name string, o resetOptions) error {
	to, err := parsePlace(o.to, time.Now())
	if err != nil {
		return err
	}
	before, err := p.consumer(ctx, o.log, name)
	if err != nil {
		return err
	}
	change := moved{Log: before.Log, Consumer: name, From: before.LastIndex, To: int64(to) - 1, DryRun: o.dryRun}
	if !o.dryRun {
		if change.To, err = p.reset(ctx, change); err != nil {
			return err
		}
	}
	if p.json {
		return p.out.printJSON(change)
	}
	return p.out.printf("%s\n", change)
}

// reset moves the consumer and returns the last index it is at.
func (p *program) reset(ctx context.Context, change moved) (int64, error) {
	c, err := p.dial()
	if err != nil {
		return 0, err
	}
	answer, err := c.tracking.ResetPosition(ctx, connect.NewRequest(&fluxv1.ResetPositionRequest{
		Log: change.Log, Consumer: change.Consumer, To: &fluxv1.ResetPositionRequest_LastIndex{LastIndex: change.To},
	}))
	if err != nil {
		return 0, err
	}
	return answer.Msg.GetLastIndex(), nil
}

func (m moved) String() string {
	verb, effect := "Moved", "What lies between is skipped."
	if m.DryRun {
		verb, effect = "Would move", "What lies between would be skipped."
	}
	if m.To < m.From {
		effect = "What lies between is handled again."
		if m.DryRun {
			effect = "What lies between would be handled again."
		}
	}
	return fmt.Sprintf("%s %s of log %s from %s to %s. %s", verb, m.Consumer, m.Log, indexTime(m.From), indexTime(m.To), effect)
}
