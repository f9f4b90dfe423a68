package tracking

import (
	"slices"
	"sync"

	"github.com/flux-go/flux/message"
)

// splits are blocks that were divided for all sessions of a consumer at one go, so that not every session has to unpack
// every block. A block goes when every session has taken its part, or when it is the oldest of too many: sessions that are
// far behind the others filter for themselves.
type splits struct {
	mu struct {
		sync.Mutex
		blocks []*split // ascending
		bytes  int
		// through is the last index of what was ever divided.
		through message.Index
	}
}

// split is a block divided by ranges of segments.
type split struct {
	block  located
	ranges []message.SegmentRange
	left   int // sessions that have not taken their part
	once   sync.Once
	parts  [][]byte // the part of each range, nil when it is empty
	err    error
}

const (
	maxSplits     = 64
	maxSplitBytes = 4 << 20
)

// part returns the messages of the block that lie in segments, nil if there are none, when all sessions are at the block and
// have the ranges. It is not ok when the caller has to filter the block.
func (s *splits) part(b located, segments message.SegmentRange, ranges []message.SegmentRange) (part []byte, ok bool, err error) {
	divided := s.take(b, segments, ranges)
	if divided == nil {
		return nil, false, nil
	}
	divided.once.Do(divided.divide)
	if divided.err != nil {
		return nil, false, divided.err
	}
	return divided.parts[slices.Index(divided.ranges, segments)], true, nil
}

// take returns the block for the one that has the segments, or nil.
func (s *splits) take(b located, segments message.SegmentRange, ranges []message.SegmentRange) *split {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := slices.BinarySearchFunc(s.mu.blocks, b.first, func(s *split, first message.Index) int {
		return int(s.block.first - first)
	})
	if !found {
		if b.first <= s.mu.through {
			return nil
		}
		s.mu.through = b.last()
		at = len(s.mu.blocks)
		s.mu.blocks = append(s.mu.blocks, &split{block: b, ranges: ranges, left: len(ranges)})
		s.mu.bytes += len(b.Bytes())
	}
	taken := s.mu.blocks[at]
	if !slices.Contains(taken.ranges, segments) {
		return nil // it was divided before segments moved
	}
	if taken.left--; taken.left == 0 {
		s.dropLocked(at)
	}
	for len(s.mu.blocks) > maxSplits || s.mu.bytes > maxSplitBytes && len(s.mu.blocks) > 1 {
		s.dropLocked(0)
	}
	return taken
}

func (s *splits) dropLocked(at int) {
	s.mu.bytes -= len(s.mu.blocks[at].block.Bytes())
	s.mu.blocks = slices.Delete(s.mu.blocks, at, at+1)
}

func (s *split) divide() {
	var owner [message.Segments]int
	for i := range owner {
		owner[i] = slices.IndexFunc(s.ranges, func(r message.SegmentRange) bool { return r.Contains(i) })
	}
	s.parts = make([][]byte, len(s.ranges))
	parts, err := s.block.Split(func(m message.MessageInfo) int { return owner[m.Segment] }, s.block.Compression())
	copy(s.parts, parts)
	s.err = err
}
