package producer

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// maxResults bounds the results that are kept of one producer, whatever it says it has not been answered.
const maxResults = 1024

// state is what is stored of a producer. It is written with each of its transactions, and so kept small.
type state struct {
	// milli is when the producer last committed, in milliseconds since the Unix epoch.
	milli int64
	// floor is the highest number up to which all count as committed, their results forgotten.
	floor uint64
	// results are those of committed transactions above floor, newest first.
	results []result
}

// result is what a committed transaction is answered with.
type result struct {
	sequence uint64
	firsts   []message.Index
}

// find returns the place of a number among the results, and whether it is there.
func (s *state) find(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(s.results, sequence, func(r result, sequence uint64) int {
		switch {
		case r.sequence > sequence:
			return -1
		case r.sequence < sequence:
			return 1
		}
		return 0
	})
}

// committed reports whether a number was committed, and its results if they are still known.
func (s *state) committed(sequence uint64) ([]message.Index, bool) {
	if sequence <= s.floor {
		return nil, true
	}
	i, found := s.find(sequence)
	if !found {
		return nil, false
	}
	return s.results[i].firsts, true
}

// add remembers a result and forgets those that were answered.
func (s *state) add(r result, answeredThrough uint64) {
	i, _ := s.find(r.sequence)
	s.results = slices.Insert(s.results, i, r)
	s.floor = max(s.floor, min(answeredThrough, r.sequence-1))
	if len(s.results) > maxResults {
		s.floor = max(s.floor, s.results[maxResults].sequence)
	}
	kept, _ := s.find(s.floor)
	s.results = s.results[:kept]
}

// The stored form is described in docs/format/keys.md. All numbers are varints, those that may be negative in zigzag form:
//
//	milli, floor, then for each result, newest first:
//	    distance of its number to the result before (to floor, for the first result)
//	    count of its indexes
//	    each index, less the first index of the result before that has any (less 0, for the first such result)
func (s *state) encode() []byte {
	b := binary.AppendVarint(make([]byte, 0, 32+8*len(s.results)), s.milli)
	b = binary.AppendUvarint(b, s.floor)
	base := message.Index(0)
	for i, r := range s.results {
		b = binary.AppendUvarint(b, s.distance(i))
		b = binary.AppendUvarint(b, uint64(len(r.firsts)))
		for _, first := range r.firsts {
			b = binary.AppendVarint(b, int64(first-base))
		}
		if len(r.firsts) > 0 {
			base = r.firsts[0]
		}
	}
	return b
}

func (s *state) distance(i int) uint64 {
	if i == 0 {
		return s.results[0].sequence - s.floor
	}
	return s.results[i-1].sequence - s.results[i].sequence
}

// decodeState reads what encode writes; nil is the state of a producer that never was. It keeps no reference to raw.
func decodeState(raw []byte) (state, error) {
	if raw == nil {
		return state{}, nil
	}
	r := reader{rest: raw}
	s := state{milli: r.varint(), floor: r.uvarint()}
	sequence, base := s.floor, message.Index(0)
	indexes := make([]message.Index, 0, len(raw)/2) // for all results: an index takes at least two bytes with what is around it
	for len(r.rest) > 0 && !r.bad {
		distance, count := r.uvarint(), r.uvarint()
		if len(s.results) == 0 {
			sequence += distance
		} else {
			sequence -= distance
		}
		if distance == 0 || sequence <= s.floor || count > uint64(len(r.rest)) {
			r.bad = true
			break
		}
		start := len(indexes)
		for range count {
			indexes = append(indexes, base+message.Index(r.varint()))
		}
		if count > 0 {
			base = indexes[start]
		}
		s.results = append(s.results, result{sequence, indexes[start:len(indexes):len(indexes)]})
	}
	if r.bad {
		return state{}, fmt.Errorf("%w: producer state %x", engine.ErrCorrupt, raw)
	}
	return s, nil
}

// reader takes varints off bytes. After one that is damaged it is bad and returns zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.advance(size)
	return n
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.rest)
	r.advance(size)
	return n
}

func (r *reader) advance(size int) {
	if size <= 0 {
		r.rest, r.bad = nil, true
		return
	}
	r.rest = r.rest[size:]
}

func parseID(key engine.Key) (ID, error) {
	if len(key.Bytes) != len(ID{}) {
		return ID{}, fmt.Errorf("%w: producer id of %d bytes, want %d", engine.ErrCorrupt, len(key.Bytes), len(ID{}))
	}
	return ID(key.Bytes), nil
}
