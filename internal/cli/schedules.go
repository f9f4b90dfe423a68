package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

func schedulesCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedules",
		Short: "Schedule messages, look at those that are pending, or cancel them",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommands,
	}
	cmd.AddCommand(putScheduleCommand(p), listSchedulesCommand(p), showScheduleCommand(p), cancelScheduleCommand(p))
	return cmd
}

// pending is a schedule as --json writes it.
type pending struct {
	ID  string `json:"scheduleId"`
	Due string `json:"due"`
	shown
}

// pendingNote describes the JSON form of schedules.
const pendingNote = `{"scheduleId","due"} and what flux read shows of a message, with the index that it will have at the earliest.`

func showPending(in *fluxv1.PendingSchedule) pending {
	return pending{in.GetScheduleId(), milli(in.GetDue()), show(message.Log{Type: message.Schedule}, fromProto(in.GetMessage()))}
}

// scheduleOptions are the flags of schedules put.
type scheduleOptions struct {
	in       time.Duration
	at       string
	ifAbsent bool
	publishOptions
}

func putScheduleCommand(p *program) *cobra.Command {
	var o scheduleOptions
	cmd := &cobra.Command{
		Use:   "put ID TYPE JSON",
		Short: "Schedule a message",
		Long: "Schedule a message of a type with a JSON payload, in place of the pending schedule with the same id. It appears in the log " +
			"\"schedule\" after a delay or at a time, such as 2026-01-31T12:00:00Z.\n\n" +
			"With --json, one document: {\"scheduleId\",\"due\"}.",
		Example: "  flux schedules put feedback-7 shop.AskForFeedback '{\"order\":\"o-7\"}' --in 48h\n" +
			"  flux schedules put newyear shop.Fireworks '{}' --at 2027-01-01T00:00:00Z --if-absent",
		Args: cobra.ExactArgs(3),
		RunE: p.run(func(ctx context.Context, args []string) error { return p.putSchedule(ctx, args, o) }),
	}
	flags := cmd.Flags()
	flags.DurationVar(&o.in, "in", 0, "`delay` from now on")
	flags.StringVar(&o.at, "at", "", "`time` at which the message is due")
	flags.BoolVar(&o.ifAbsent, "if-absent", false, "leave a pending schedule with the id as it is, and fail")
	flags.StringVar(&o.key, "key", "", "routing `key`: messages with equal keys are handled in order")
	flags.StringToStringVar(&o.metadata, "meta", nil, "metadata as `name=value`; may be repeated")
	cmd.MarkFlagsOneRequired("in", "at")
	cmd.MarkFlagsMutuallyExclusive("in", "at")
	p.connection(flags)
	return cmd
}

func (p *program) putSchedule(ctx context.Context, args []string, o scheduleOptions) error {
	id, typeName, payload := args[0], args[1], args[2]
	if !json.Valid([]byte(payload)) {
		return usagef(`quote it for the shell: '{"order":"o-1"}'`, "the payload is not JSON: %s", payload)
	}
	m, err := newMessage(typeName, o.publishOptions, []byte(payload))
	if err != nil {
		return err
	}
	put := &fluxv1.SchedulePut{ScheduleId: id, Message: m, IfAbsent: o.ifAbsent}
	if err := o.setTime(put); err != nil {
		return err
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.schedules.Schedule(ctx, connect.NewRequest(&fluxv1.ScheduleRequest{Schedule: put}))
	if err != nil {
		return err
	}
	if !answer.Msg.GetStored() {
		return fmt.Errorf("schedule %s is pending already", id)
	}
	due := milli(answer.Msg.GetDue())
	if p.json {
		return p.out.printJSON(map[string]string{"scheduleId": id, "due": due})
	}
	return p.out.printf("Schedule %s is due at %s.\n", id, due)
}

func (o scheduleOptions) setTime(put *fluxv1.SchedulePut) error {
	if o.at == "" {
		put.When = &fluxv1.SchedulePut_AfterMs{AfterMs: o.in.Milliseconds()}
		return nil
	}
	at, err := time.Parse(time.RFC3339, o.at)
	if err != nil {
		return usagef("a time is like 2026-01-31T12:00:00Z", "%q is no time", o.at)
	}
	put.When = &fluxv1.SchedulePut_At{At: at.UnixMilli()}
	return nil
}

func listSchedulesCommand(p *program) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List pending schedules",
		Long:    "List pending schedules in the order in which they are due.\n\nWith --json, one line for each schedule: " + pendingNote,
		Example: "  flux schedules list\n  flux schedules list --limit 0 --json",
		Args:    cobra.NoArgs,
		RunE:    p.run(func(ctx context.Context, _ []string) error { return p.listSchedules(ctx, limit) }),
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "most schedules to list; 0 lists all")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) listSchedules(ctx context.Context, limit int) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	rows := newTable("schedule", "due", "type", "payload")
	request := &fluxv1.ListSchedulesRequest{Raw: true}
	for more, listed := true, 0; more; {
		if request.MaxSize, more = nextPage(limit, listed); !more {
			break
		}
		answer, err := c.schedules.ListSchedules(ctx, connect.NewRequest(request))
		if err != nil {
			return err
		}
		for _, in := range answer.Msg.GetSchedules() {
			s := showPending(in)
			if p.json {
				if err := p.out.printJSON(s); err != nil {
					return err
				}
			}
			rows.add(s.ID, s.Due, s.Type, s.content())
			request.After, listed = &fluxv1.PendingSchedule{ScheduleId: in.GetScheduleId(), Due: in.GetDue()}, listed+1
		}
		more = answer.Msg.GetMore()
	}
	return p.writeList(rows, "No schedules are pending.")
}

func showScheduleCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a pending schedule",
		Long:    "Show a pending schedule; it is an error if there is none.\n\nWith --json, one document: " + pendingNote,
		Example: "  flux schedules show feedback-7\n  flux schedules show feedback-7 --json",
		Args:    cobra.ExactArgs(1),
		RunE: p.run(func(ctx context.Context, args []string) error {
			s, err := p.schedule(ctx, args[0])
			if err != nil {
				return err
			}
			if p.json {
				return p.out.printJSON(s)
			}
			return p.out.printf("%s  %s  %s\n", p.out.dim(s.Due), p.out.bold(s.Type), s.content())
		}),
	}
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) schedule(ctx context.Context, id string) (pending, error) {
	c, err := p.dial()
	if err != nil {
		return pending{}, err
	}
	answer, err := c.schedules.GetSchedule(ctx, connect.NewRequest(&fluxv1.GetScheduleRequest{ScheduleId: id, Raw: true}))
	if err != nil {
		return pending{}, err
	}
	return showPending(answer.Msg.GetSchedule()), nil
}

func cancelScheduleCommand(p *program) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel a pending schedule",
		Long: "Cancel a pending schedule; it is an error if there is none.\n\n" +
			"With --json, one document: {\"scheduleId\",\"dryRun\"}.",
		Example: "  flux schedules cancel feedback-7 --dry-run\n  flux schedules cancel feedback-7",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.cancelSchedule(ctx, args[0], dryRun) }),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing, only tell what would be done")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) cancelSchedule(ctx context.Context, id string, dryRun bool) error {
	s, err := p.schedule(ctx, id)
	if err != nil {
		return err
	}
	if !dryRun {
		c, err := p.dial()
		if err != nil {
			return err
		}
		answer, err := c.schedules.CancelSchedule(ctx, connect.NewRequest(&fluxv1.CancelScheduleRequest{ScheduleId: id}))
		if err != nil {
			return err
		}
		if !answer.Msg.GetCanceled() {
			return fmt.Errorf("schedule %s is not pending any more", id)
		}
	}
	if p.json {
		return p.out.printJSON(map[string]any{"scheduleId": id, "dryRun": dryRun})
	}
	verb := "Canceled"
	if dryRun {
		verb = "Would cancel"
	}
	return p.out.printf("%s schedule %s, due at %s.\n", verb, id, s.Due)
}
