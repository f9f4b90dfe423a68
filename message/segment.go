package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// Segments is the number of segments that routing keys are hashed to. Trackers of a consumer divide them among
// themselves, so it is also the largest number of trackers that can work side by side. It is part of the protocol.
const Segments = 128

// SegmentOf returns the segment of a routing key: the absolute value of its MurmurHash3 (x86, 32 bits, seed 0) modulo
// [Segments]. It does not allocate. Source: the Flux Capacitor protocol.
func SegmentOf(key string) int { return segmentOf(key) }

// segmentOf takes bytes too, so that ids need not become strings first.
func segmentOf[T string | []byte](key T) int { return segmentOfHash(murmur3(key)) }

func segmentOfHash(h uint32) int {
	hash := int64(int32(h))
	return int(max(hash, -hash) % Segments) // 64 bits, because the smallest int32 has no positive counterpart
}

// murmur3 is MurmurHash3_x86_32 with seed 0.
func murmur3[T string | []byte](key T) uint32 {
	var h uint32
	i := 0
	for ; i+4 <= len(key); i += 4 {
		h = murmur3Mix(h, uint32(key[i])|uint32(key[i+1])<<8|uint32(key[i+2])<<16|uint32(key[i+3])<<24)
	}
	var tail uint32
	for j := len(key) - 1; j >= i; j-- {
		tail = tail<<8 | uint32(key[j])
	}
	return murmur3Finish(h^murmur3Scramble(tail), len(key))
}

// murmur3Mix adds the next four bytes of the key to the hash.
func murmur3Mix(h, k uint32) uint32 {
	return bits.RotateLeft32(h^murmur3Scramble(k), 13)*5 + 0xe6546b64
}

func murmur3Scramble(k uint32) uint32 { return bits.RotateLeft32(k*0xcc9e2d51, 15) * 0x1b873593 }

// murmur3Finish ends the hash of a key of n bytes.
func murmur3Finish(h uint32, n int) uint32 {
	h ^= uint32(n)
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// RoutingSegment returns the segment that decides who handles the message: [Message.Segment] modulo [Segments] when the
// publisher chose it, else the segment of the message id. A message that was read has the segment it was stored under.
func (m *Message) RoutingSegment() int {
	if !m.Routed && !m.read {
		return SegmentOf(m.MessageID())
	}
	return int(m.Segment) & (Segments - 1) // the mathematical modulus, also of negative numbers
}

// SegmentRange is a half-open range of segments: Start is part of it, End is not. The zero value holds no segment and
// stands for "nothing assigned".
type SegmentRange struct{ Start, End int }

// AllSegments is the range of all segments.
var AllSegments = SegmentRange{0, Segments}

// ErrBadRange is returned when a segment range does not lie within 0 to [Segments] or is malformed.
var ErrBadRange = errors.New("bad segment range")

// Validate reports whether 0 <= Start <= End <= [Segments].
func (r SegmentRange) Validate() error {
	if r.Start < 0 || r.End < r.Start || r.End > Segments {
		return fmt.Errorf("%w: %s, want 0 <= start <= end <= %d", ErrBadRange, r, Segments)
	}
	return nil
}

// Empty reports whether the range holds no segment.
func (r SegmentRange) Empty() bool { return r.End <= r.Start }

// Len returns the number of segments in the range.
func (r SegmentRange) Len() int { return max(0, r.End-r.Start) }

// Contains reports whether the segment lies in the range.
func (r SegmentRange) Contains(segment int) bool { return r.Start <= segment && segment < r.End }

// Intersects reports whether some segment lies in both ranges.
func (r SegmentRange) Intersects(other SegmentRange) bool {
	return max(r.Start, other.Start) < min(r.End, other.End)
}

// Set returns the segments of the range as a set.
func (r SegmentRange) Set() SegmentSet {
	if r.Empty() {
		return SegmentSet{}
	}
	below, upTo := segmentsBelow(r.Start), segmentsBelow(r.End)
	return SegmentSet{upTo[0] &^ below[0], upTo[1] &^ below[1]}
}

// String returns the range as "[0,64)".
func (r SegmentRange) String() string { return fmt.Sprintf("[%d,%d)", r.Start, r.End) }

// MarshalJSON writes the range as the Flux Capacitor protocol does: [0,64].
func (r SegmentRange) MarshalJSON() ([]byte, error) { return r.appendJSON(nil), nil }

func (r SegmentRange) appendJSON(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, '['), int64(r.Start), 10)
	dst = strconv.AppendInt(append(dst, ','), int64(r.End), 10)
	return append(dst, ']')
}

// UnmarshalJSON reads what [SegmentRange.MarshalJSON] writes: an array of exactly two integers that make a valid range,
// or else [ErrBadRange].
func (r *SegmentRange) UnmarshalJSON(data []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil || len(raw) != 2 {
		return fmt.Errorf("%w: %s, want [start,end]", ErrBadRange, data)
	}
	start, err1 := strconv.Atoi(string(raw[0]))
	end, err2 := strconv.Atoi(string(raw[1]))
	if err1 != nil || err2 != nil {
		return fmt.Errorf("%w: %s, want two integers", ErrBadRange, data)
	}
	parsed := SegmentRange{start, end}
	if err := parsed.Validate(); err != nil {
		return err
	}
	*r = parsed
	return nil
}

// SegmentSet is a set of segments, segment s being bit s%64 of word s/64. The zero value is empty.
type SegmentSet [Segments / 64]uint64

// segmentsBelow returns the set of all segments less than n.
func segmentsBelow(n int) SegmentSet {
	// A shift by 64 or more gives zero, and so all ones after subtracting one.
	return SegmentSet{1<<max(n, 0) - 1, 1<<max(n-64, 0) - 1}
}

// Add puts the segment in the set. It panics unless 0 <= segment < [Segments].
func (s *SegmentSet) Add(segment int) { s[uint(segment)/64] |= 1 << (uint(segment) % 64) }

// Has reports whether the segment is in the set.
func (s SegmentSet) Has(segment int) bool {
	return AllSegments.Contains(segment) && s[segment/64]>>(segment%64)&1 == 1
}

// Intersects reports whether some segment of the range is in the set.
func (s SegmentSet) Intersects(r SegmentRange) bool {
	mask := r.Set()
	return s[0]&mask[0]|s[1]&mask[1] != 0
}

// Within reports whether every segment of the set lies in the range. The empty set lies within every range.
func (s SegmentSet) Within(r SegmentRange) bool {
	mask := r.Set()
	return s[0]&^mask[0]|s[1]&^mask[1] == 0
}

// Union returns the segments that are in either set.
func (s SegmentSet) Union(other SegmentSet) SegmentSet {
	return SegmentSet{s[0] | other[0], s[1] | other[1]}
}

// Empty reports whether no segment is in the set.
func (s SegmentSet) Empty() bool { return s == SegmentSet{} }

// Len returns the number of segments in the set.
func (s SegmentSet) Len() int { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }
