package native

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// Bounds of one Read.
const (
	defaultReadSize = 100
	maxReadSize     = 10_000
	// maxReadBytes bounds the payloads of an answer, except for its first message.
	maxReadBytes = 8 << 20
	// maxExaminedBytes bounds the blocks that are searched for messages that pass the filter.
	maxExaminedBytes = 64 << 20
	// readStepBytes is how much is read at a time.
	readStepBytes = 1 << 20
)

// Read serves the procedure of this name.
func (s logService) Read(
	ctx context.Context, r *connect.Request[fluxv1.ReadRequest],
) (*connect.Response[fluxv1.ReadResponse], error) {
	read, err := s.newReading(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	if err := read.run(ctx); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.ReadResponse{
		Messages: read.messages, NextIndex: int64(read.after) + 1, CaughtUp: read.caughtUp,
	}), nil
}

// reading is a Read under way.
type reading struct {
	logs   *messagelog.Logs
	ns     message.Namespace
	log    message.Log
	types  *regexp.Regexp // nil for all
	size   int
	bytes  int // of payloads still to take
	raw    bool
	blocks message.BlockReader
	decode []message.Message

	after    message.Index // what was examined
	messages []*fluxv1.Message
	caughtUp bool
}

func (s *Service) newReading(ctx context.Context, in *fluxv1.ReadRequest) (*reading, error) {
	log, err := parseLog(in.GetLog())
	if err != nil {
		return nil, err
	}
	types, err := parseTypeFilter(in.GetTypeFilter())
	if err != nil {
		return nil, err
	}
	size := int(in.GetMaxSize())
	if size == 0 {
		size = defaultReadSize
	}
	if size < 0 || size > maxReadSize {
		return nil, invalid("max_size %d: use 1 to %d", size, maxReadSize)
	}
	after, err := startOf(in)
	return &reading{
		logs: s.logs, ns: namespaceOf(ctx), log: log, types: types, size: size, bytes: maxReadBytes, raw: in.GetRaw(),
		after: after,
	}, err
}

// startOf returns the index after which to read.
func startOf(in *fluxv1.ReadRequest) (message.Index, error) {
	switch start := in.GetStart().(type) {
	case *fluxv1.ReadRequest_MinIndex:
		return max(message.Index(start.MinIndex), 0) - 1, nil
	case *fluxv1.ReadRequest_Since:
		at, err := indexAtMilli(start.Since)
		return at - 1, err
	}
	return message.Beginning, nil
}

// indexAtMilli is message.IndexAtMilli for times from outside.
func indexAtMilli(milli int64) (message.Index, error) {
	const maxMilli = 1<<46 - 1 // the year 4199
	if milli < 0 || milli > maxMilli {
		return 0, invalid("time %d: use milliseconds since 1970, such as %d for now", milli, time.Now().UnixMilli())
	}
	return message.IndexAtMilli(milli), nil
}

// parseTypeFilter returns the filter for whole types, or nil for the empty one.
func parseTypeFilter(filter string) (*regexp.Regexp, error) {
	if filter == "" {
		return nil, nil
	}
	if _, err := regexp.Compile(filter); err != nil {
		return nil, invalid("type filter: %v", err)
	}
	return regexp.MustCompile("^(?:" + filter + ")$"), nil
}

func (r *reading) run(ctx context.Context) error {
	for examined := 0; len(r.messages) < r.size && r.bytes > 0 && examined < maxExaminedBytes; {
		if err := ctx.Err(); err != nil {
			return err
		}
		limit := messagelog.Limit{Messages: r.size - len(r.messages), Bytes: min(readStepBytes, maxExaminedBytes-examined)}
		entries, err := r.logs.Read(r.ns, r.log, r.after, limit)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			r.caughtUp = true
			return nil
		}
		for _, e := range entries {
			examined += len(e.Blocks)
			if more, err := r.take(e); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// take adds the messages of an entry, and returns false when that were enough.
func (r *reading) take(e messagelog.Entry) (more bool, err error) {
	first := e.First
	r.after = max(r.after, first+message.Index(e.Skip)-1)
	for block, err := range message.Blocks(e.Blocks) {
		next := first + message.Index(block.Span())
		if err == nil && next > r.after+1 {
			r.decode, err = r.blocks.AppendMessages(r.decode[:0], block, first)
		}
		if err != nil {
			return false, fmt.Errorf("%w: log %s at index %d: %w", engine.ErrCorrupt, r.log, first, err)
		}
		if next > r.after+1 && !r.takeMessages() {
			return false, nil
		}
		first = next
	}
	return true, nil
}

// takeMessages adds what is wanted of the decoded messages, and returns false when that were enough.
func (r *reading) takeMessages() bool {
	for i := range r.decode {
		m := &r.decode[i]
		if m.Index <= r.after {
			continue
		}
		if len(r.messages) == r.size || r.bytes <= 0 {
			return false
		}
		r.after = m.Index
		if r.types == nil || m.Type == "" || r.types.MatchString(m.Type) {
			r.messages = append(r.messages, writeMessage(m, r.raw))
			r.bytes -= len(m.Payload)
		}
	}
	return true
}

// ListLogs serves the procedure of this name.
func (s logService) ListLogs(
	ctx context.Context, _ *connect.Request[fluxv1.ListLogsRequest],
) (*connect.Response[fluxv1.ListLogsResponse], error) {
	ns := namespaceOf(ctx)
	infos, err := s.logs.List(ns)
	if err != nil {
		return nil, err
	}
	out := &fluxv1.ListLogsResponse{}
	for _, info := range infos {
		described, err := s.describe(ns, info)
		if err != nil {
			return nil, err
		}
		out.Logs = append(out.Logs, described)
	}
	return connect.NewResponse(out), nil
}

func (s *Service) describe(ns message.Namespace, info messagelog.Info) (*fluxv1.LogInfo, error) {
	out := &fluxv1.LogInfo{
		Log:              info.Log.String(),
		FirstIndex:       int64(info.Last) + 1,
		LastIndex:        int64(info.Last),
		AppendedMessages: info.Messages,
		AppendedBytes:    info.Bytes,
		RetentionSeconds: -1,
		DefaultRetention: info.Retention == 0,
	}
	if kept, limited := info.KeptFor(info.Log); limited {
		out.RetentionSeconds = int64(kept / time.Second)
	}
	entries, err := s.logs.Read(ns, info.Log, info.Truncated, messagelog.Limit{Messages: 1, Bytes: 1})
	if err == nil && len(entries) > 0 {
		out.FirstIndex = int64(entries[0].First) + int64(entries[0].Skip)
	}
	return out, err
}
