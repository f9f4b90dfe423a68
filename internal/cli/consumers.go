package cli

import (
	"context"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

func consumersCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "consumers",
		Short: "Look at consumers, or move them to another place",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommands,
	}
	cmd.AddCommand(listConsumersCommand(p), showConsumerCommand(p), resetConsumerCommand(p))
	return cmd
}

func listConsumersCommand(p *program) *cobra.Command {
	var log string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List consumers",
		Long: "List the consumers of a log, or of all logs, with the number of their trackers and the time up to which they have " +
			"handled everything.\n\n" +
			"With --json, one line for each consumer: {\"log\",\"consumer\",\"lastIndex\",\"position\",\"trackers\"}.",
		Example: "  flux consumers list\n  flux consumers list --log command --json",
		Args:    cobra.NoArgs,
		RunE:    p.run(func(ctx context.Context, _ []string) error { return p.listConsumers(ctx, log) }),
	}
	cmd.Flags().StringVar(&log, "log", "", "`log` of the consumers; all logs by default")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) listConsumers(ctx context.Context, log string) error {
	if log != "" {
		if _, err := parseLog(log); err != nil {
			return err
		}
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.tracking.ListConsumers(ctx, connect.NewRequest(&fluxv1.ListConsumersRequest{Log: log}))
	if err != nil {
		return err
	}
	rows := newTable("log", "consumer", ">trackers", "handled up to")
	for _, raw := range answer.Msg.GetConsumers() {
		consumer := showConsumer(raw)
		if p.json {
			if err := p.out.printJSON(consumer); err != nil {
				return err
			}
		}
		rows.add(consumer.Log, consumer.Consumer, count(len(consumer.Trackers)), indexTime(consumer.LastIndex))
	}
	if p.json {
		return nil
	}
	if len(rows.rows) == 0 {
		return p.err.printf("No consumers yet. One comes into being when a service handles messages.\n")
	}
	return rows.write(p.out)
}

func showConsumerCommand(p *program) *cobra.Command {
	var log string
	cmd := &cobra.Command{
		Use:   "show CONSUMER",
		Short: "Show a consumer with its trackers and its lag",
		Long: "Show a consumer: its trackers, the segments each of them has, and for each range of segments how far it has come and " +
			"how much is waiting.\n\n" +
			"With --json, one document: {\"log\",\"consumer\",\"lastIndex\",\"position\",\"trackers\",\"lag\"}.",
		Example: "  flux consumers show reports\n  flux consumers show billing --log command --json",
		Args:    cobra.ExactArgs(1),
		RunE: p.run(func(ctx context.Context, args []string) error {
			consumer, err := p.consumer(ctx, log, args[0])
			if err != nil {
				return err
			}
			if p.json {
				return p.out.printJSON(consumer)
			}
			return consumer.write(p.out)
		}),
	}
	cmd.Flags().StringVar(&log, "log", "event", "`log` of the consumer")
	p.connection(cmd.Flags())
	return cmd
}
