package capacitor

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/tracking"
	"github.com/flux-go/flux/message"
)

// gateway appends to a log.
type gateway struct {
	*socket
	writer message.BlockWriter
	// blocks are sealed ones of pending, whose other messages are in writer.
	blocks  []byte
	pending []*wire.Base
}

func (g *gateway) handle(r wire.Request) error {
	switch r := r.(type) {
	case *wire.Append:
		return g.append(r)
	case *wire.SetRetentionTime:
		return g.setRetention(r)
	case *wire.Truncate:
		return g.truncate(r)
	}
	return g.unsupported(r)
}

// append packs the messages of a request. They are appended by flush, so that the requests of one frame share a block.
func (g *gateway) append(r *wire.Append) error {
	for i := range r.Messages {
		if err := checkMessage(&r.Messages[i]); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	g.writer.Now = g.handler.Clock
	var err error
	if g.blocks, err = pack(g.blocks, &g.writer, r.Messages); err != nil {
		return err // not after checkMessage
	}
	g.pending = append(g.pending, &r.Base)
	return nil
}

// maxMessageBytes leaves room in a block for everything of a message but its payload and metadata.
const maxMessageBytes = message.MaxBlockBytes - 1<<20

// checkMessage refuses a message that fits into no block, before any of its request is packed.
func checkMessage(m *message.Message) error {
	size := len(m.Payload) + len(m.Type) + len(m.Format) + len(m.Source) + len(m.Target) + len(m.ID)
	for key, value := range m.Metadata {
		size += len(key) + len(value)
	}
	if size > maxMessageBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", message.ErrTooLarge, size, maxMessageBytes)
	}
	return nil
}

// blockBytes is the length at which a block is sealed: readers unpack blocks as a whole.
const blockBytes = 1 << 20

// pack adds messages to the writer, sealing blocks that are full and appending them to blocks.
func pack(blocks []byte, w *message.BlockWriter, messages []message.Message) ([]byte, error) {
	for i := range messages {
		m := &messages[i]
		if w.Len() > 0 && w.SizeBytes()+len(m.Payload) > blockBytes {
			blocks = w.Seal(blocks, message.Snappy)
		}
		err := w.Add(m)
		if errors.Is(err, message.ErrBlockFull) {
			blocks = w.Seal(blocks, message.Snappy)
			err = w.Add(m)
		}
		if err != nil {
			return blocks, err
		}
	}
	return blocks, nil
}

// flush appends what is packed, and answers its requests when that is on disk.
func (g *gateway) flush() {
	if len(g.pending) == 0 {
		return
	}
	blocks, pending := g.writer.Seal(g.blocks, message.Snappy), g.pending
	g.blocks, g.pending = nil, nil
	if err := g.appendBlocks(blocks, pending); err != nil {
		g.endAll(pending, err)
	}
}

func (g *gateway) appendBlocks(blocks []byte, pending []*wire.Base) error {
	if len(blocks) == 0 { // there were no messages at all
		return g.submitThen(func(err error) { g.endAll(pending, err) })
	}
	op, err := messagelog.NewAppend(g.log, blocks)
	if err != nil {
		return err
	}
	return g.submitThen(func(err error) { g.endAll(pending, err) }, op)
}

// endAll ends commands that were carried out together.
func (g *gateway) endAll(pending []*wire.Base, err error) {
	if err != nil {
		for _, base := range pending {
			g.end(base, err)
		}
		return
	}
	results := make([][]byte, 0, len(pending))
	for _, base := range pending {
		g.recordAndTell(base, succeeded)
		if base.Stored() {
			results = append(results, g.outcomeResult(base, succeeded))
		}
	}
	if len(results) > 0 {
		g.peers.deliver(g.socket, results...)
	}
}

// setRetention bounds the age of messages. Nothing, and what no clock can tell, is for ever.
func (g *gateway) setRetention(r *wire.SetRetentionTime) error {
	if err := g.mayAdminister(&r.Base); err != nil {
		return err
	}
	retention := messagelog.Forever
	if r.Seconds != nil && *r.Seconds < int64(math.MaxInt64/time.Second) {
		retention = messagelog.Retention(max(*r.Seconds*1000, 1)) // 0 is nothing kept, not the default
	}
	return g.submit(&r.Base, &messagelog.SetRetention{Log: g.log, Retention: retention})
}

// truncate empties the log and forgets its consumers, whose trackers are sent away to begin anew.
func (g *gateway) truncate(r *wire.Truncate) error {
	if err := g.mayAdminister(&r.Base); err != nil {
		return err
	}
	consumers, err := g.consumers()
	if err != nil {
		return err
	}
	operations := []engine.Operation{&messagelog.Truncate{Log: g.log, Through: math.MaxInt64}}
	for _, c := range consumers {
		operations = append(operations, &position.Delete{Consumer: c.Consumer})
	}
	return g.submitThen(func(err error) {
		if err == nil {
			g.sendAway(consumers)
		}
		g.end(&r.Base, err)
	}, operations...)
}

// consumers returns those of the log, and of the notifications if it is that of events.
func (g *gateway) consumers() (all []tracking.ConsumerInfo, err error) {
	logs := []message.Log{g.log}
	if g.log.Type == message.Event {
		logs = append(logs, message.Log{Type: message.Notification})
	}
	for _, log := range logs {
		consumers, err := g.handler.Tracking.Consumers(g.ctx, g.namespace, &log)
		if err != nil {
			return nil, err
		}
		all = append(all, consumers...)
	}
	return all, nil
}

// sendAway removes all trackers. Those that wait get a last batch.
func (g *gateway) sendAway(consumers []tracking.ConsumerInfo) {
	for _, c := range consumers {
		for _, t := range c.Trackers {
			g.handler.Tracking.Disconnect(g.namespace, c.Consumer, t.ID, true)
		}
	}
}
