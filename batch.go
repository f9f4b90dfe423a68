package flux

import (
	"fmt"
	"sync"
	"sync/atomic"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// batch is what a session handles as one. Its parts are decoded by the workers, each part by one of them, and then read by
// all.
type batch struct {
	id       uint64
	segments message.SegmentRange
	position message.Position // before the batch
	examined bool             // whether last is set
	last     message.Index    // after the batch
	end      bool             // the consumer ends here

	parts   []*part
	claimed atomic.Int32 // parts that somebody decodes
	pending atomic.Int32 // workers and outputs that are not done
	failed  atomic.Bool  // some message was not handled

	outputs struct {
		sync.Mutex
		list []output
	}
}

// output is a message that waits to be committed with the position after its batch.
type output struct {
	log message.Log
	*message.Message
}

// part is a block of a batch.
type part struct {
	block message.Block
	first message.Index

	mu       sync.Mutex
	decoded  bool
	err      error
	reader   message.BlockReader
	messages []message.Message
	mine     [][]int32 // places of the messages of each worker
}

// batchPool makes batches. Memory of messages is used again as soon as their batch is settled.
type batchPool struct {
	workers int

	mu struct {
		sync.Mutex
		parts []*part
	}
}

// take returns the batch that was received.
func (p *batchPool) take(in *fluxv1.Batch) (*batch, error) {
	b := &batch{
		id: in.GetId(), position: fromPosition(in.GetPosition()),
		segments: message.SegmentRange{Start: int(in.GetSegments().GetStart()), End: int(in.GetSegments().GetEnd())},
		examined: in.LastIndex != nil, last: message.Index(in.GetLastIndex()),
	}
	for _, chunk := range in.GetChunks() {
		first := message.Index(chunk.GetFirstIndex())
		for block, err := range message.Blocks(chunk.GetBlocks()) {
			if err != nil {
				return nil, fmt.Errorf("%w: batch %d: %w", ErrInternal, b.id, err)
			}
			b.parts = append(b.parts, p.part(block, first))
			first += message.Index(block.Span())
		}
	}
	return b, nil
}

func (p *batchPool) part(block message.Block, first message.Index) *part {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.mu.parts)
	if n == 0 {
		return &part{block: block, first: first, mine: make([][]int32, p.workers)}
	}
	part := p.mu.parts[n-1]
	p.mu.parts = p.mu.parts[:n-1]
	part.block, part.first, part.decoded = block, first, false
	return part
}

// give takes back the memory of a settled batch.
func (p *batchPool) give(b *batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.parts = append(p.mu.parts, b.parts...)
}

// workers returns the workers, out of n, that have messages in the batch.
func (b *batch) workers(n int) []int {
	var segments message.SegmentSet
	for _, p := range b.parts {
		segments = segments.Union(p.block.Segments())
	}
	if n == 1 || segments.Empty() {
		return make([]int, min(segments.Len(), 1))
	}
	var concerned []int
	for worker := range n {
		for segment := worker; segment < message.Segments; segment += n {
			if segments.Has(segment) {
				concerned = append(concerned, worker)
				break
			}
		}
	}
	return concerned
}

// decodeSome decodes parts that nobody decodes yet, so that the workers share that work.
func (b *batch) decodeSome() {
	for {
		i := int(b.claimed.Add(1)) - 1
		if i >= len(b.parts) {
			return
		}
		_ = b.parts[i].ready() // whoever handles its messages sees the error
	}
}

// ready returns when the part is decoded.
func (p *part) ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.decoded {
		p.decoded = true
		p.err = p.decode()
	}
	return p.err
}

func (p *part) decode() (err error) {
	p.reader.Reset()
	p.messages, err = p.reader.AppendMessages(p.messages[:0], p.block, p.first)
	if err != nil {
		return fmt.Errorf("%w: messages from index %d on: %w", ErrInternal, p.first, err)
	}
	workers := len(p.mine)
	for i := range p.mine {
		p.mine[i] = p.mine[i][:0]
	}
	for i := range p.messages {
		worker := p.messages[i].RoutingSegment() % workers
		p.mine[worker] = append(p.mine[worker], int32(i))
	}
	return nil
}

// appends returns the outputs of the batch, by log, in the order in which each log got them.
func (b *batch) appends() ([]*fluxv1.LogAppend, error) {
	var logs []message.Log
	byLog := make(map[message.Log][]*message.Message)
	for _, o := range b.outputs.list {
		if byLog[o.log] == nil {
			logs = append(logs, o.log)
		}
		byLog[o.log] = append(byLog[o.log], o.Message)
	}
	var appends []*fluxv1.LogAppend
	for _, log := range logs {
		blocks, err := packBlocks(byLog[log])
		if err != nil {
			return nil, err
		}
		appends = append(appends, &fluxv1.LogAppend{Log: log.String(), Blocks: blocks})
	}
	return appends, nil
}

// changes returns the transaction that publishes the outputs.
func (b *batch) changes() (*fluxv1.Transaction, error) {
	appends, err := b.appends()
	return &fluxv1.Transaction{Appends: appends}, err
}

// addOutputs adds what one call of a handler published.
func (b *batch) addOutputs(outputs []output) {
	if len(outputs) == 0 {
		return
	}
	b.outputs.Lock()
	defer b.outputs.Unlock()
	b.outputs.list = append(b.outputs.list, outputs...)
}
