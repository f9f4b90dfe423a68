package message

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
)

// Position says how far a consumer has come: for each segment the last index it has dealt with. Segments may be missing,
// which means that nothing was stored for them yet. The zero value is the empty position.
//
// Positions are immutable: operations return a new one, and copies may be shared between goroutines.
type Position struct {
	// runs are ascending, neither empty nor overlapping; runs that touch have different indexes. So equal positions have
	// equal runs, and the usual position is a single run.
	runs []positionRun
}

type positionRun struct {
	segments SegmentRange
	index    Index
}

// ErrBadPosition is returned when an encoded position breaks a rule of its format.
var ErrBadPosition = errors.New("bad position")

// NewPosition returns the position with every segment of the range at index. Resetting a consumer stores
// NewPosition(AllSegments, index).
func NewPosition(segments SegmentRange, index Index) Position {
	return Position{}.With(segments, index)
}

// With returns the position with every segment of the range at index, except those that are beyond it already: With
// never goes back. Segments of the range outside 0 to 127 are ignored.
func (p Position) With(segments SegmentRange, index Index) Position {
	return p.Merge(Position{[]positionRun{{segments, index}}})
}

// Merge returns for each segment the higher index of the two positions. A segment missing in one has the index of the
// other.
func (p Position) Merge(other Position) Position {
	merged := withRoom(max(len(p.runs), len(other.runs)))
	a, b := positionCursor(p.runs), positionCursor(other.runs)
	for start := 0; start < Segments; {
		x, inA, endA := a.stretch(start)
		y, inB, endB := b.stretch(start)
		end := min(endA, endB)
		switch segments := (SegmentRange{start, end}); {
		case inA && inB:
			merged.push(segments, max(x, y))
		case inA:
			merged.push(segments, x)
		case inB:
			merged.push(segments, y)
		}
		start = end
	}
	return merged
}

// withRoom returns the empty position with memory for n runs.
func withRoom(n int) Position { return Position{slices.Grow([]positionRun(nil), n)} }

// push adds a run after all others. Only for positions that nobody else has seen yet.
func (p *Position) push(segments SegmentRange, index Index) {
	if n := len(p.runs); n > 0 {
		last := &p.runs[n-1]
		if last.index == index && last.segments.End == segments.Start {
			last.segments.End = segments.End
			return
		}
	}
	p.runs = append(p.runs, positionRun{segments, index})
}

// positionCursor is what is left of the runs of a position while it is read from the lowest segment to the highest.
type positionCursor []positionRun

// stretch returns the index at a segment and where the stretch of segments ends that have the same; found is false when
// they are missing. Calls need ascending segments.
func (c *positionCursor) stretch(segment int) (index Index, found bool, end int) {
	for len(*c) > 0 && (*c)[0].segments.End <= segment {
		*c = (*c)[1:]
	}
	if len(*c) == 0 {
		return 0, false, Segments
	}
	run := (*c)[0]
	if segment < run.segments.Start {
		return 0, false, min(run.segments.Start, Segments)
	}
	return run.index, true, min(run.segments.End, Segments)
}

// Index returns the last index of a segment; found is false when it is missing.
func (p Position) Index(segment int) (index Index, found bool) {
	for _, run := range p.runs {
		if run.segments.Contains(segment) {
			return run.index, true
		}
	}
	return 0, false
}

// IsNewIndex reports whether a message of the segment with that index was not dealt with yet. Every index is new to a
// missing segment.
func (p Position) IsNewIndex(segment int, index Index) bool {
	last, found := p.Index(segment)
	return !found || last < index
}

// IsNew reports whether all segments of the range are missing.
func (p Position) IsNew(segments SegmentRange) bool {
	_, found := p.Lowest(segments)
	return !found
}

// Lowest returns the lowest index in the range, not counting missing segments; found is false when all are missing.
func (p Position) Lowest(segments SegmentRange) (index Index, found bool) {
	for _, run := range p.runs {
		if run.segments.Intersects(segments) && (!found || run.index < index) {
			index, found = run.index, true
		}
	}
	return index, found
}

// In returns the part of the position that lies in the range.
func (p Position) In(segments SegmentRange) Position {
	part := withRoom(len(p.runs))
	for _, run := range p.runs {
		start, end := max(run.segments.Start, segments.Start), min(run.segments.End, segments.End)
		if start < end {
			part.push(SegmentRange{start, end}, run.index)
		}
	}
	return part
}

// Fill returns the position with index for every segment that is missing.
func (p Position) Fill(index Index) Position {
	filled := withRoom(len(p.runs) + 1)
	runs := positionCursor(p.runs)
	for start := 0; start < Segments; {
		last, found, end := runs.stretch(start)
		if !found {
			last = index
		}
		filled.push(SegmentRange{start, end}, last)
		start = end
	}
	return filled
}

// Ranges yields the ranges of segments with their last index, ascending. Neighbours with the same index are one range;
// missing segments are left out.
func (p Position) Ranges() iter.Seq2[SegmentRange, Index] {
	return func(yield func(SegmentRange, Index) bool) {
		for _, run := range p.runs {
			if !yield(run.segments, run.index) {
				return
			}
		}
	}
}

// Empty reports whether all segments are missing.
func (p Position) Empty() bool { return len(p.runs) == 0 }

// Equal reports whether both positions have the same index for every segment.
func (p Position) Equal(other Position) bool { return slices.Equal(p.runs, other.runs) }

// String returns the JSON form of the position.
func (p Position) String() string { return string(p.appendJSON(nil)) }

// MarshalJSON writes the position as the Flux Capacitor protocol does, ranges and indexes in turn:
// [[0,64],115,[64,128],7]. The empty position is [].
func (p Position) MarshalJSON() ([]byte, error) { return p.appendJSON(nil), nil }

func (p Position) appendJSON(dst []byte) []byte {
	dst = append(dst, '[')
	for i, run := range p.runs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(run.segments.appendJSON(dst), ',')
		dst = strconv.AppendInt(dst, int64(run.index), 10)
	}
	return append(dst, ']')
}

// UnmarshalJSON reads what [Position.MarshalJSON] writes. Ranges must be valid, not empty, ascending and apart; anything
// else, null included, gives [ErrBadPosition]. Neighbours with the same index are accepted.
func (p *Position) UnmarshalJSON(data []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil || raw == nil || len(raw)%2 != 0 {
		return fmt.Errorf("%w: want an array of ranges and indexes in turn", ErrBadPosition)
	}
	var parsed Position
	for pair := range slices.Chunk(raw, 2) {
		var segments SegmentRange
		if err := segments.UnmarshalJSON(pair[0]); err != nil {
			return fmt.Errorf("%w: %w", ErrBadPosition, err)
		}
		index, err := strconv.ParseInt(string(pair[1]), 10, 64)
		if err != nil {
			return fmt.Errorf("%w: index %s of %s is not a 64-bit integer", ErrBadPosition, pair[1], segments)
		}
		if err := parsed.pushChecked(segments, Index(index)); err != nil {
			return err
		}
	}
	*p = parsed
	return nil
}

// pushChecked is push for runs that come from outside.
func (p *Position) pushChecked(segments SegmentRange, index Index) error {
	if err := segments.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadPosition, err)
	}
	if segments.Empty() {
		return fmt.Errorf("%w: range %s is empty", ErrBadPosition, segments)
	}
	if n := len(p.runs); n > 0 && segments.Start < p.runs[n-1].segments.End {
		return fmt.Errorf("%w: range %s after %s", ErrBadPosition, segments, p.runs[n-1].segments)
	}
	p.push(segments, index)
	return nil
}

// The binary form, described in docs/format/position.md:
//
//	     0         1       2     3             11      12    13
//	┌─────────┬───────┬─────┬─────────────┬───────┬─────┬─────────────┬───
//	│ version │ start │ end │ index       │ start │ end │ index       │ …
//	└─────────┴───────┴─────┴─────────────┴───────┴─────┴─────────────┴───
const (
	positionVersion  = 1
	positionRunBytes = 1 + 1 + 8
)

// AppendBinary appends the form in which positions are stored, described in docs/format/position.md. Equal positions have
// equal forms. The error is always nil.
func (p Position) AppendBinary(dst []byte) ([]byte, error) {
	dst = append(dst, positionVersion)
	for _, run := range p.runs {
		dst = append(dst, byte(run.segments.Start), byte(run.segments.End))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(run.index))
	}
	return dst, nil
}

// DecodePosition reads what [Position.AppendBinary] writes and nothing else: any other input gives [ErrBadPosition].
// It keeps no reference to data.
func DecodePosition(data []byte) (Position, error) {
	if len(data) == 0 || len(data)%positionRunBytes != 1 {
		return Position{}, fmt.Errorf("%w: %d bytes, want 1 and %d for each range", ErrBadPosition, len(data), positionRunBytes)
	}
	if version := data[0]; version != positionVersion {
		return Position{}, fmt.Errorf("%w: version %d, this program reads %d", ErrBadPosition, version, positionVersion)
	}
	p := withRoom(len(data) / positionRunBytes)
	for raw := range slices.Chunk(data[1:], positionRunBytes) {
		segments := SegmentRange{int(raw[0]), int(raw[1])}
		if err := p.pushChecked(segments, Index(binary.LittleEndian.Uint64(raw[2:]))); err != nil {
			return Position{}, err
		}
	}
	if len(p.runs) != len(data)/positionRunBytes {
		return Position{}, fmt.Errorf("%w: neighbours with the same index are not merged", ErrBadPosition)
	}
	return p, nil
}
