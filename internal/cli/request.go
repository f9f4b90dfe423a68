package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/flux-go/flux"
	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// requestOptions are the flags of request.
type requestOptions struct {
	publishOptions
	timeout time.Duration
}

func requestCommand(p *program) *cobra.Command {
	var o requestOptions
	cmd := &cobra.Command{
		Use:   "request TYPE [JSON]",
		Short: "Send a command or a query and write the answer",
		Long: "Send a command or a query with a JSON payload, which is {} by default, and write the payload of the answer as JSON. " +
			"An answer that is an error ends the program with exit code 1.\n\n" +
			"With --json, one document: the whole answer as a message, with the fields that flux read --json writes.",
		Example: "  flux request shop.PlaceOrder '{\"order\":\"o-1\"}' --key o-1\n" +
			"  flux request shop.GetOrders --log query --timeout 5s",
		Args: cobra.RangeArgs(1, 2),
		RunE: p.run(func(ctx context.Context, args []string) error { return p.request(ctx, o, args) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.log, "log", "command", "`log` of the request: command, query or custom/TOPIC")
	flags.StringVar(&o.key, "key", "", "routing `key`: messages with equal keys are handled in order")
	flags.StringToStringVar(&o.metadata, "meta", nil, "metadata as `name=value`; may be repeated")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "longest wait for the answer")
	p.connection(flags)
	return cmd
}

func (p *program) request(ctx context.Context, o requestOptions, args []string) error {
	log, err := parseLog(o.log)
	if err != nil {
		return err
	}
	payload := "{}"
	if len(args) == 2 {
		payload = args[1]
	}
	if !json.Valid([]byte(payload)) {
		return usagef(`quote it for the shell: '{"order":"o-1"}'`, "the payload is not JSON: %s", payload)
	}
	m, err := newMessage(args[0], o.publishOptions, []byte(payload))
	if err != nil {
		return err
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.logs.Request(ctx, connect.NewRequest(&fluxv1.RequestRequest{
		Log: log.String(), Message: m, TimeoutMs: max(1, o.timeout.Milliseconds()), Raw: true,
	}))
	if err != nil {
		return err
	}
	return p.answer(fromProto(answer.Msg.GetResult()))
}

// answer writes the answer to a request. One that is an error is an error here, too.
func (p *program) answer(m *message.Message) error {
	answer := show(message.Log{Type: message.Result}, m)
	switch {
	case p.json:
		if err := p.out.printJSON(answer); err != nil || m.Type != errorType {
			return err
		}
	case m.Type != errorType:
		return p.out.printf("%s\n", answer.content())
	}
	failure := new(flux.Error)
	if err := json.Unmarshal(m.Payload, failure); err != nil {
		return fmt.Errorf("answer %s is malformed: %w", m.Payload, err)
	}
	return fmt.Errorf("%s (%s)", failure.Message, failure.Code)
}

// errorType is the type of answers that are a flux.Error.
const errorType = "flux.Error"
