package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// publishOptions are the flags of publish.
type publishOptions struct {
	log, file, key, keyField string
	metadata                 map[string]string
}

func publishCommand(p *program) *cobra.Command {
	var o publishOptions
	cmd := &cobra.Command{
		Use:   "publish TYPE [JSON]",
		Short: "Publish messages",
		Long: "Publish a message of a type with a JSON payload. Without a payload, one message is published for each line of " +
			"a file or of the standard input. A message counts as published when it is on the disk of the server.\n\n" +
			"With --json, one line for each message: {\"log\",\"index\"}.",
		Example: "  flux publish shop.OrderPlaced '{\"order\":\"o-1\"}' --key o-1\n" +
			"  flux publish shop.PriceChanged --log custom/prices --file prices.jsonl --key-field product",
		Args: cobra.RangeArgs(1, 2),
		RunE: p.run(func(ctx context.Context, args []string) error { return p.publish(ctx, o, args) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.log, "log", "event", "`log` to publish to")
	flags.StringVarP(&o.file, "file", "f", "-", "`file` with a JSON value on each line; - is the standard input")
	flags.StringVar(&o.key, "key", "", "routing `key`: messages with equal keys are handled in order")
	flags.StringVar(&o.keyField, "key-field", "", "`field` of the payload that has the routing key")
	flags.StringToStringVar(&o.metadata, "meta", nil, "metadata as `name=value`; may be repeated")
	cmd.MarkFlagsMutuallyExclusive("key", "key-field")
	p.connection(flags)
	return cmd
}

func (p *program) publish(ctx context.Context, o publishOptions, args []string) error {
	log, err := parseLog(o.log)
	if err != nil {
		return err
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	lines, bytes, err := p.payloads(o, args)
	if err != nil {
		return err
	}
	defer lines.Close()
	// Ends the reader of lines, too.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	publisher := &publisher{
		program: p, client: c, log: log, maxBytes: 1 << 20,
		progress: newProgress(p.err, "Publishing", bytes, size[int64]),
		message:  func(payload []byte) (*fluxv1.Message, error) { return newMessage(args[0], o, payload) },
	}
	err = publisher.publish(ctx, readLines(ctx, lines))
	publisher.progress.end()
	if err != nil && publisher.count > 0 {
		return fmt.Errorf("%w (published before it: %s)", err, plural(publisher.count, "message"))
	}
	if err != nil || p.json {
		return err
	}
	return p.out.printf("%s\n", publisher.summary())
}

// payloads returns the JSON values to publish, one on each line, and their size in bytes, 0 if that is unknown.
func (p *program) payloads(o publishOptions, args []string) (io.ReadCloser, int64, error) {
	if len(args) == 2 {
		value := args[1]
		if !json.Valid([]byte(value)) {
			return nil, 0, usagef(`quote it for the shell: '{"order":"o-1"}'`, "the payload is not JSON: %s", value)
		}
		return io.NopCloser(strings.NewReader(strings.ReplaceAll(value, "\n", " "))), 0, nil
	}
	if o.file == "-" {
		if newScreen(asWriter(p.in)).terminal {
			_ = p.err.printf("One JSON value on each line; end with Ctrl-D.\n")
		}
		return io.NopCloser(p.in), 0, nil
	}
	file, err := os.Open(o.file)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// asWriter returns a file for what newScreen wants to know about it.
func asWriter(r io.Reader) io.Writer {
	file, _ := r.(*os.File)
	return file
}

// newMessage returns the message with a payload.
func newMessage(typeName string, o publishOptions, payload []byte) (*fluxv1.Message, error) {
	m := &fluxv1.Message{
		Type: typeName, Payload: &fluxv1.Message_Data{Data: payload}, Metadata: o.metadata, Key: o.key,
	}
	if o.keyField == "" {
		return m, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(payload, &fields); err != nil || fields[o.keyField] == nil {
		return nil, fmt.Errorf("no field %q in %.100s", o.keyField, payload)
	}
	if err := json.Unmarshal(fields[o.keyField], &m.Key); err != nil {
		m.Key = string(fields[o.keyField]) // a number, for example
	}
	return m, nil
}

// A line is one line of input, or why there are no more.
type line struct {
	number int
	text   []byte
	err    error
}

// readLines reads lines that are not empty until the end of the input or of ctx.
func readLines(ctx context.Context, input io.Reader) <-chan line {
	lines := make(chan line, 1024)
	go func() {
		defer close(lines)
		reader := bufio.NewReaderSize(input, 64<<10)
		for number := 1; ; number++ {
			text, err := reader.ReadBytes('\n')
			if len(strings.TrimSpace(string(text))) > 0 {
				select {
				case lines <- line{number: number, text: text}:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				if err != io.EOF {
					lines <- line{err: err}
				}
				return
			}
		}
	}()
	return lines
}

// publisher publishes lines in calls of many, so that it is fast, that never wait for a line, so that it is prompt.
type publisher struct {
	program  *program
	client   *client
	log      message.Log
	maxBytes int
	progress *progress
	message  func(payload []byte) (*fluxv1.Message, error)

	pending      []*fluxv1.Message
	pendingBytes int
	sentBytes    int64
	count        int
	first, last  int64
}

// maxPending is the largest number of messages in one call.
const maxPending = 1000

func (s *publisher) publish(ctx context.Context, lines <-chan line) error {
	for {
		var next line
		var more bool
		select {
		case next, more = <-lines:
		default: // nothing more at the moment
			if err := s.flush(ctx); err != nil {
				return err
			}
			select {
			case next, more = <-lines:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if !more {
			return s.flush(ctx)
		}
		if err := s.add(next); err != nil {
			return errors.Join(s.flush(ctx), err)
		}
		if len(s.pending) >= maxPending || s.pendingBytes >= s.maxBytes {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// add makes a message of a line.
func (s *publisher) add(next line) error {
	if next.err != nil {
		return next.err
	}
	payload := []byte(strings.TrimSpace(string(next.text)))
	if !json.Valid(payload) {
		return fmt.Errorf("line %d is not JSON: %.100s", next.number, payload)
	}
	m, err := s.message(payload)
	if err != nil {
		return fmt.Errorf("line %d: %w", next.number, err)
	}
	s.pending = append(s.pending, m)
	s.pendingBytes += len(next.text)
	return nil
}

// flush publishes what is pending and tells about it.
func (s *publisher) flush(ctx context.Context) error {
	if len(s.pending) == 0 {
		return nil
	}
	answer, err := s.client.logs.Append(ctx, connect.NewRequest(&fluxv1.AppendRequest{Log: s.log.String(), Messages: s.pending}))
	if err != nil {
		return err
	}
	indexes := answer.Msg.GetIndexes()
	if s.count == 0 {
		s.first = indexes[0]
	}
	s.last = indexes[len(indexes)-1]
	s.count += len(indexes)
	s.sentBytes += int64(s.pendingBytes)
	s.progress.set(s.sentBytes)
	s.pending, s.pendingBytes = s.pending[:0], 0
	if !s.program.json {
		return nil
	}
	for _, index := range indexes {
		if err := s.program.out.printJSON(stored{s.log.String(), index}); err != nil {
			return err
		}
	}
	return nil
}

// stored is where a message was put.
type stored struct {
	Log   string `json:"log"`
	Index int64  `json:"index"`
}

func (s *publisher) summary() string {
	switch s.count {
	case 0:
		return "Nothing to publish."
	case 1:
		return fmt.Sprintf("Published 1 message to %s, index %d.", s.log, s.first)
	}
	return fmt.Sprintf("Published %s to %s, indexes %d to %d.", plural(s.count, "message"), s.log, s.first, s.last)
}
