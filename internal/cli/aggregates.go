package cli

import (
	"context"
	"encoding/json"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// pageSize is how much of a list one call asks for.
const pageSize = 1000

func aggregatesCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "aggregates",
		Short: "Look at aggregates and their events, append to them, or delete them",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommands,
	}
	cmd.AddCommand(listAggregatesCommand(p), showAggregateCommand(p), appendEventCommand(p), deleteAggregateCommand(p))
	return cmd
}

// aggregate is an aggregate as --json writes it.
type aggregate struct {
	Aggregate string `json:"aggregate"`
	Events    uint64 `json:"events"`
	Bytes     uint64 `json:"bytes"`
	Changed   string `json:"changed"` // when events were last appended
}

func listAggregatesCommand(p *program) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "List aggregates that have events",
		Long: "List aggregates that have events, those whose ids begin with a prefix or all, in the order of their ids.\n\n" +
			"With --json, one line for each aggregate: {\"aggregate\",\"events\",\"bytes\",\"changed\"}.",
		Example: "  flux aggregates list\n  flux aggregates list order- --limit 0 --json",
		Args:    cobra.MaximumNArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.listAggregates(ctx, optional(args), limit) }),
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "most aggregates to list; 0 lists all")
	p.connection(cmd.Flags())
	return cmd
}

// optional is the argument that may be there.
func optional(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// nextPage returns how much to ask for when so many of a limit were listed, and false when that were enough. A limit of 0 is
// none.
func nextPage(limit, listed int) (int32, bool) {
	if limit == 0 {
		return pageSize, true
	}
	return int32(min(limit-listed, pageSize)), listed < limit
}

func (p *program) listAggregates(ctx context.Context, prefix string, limit int) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	rows := newTable("aggregate", ">events", ">bytes", "changed")
	request := &fluxv1.ListAggregatesRequest{Prefix: prefix}
	for more, listed := true, 0; more; {
		if request.MaxSize, more = nextPage(limit, listed); !more {
			break
		}
		answer, err := c.events.ListAggregates(ctx, connect.NewRequest(request))
		if err != nil {
			return err
		}
		for _, info := range answer.Msg.GetAggregates() {
			a := aggregate{info.GetAggregate(), info.GetEvents(), info.GetBytes(), milli(info.GetChangedAt())}
			if p.json {
				if err := p.out.printJSON(a); err != nil {
					return err
				}
			}
			rows.add(a.Aggregate, count(a.Events), size(a.Bytes), a.Changed)
			request.After, listed = a.Aggregate, listed+1
		}
		more = answer.Msg.GetMore()
	}
	return p.writeList(rows, "No aggregates. One comes into being with its first event.")
}

// writeList writes a table unless its rows were written as JSON, or says that there is nothing.
func (p *program) writeList(rows *table, nothing string) error {
	switch {
	case p.json:
		return nil
	case len(rows.rows) == 0:
		return p.err.printf("%s\n", nothing)
	}
	return rows.write(p.out)
}

func showAggregateCommand(p *program) *cobra.Command {
	var after int64
	cmd := &cobra.Command{
		Use:   "show AGGREGATE",
		Short: "Show the events of an aggregate",
		Long: "Show the events of an aggregate in their order, each with its sequence number.\n\n" +
			"With --json, one line for each event: {\"sequence\"} and what flux read shows of a message, with index -1 when the event " +
			"was stored only.",
		Example: "  flux aggregates show order-7\n  flux aggregates show order-7 --after 99 --json",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.showAggregate(ctx, args[0], after) }),
	}
	cmd.Flags().Int64Var(&after, "after", -1, "sequence `number` after which to begin")
	p.connection(cmd.Flags())
	return cmd
}

// event is an event of an aggregate as --json writes it.
type event struct {
	Sequence int64 `json:"sequence"`
	shown
}

func (p *program) showAggregate(ctx context.Context, id string, after int64) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	log := message.Log{Type: message.Event}
	for more := true; more; {
		request := &fluxv1.GetEventsRequest{Aggregate: id, LastSequence: &after, Raw: true}
		answer, err := c.events.GetEvents(ctx, connect.NewRequest(request))
		if err != nil {
			return err
		}
		first := answer.Msg.GetLastSequence() - int64(len(answer.Msg.GetEvents())) + 1
		for i, raw := range answer.Msg.GetEvents() {
			if err := p.printEvent(event{first + int64(i), show(log, fromProto(raw))}); err != nil {
				return err
			}
		}
		after, more = answer.Msg.GetLastSequence(), answer.Msg.GetMore()
	}
	return nil
}

func (p *program) printEvent(e event) error {
	if p.json {
		return p.out.printJSON(e)
	}
	return p.out.printf("%s  %s  %s  %s\n", p.out.dim(count(e.Sequence)), p.out.dim(e.Created), p.out.bold(e.Type), e.content())
}

// appendOptions are the flags of aggregates append.
type appendOptions struct {
	ifLast    int64
	storeOnly bool
	publishOptions
}

func appendEventCommand(p *program) *cobra.Command {
	var o appendOptions
	cmd := &cobra.Command{
		Use:   "append AGGREGATE TYPE JSON",
		Short: "Append an event to an aggregate",
		Long: "Append an event to the stream of an aggregate, and publish it unless it is to be stored only.\n\n" +
			"With --json, one document: {\"aggregate\",\"sequence\",\"index\"}, with index -1 when the event was stored only.",
		Example: "  flux aggregates append order-7 shop.OrderPlaced '{\"items\":2}' --if-last -1\n" +
			"  flux aggregates append order-7 shop.NoteAdded '{\"text\":\"hurry\"}' --store-only",
		Args: cobra.ExactArgs(3),
		RunE: p.run(func(ctx context.Context, args []string) error { return p.appendEvent(ctx, args, o) }),
	}
	flags := cmd.Flags()
	flags.Int64Var(&o.ifLast, "if-last", -2, "fail unless this is the sequence `number` of the last event; -1 for none")
	flags.BoolVar(&o.storeOnly, "store-only", false, "do not publish the event")
	flags.StringToStringVar(&o.metadata, "meta", nil, "metadata as `name=value`; may be repeated")
	flags.Lookup("if-last").DefValue = "" // whatever it is
	p.connection(flags)
	return cmd
}

func (p *program) appendEvent(ctx context.Context, args []string, o appendOptions) error {
	id, payload := args[0], args[2]
	if !json.Valid([]byte(payload)) {
		return usagef(`quote it for the shell: '{"order":"o-1"}'`, "the payload is not JSON: %s", payload)
	}
	o.key = id
	m, err := newMessage(args[1], o.publishOptions, []byte(payload))
	if err != nil {
		return err
	}
	in := &fluxv1.EventAppend{Aggregate: id, Events: []*fluxv1.Message{m}, StoreOnly: o.storeOnly}
	if o.ifLast >= -1 {
		in.IfLastSequence = &o.ifLast
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.events.AppendEvents(ctx, connect.NewRequest(&fluxv1.AppendEventsRequest{Append: in}))
	if err != nil {
		return err
	}
	sequence, index := answer.Msg.GetFirstSequence(), int64(message.Beginning)
	if answer.Msg.FirstIndex != nil {
		index = answer.Msg.GetFirstIndex()
	}
	if p.json {
		return p.out.printJSON(map[string]any{"aggregate": id, "sequence": sequence, "index": index})
	}
	return p.out.printf("Appended event %d to aggregate %s.\n", sequence, id)
}

func deleteAggregateCommand(p *program) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "delete AGGREGATE",
		Short: "Delete the events of an aggregate",
		Long: "Delete the stream of events of an aggregate, for good. What was published of it stays in the event log.\n\n" +
			"With --json, one document: {\"aggregate\",\"events\",\"dryRun\"}.",
		Example: "  flux aggregates delete order-7 --dry-run\n  flux aggregates delete order-7",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.deleteAggregate(ctx, args[0], dryRun) }),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing, only tell what would be done")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) deleteAggregate(ctx context.Context, id string, dryRun bool) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	var events uint64
	if dryRun {
		events, err = c.countEvents(ctx, id)
	} else {
		var answer *connect.Response[fluxv1.DeleteEventsResponse]
		if answer, err = c.events.DeleteEvents(ctx, connect.NewRequest(&fluxv1.DeleteEventsRequest{Aggregate: id})); err == nil {
			events = answer.Msg.GetDeleted()
		}
	}
	if err != nil {
		return err
	}
	if p.json {
		return p.out.printJSON(map[string]any{"aggregate": id, "events": events, "dryRun": dryRun})
	}
	return p.out.printf("%s %s of aggregate %s.\n", deletedText(dryRun), plural(int(events), "event"), id)
}

func deletedText(dryRun bool) string {
	if dryRun {
		return "Would delete"
	}
	return "Deleted"
}

// countEvents returns how many events an aggregate has.
func (c *client) countEvents(ctx context.Context, id string) (uint64, error) {
	answer, err := c.events.ListAggregates(ctx, connect.NewRequest(&fluxv1.ListAggregatesRequest{Prefix: id, MaxSize: 1}))
	if err != nil {
		return 0, err
	}
	for _, info := range answer.Msg.GetAggregates() {
		if info.GetAggregate() == id {
			return info.GetEvents(), nil
		}
	}
	return 0, nil
}
