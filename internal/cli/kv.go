package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

func kvCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kv",
		Short: "Put, get, list and delete values under keys",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommands,
	}
	cmd.AddCommand(putValueCommand(p), getValueCommand(p), listValuesCommand(p), deleteValueCommand(p))
	return cmd
}

// keyValue is a value as --json writes it.
type keyValue struct {
	Key      string          `json:"key"`
	Type     string          `json:"type,omitempty"`
	Revision int32           `json:"revision,omitempty"`
	Format   string          `json:"format,omitempty"`
	Value    json.RawMessage `json:"value,omitempty"` // when it is JSON
	Text     string          `json:"text,omitempty"`  // when it is UTF-8, but not JSON
	Data     []byte          `json:"data,omitempty"`  // when it is neither
}

// valueNote describes the JSON form of values.
const valueNote = `{"key","type","revision","format","value"}, without what is empty; "text" or "data" (base64) takes the place of ` +
	`"value" when that is not JSON.`

// showValue returns what to show of a value, and its data on one line.
func showValue(item *fluxv1.Item) (keyValue, string) {
	v := item.GetValue()
	s := show(message.Log{}, &message.Message{Format: v.GetFormat(), Payload: v.GetData()})
	return keyValue{item.GetKey(), v.GetType(), v.GetRevision(), v.GetFormat(), s.Payload, s.Text, s.Data}, s.content()
}

// putOptions are the flags of kv put.
type putOptions struct {
	typeName string
	ifAbsent bool
}

func putValueCommand(p *program) *cobra.Command {
	var o putOptions
	cmd := &cobra.Command{
		Use:   "put KEY JSON",
		Short: "Put a JSON value under a key",
		Long: "Put a JSON value under a key, over the one that may be there.\n\n" +
			"With --json, one document: {\"key\",\"stored\"}.",
		Example: "  flux kv put limits/order '{\"max\":100}'\n  flux kv put leader '\"me\"' --if-absent",
		Args:    cobra.ExactArgs(2),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.putValue(ctx, args[0], args[1], o) }),
	}
	cmd.Flags().StringVar(&o.typeName, "type", "", "name of the `type` of the value")
	cmd.Flags().BoolVar(&o.ifAbsent, "if-absent", false, "leave a value that is there as it is, and fail")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) putValue(ctx context.Context, key, value string, o putOptions) error {
	if !json.Valid([]byte(value)) {
		return usagef(`quote it for the shell: '{"max":100}'`, "the value is not JSON: %s", value)
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	put := &fluxv1.ValuePut{
		Key: key, IfAbsent: o.ifAbsent,
		Value: &fluxv1.Value{Type: o.typeName, Payload: &fluxv1.Value_Data{Data: []byte(value)}},
	}
	answer, err := c.values.PutValue(ctx, connect.NewRequest(&fluxv1.PutValueRequest{Put: put}))
	if err != nil {
		return err
	}
	if !answer.Msg.GetStored() {
		return fmt.Errorf("key %s has a value already", key)
	}
	if p.json {
		return p.out.printJSON(map[string]any{"key": key, "stored": true})
	}
	return p.out.printf("Put a value of %s under %s.\n", plural(len(value), "byte"), key)
}

func getValueCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get KEY",
		Short:   "Get the value of a key",
		Long:    "Get the value of a key; it is an error if there is none.\n\nWith --json, one document: " + valueNote,
		Example: "  flux kv get limits/order\n  flux kv get limits/order --json",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.getValue(ctx, args[0]) }),
	}
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) getValue(ctx context.Context, key string) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.values.GetValues(ctx, connect.NewRequest(&fluxv1.GetValuesRequest{Keys: []string{key}, Raw: true}))
	if err != nil {
		return err
	}
	item := answer.Msg.GetValues()[0]
	if item.GetValue() == nil {
		return fmt.Errorf("key %s has no value", key)
	}
	value, text := showValue(item)
	if p.json {
		return p.out.printJSON(value)
	}
	return p.out.printf("%s\n", text)
}

func listValuesCommand(p *program) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "List values",
		Long: "List the values whose keys begin with a prefix, or all, in the order of their keys.\n\n" +
			"With --json, one line for each value: " + valueNote,
		Example: "  flux kv list\n  flux kv list limits/ --json",
		Args:    cobra.MaximumNArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.listValues(ctx, optional(args), limit) }),
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "most values to list; 0 lists all")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) listValues(ctx context.Context, prefix string, limit int) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	rows := newTable("key", "type", "value")
	request := &fluxv1.ListValuesRequest{Prefix: prefix, Raw: true}
	for more, listed := true, 0; more; {
		if request.MaxSize, more = nextPage(limit, listed); !more {
			break
		}
		answer, err := c.values.ListValues(ctx, connect.NewRequest(request))
		if err != nil {
			return err
		}
		for _, item := range answer.Msg.GetValues() {
			value, text := showValue(item)
			if p.json {
				if err := p.out.printJSON(value); err != nil {
					return err
				}
			}
			rows.add(value.Key, value.Type, text)
			request.After, listed = value.Key, listed+1
		}
		more = answer.Msg.GetMore()
	}
	return p.writeList(rows, "No values. To put one: flux kv put KEY JSON")
}

func deleteValueCommand(p *program) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "delete KEY",
		Short: "Delete the value of a key",
		Long: "Delete the value of a key; it is an error if there is none.\n\n" +
			"With --json, one document: {\"key\",\"dryRun\"}.",
		Example: "  flux kv delete limits/order --dry-run\n  flux kv delete limits/order",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.deleteValue(ctx, args[0], dryRun) }),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing, only tell what would be done")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) deleteValue(ctx context.Context, key string, dryRun bool) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	found := false
	if dryRun {
		var answer *connect.Response[fluxv1.GetValuesResponse]
		if answer, err = c.values.GetValues(ctx, connect.NewRequest(&fluxv1.GetValuesRequest{Keys: []string{key}})); err == nil {
			found = answer.Msg.GetValues()[0].GetValue() != nil
		}
	} else {
		var answer *connect.Response[fluxv1.DeleteValueResponse]
		if answer, err = c.values.DeleteValue(ctx, connect.NewRequest(&fluxv1.DeleteValueRequest{Key: key})); err == nil {
			found = answer.Msg.GetDeleted()
		}
	}
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("key %s has no value", key)
	case p.json:
		return p.out.printJSON(map[string]any{"key": key, "dryRun": dryRun})
	}
	return p.out.printf("%s the value of %s.\n", deletedText(dryRun), key)
}
