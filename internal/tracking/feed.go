package tracking

import (
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// feed walks over the blocks of a log, reading some ahead. It is for one goroutine.
type feed struct {
	logs *messagelog.Logs
	id   logID
	// after is the index that everything before was walked over.
	after   message.Index
	entries []messagelog.Entry // read ahead; blocks of the first one are cut off as they are walked over
}

// readAhead bounds what a feed holds in memory; a stored entry may be larger.
var readAhead = messagelog.Limit{Messages: 16 << 10, Bytes: 1 << 20}

// seek makes the feed go on after an index, with what it has read when that is further ahead.
func (f *feed) seek(after message.Index) {
	if after < f.after {
		f.entries = nil
	}
	f.after = after
}

// located is a block with its place: offset bytes into the entry that it is part of.
type located struct {
	message.Block
	first message.Index
	entry []byte
}

func (b located) last() message.Index { return b.first + message.Index(b.Span()) - 1 }

// peek returns the next block that holds an index greater than after; it may begin at or before after. No block means
// that the end of the log was reached.
func (f *feed) peek() (b located, ok bool, err error) {
	for {
		if len(f.entries) == 0 {
			if err := f.read(); err != nil || len(f.entries) == 0 {
				return located{}, false, err
			}
		}
		entry := &f.entries[0]
		block, rest, err := message.ParseBlock(entry.Blocks)
		if err != nil {
			return located{}, false, err
		}
		b = located{block, entry.First, entry.Blocks}
		if b.last() > f.after {
			return b, true, nil
		}
		entry.First, entry.Blocks = b.last()+1, rest
		if len(rest) == 0 {
			f.entries[0] = messagelog.Entry{}
			f.entries = f.entries[1:]
		}
	}
}

// read reads ahead. Messages at the start of the first block that are not to be shown are taken out of it.
func (f *feed) read() (err error) {
	f.entries, err = f.logs.Read(f.id.ns, f.id.log, f.after, readAhead)
	if err != nil || len(f.entries) == 0 || f.entries[0].Skip == 0 {
		return err
	}
	entry := &f.entries[0]
	block, rest, err := message.ParseBlock(entry.Blocks)
	if err != nil {
		return err
	}
	shown := message.BlockFilter{Message: func(m message.MessageInfo) bool { return m.Ordinal >= entry.Skip }}
	blocks, _, err := block.Filter(nil, shown, block.Compression())
	entry.Blocks = append(blocks, rest...)
	return err
}
