package cli

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// readOptions are the flags of read.
type readOptions struct {
	from, typeFilter string
	limit            int
}

func readCommand(p *program) *cobra.Command {
	var o readOptions
	cmd := &cobra.Command{
		Use:   "read [LOG]",
		Short: "Read messages of a log from an index or a time on",
		Long: "Read messages of a log, by default the first hundred events, in the order of their indexes. It ends at the end of the log; " +
			"to wait for more, see flux tail.\n\n" +
			"A place in a log is " + placeHelp + ".\n\n" + messageNote,
		Example: "  flux read event --from 15m\n  flux read custom/prices --type 'shop\\..*' --limit 0 --json",
		Args:    cobra.MaximumNArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.read(ctx, logArgument(args), o) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.from, "from", "beginning", "`place` of the first message")
	flags.IntVar(&o.limit, "limit", 100, "most messages to read; 0 reads all")
	flags.StringVar(&o.typeFilter, "type", "", "`regular expression` that the whole type must match")
	p.connection(flags)
	return cmd
}

// messageNote describes the JSON form of messages.
const messageNote = `With --json, one line for each message: {"log","index","time","type","revision","id","segment","created","source",` +
	`"target","requestId","metadata","format","payload"}, without what is empty; "text" or "data" (base64) takes the place of ` +
	`"payload" when that is not JSON.`

// logArgument is the log that the arguments name, which is that of events unless they do.
func logArgument(args []string) string {
	if len(args) == 0 {
		return message.Event.String()
	}
	return args[0]
}

func (p *program) read(ctx context.Context, logName string, o readOptions) error {
	log, err := parseLog(logName)
	if err != nil {
		return err
	}
	from, err := parsePlace(o.from, time.Now())
	if err != nil {
		return err
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	left := o.limit
	return c.read(ctx, log, from, o, func(m *message.Message) (bool, error) {
		left--
		return left != 0, p.print(show(log, m))
	})
}

// maxRead is the largest number of messages that one call returns.
const maxRead = 10_000

// read calls f with the messages of a log from an index on until its end, or until f does not want more.
func (c *client) read(
	ctx context.Context, log message.Log, from message.Index, o readOptions, f func(*message.Message) (more bool, err error),
) error {
	request := &fluxv1.ReadRequest{Log: log.String(), MaxSize: maxRead, TypeFilter: o.typeFilter, Raw: true}
	if o.limit > 0 {
		request.MaxSize = int32(min(o.limit, maxRead))
	}
	for {
		request.Start = &fluxv1.ReadRequest_MinIndex{MinIndex: int64(from)}
		answer, err := c.logs.Read(ctx, connect.NewRequest(request))
		if err != nil {
			return err
		}
		for _, raw := range answer.Msg.GetMessages() {
			if more, err := f(fromProto(raw)); err != nil || !more {
				return err
			}
		}
		if answer.Msg.GetCaughtUp() {
			return nil
		}
		from = message.Index(answer.Msg.GetNextIndex())
	}
}
