package native

import (
	"fmt"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/tracking"
	"github.com/flux-go/flux/message"
)

func writeChunks(chunks []tracking.Chunk) []*fluxv1.Chunk {
	out := make([]*fluxv1.Chunk, len(chunks))
	for i, c := range chunks {
		out[i] = &fluxv1.Chunk{FirstIndex: int64(c.First), Blocks: c.Blocks}
	}
	return out
}

// unpack returns the messages of chunks, in order. Filtered blocks have some of theirs only.
func unpack(chunks []tracking.Chunk) ([]message.Message, error) {
	var reader message.BlockReader
	var all []message.Message
	for _, c := range chunks {
		first := c.First
		for block, err := range message.Blocks(c.Blocks) {
			if err == nil {
				all, err = reader.AppendMessages(all, block, first)
			}
			if err != nil {
				return nil, fmt.Errorf("%w: block at index %d: %w", engine.ErrCorrupt, first, err)
			}
			first += message.Index(block.Span())
		}
	}
	return all, nil
}

func writeSegments(r message.SegmentRange) *fluxv1.SegmentRange {
	return &fluxv1.SegmentRange{Start: int32(r.Start), End: int32(r.End)}
}

func writePosition(p message.Position) *fluxv1.Position {
	out := &fluxv1.Position{}
	for r, last := range p.Ranges() {
		out.Ranges = append(out.Ranges, &fluxv1.Position_Range{Start: int32(r.Start), End: int32(r.End), LastIndex: int64(last)})
	}
	return out
}

func writeIndex(index *message.Index) *int64 {
	if index == nil {
		return nil
	}
	out := int64(*index)
	return &out
}

func readIndex(in *int64) *message.Index {
	if in == nil {
		return nil
	}
	out := message.Index(*in)
	return &out
}
