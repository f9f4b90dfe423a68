package capacitor

import (
	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// readAhead bounds what is read of a log at a time.
var readAhead = messagelog.Limit{Messages: 16 << 10, Bytes: 4 << 20}

// copier writes the messages of blocks to a result.
type copier struct {
	list *wire.MessageList
	// after is the index up to which messages are left out.
	after                 message.Index
	maxMessages, maxBytes int
	// full is set when a message was left out for a bound. A result has one message at least, however long.
	full bool
	// last is the index of the message that was written last.
	last message.Index

	reader message.BlockReader
	buf    []message.Message
}

// copyBlocks writes the messages of blocks that lie back to back, first being the index of the first.
func (c *copier) copyBlocks(first message.Index, blocks []byte) error {
	for block, err := range message.Blocks(blocks) {
		if err != nil {
			return err
		}
		if c.buf, err = c.reader.AppendMessages(c.buf[:0], block, first); err != nil {
			return err
		}
		for i := range c.buf {
			if c.full = c.full || !c.write(&c.buf[i]); c.full {
				return nil
			}
		}
		first += message.Index(block.Span())
		c.reader.Reset()
	}
	return nil
}

// write reports false when there is no room for the message. How long it gets is estimated from its payload.
func (c *copier) write(m *message.Message) bool {
	if m.Index <= c.after {
		return true
	}
	n := c.list.Len()
	if n >= c.maxMessages || n > 0 && c.list.SizeBytes()+len(m.Payload)*4/3 > c.maxBytes {
		return false
	}
	c.list.Add(m)
	c.last = m.Index
	return true
}
