package message

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// BlockID is the random identity of a block, chosen by who packs it. It makes resent blocks recognisable and gives ids to
// messages that have none of their own.
type BlockID [12]byte

// newBlockID draws from the ChaCha8 generator of the runtime, which the operating system seeds.
func newBlockID() (id BlockID) {
	binary.LittleEndian.PutUint64(id[:], rand.Uint64())
	binary.LittleEndian.PutUint32(id[8:], rand.Uint32())
	return id
}

// String returns the id as 24 lower-case hexadecimal digits.
func (id BlockID) String() string { return hex.EncodeToString(id[:]) }

// MessageID returns the id of the message at place ordinal of the block: 32 lower-case hexadecimal digits, the block id
// followed by the ordinal in big-endian order.
func (id BlockID) MessageID(ordinal uint32) string { return id.binary(ordinal).String() }

func (id BlockID) binary(ordinal uint32) binaryID {
	return binaryID{
		high: binary.BigEndian.Uint64(id[:]), low: uint64(binary.BigEndian.Uint32(id[8:]))<<32 | uint64(ordinal),
	}
}

// idHash is the hash of a block's message ids up to their last four digits, which are all that differs among them.
type idHash uint32

func (id BlockID) hash() idHash {
	var h uint32
	for i := 0; i < len(id); i += 2 {
		h = murmur3Mix(h, hexDigits(binary.BigEndian.Uint16(id[i:])))
	}
	return idHash(murmur3Mix(h, hexDigits(0)))
}

// segment returns [SegmentOf] of the id of the message at place ordinal, which is less than [MaxBlockMessages].
func (h idHash) segment(ordinal int) int {
	return segmentOfHash(murmur3Finish(murmur3Mix(uint32(h), hexDigits(uint16(ordinal))), 2*binaryIDBytes))
}

// binaryID is a message id of 32 lower-case hexadecimal digits, as most are. It is written out only on demand.
type binaryID struct{ high, low uint64 }

const binaryIDBytes = 16

func (id binaryID) String() string {
	var raw [binaryIDBytes]byte
	return hex.EncodeToString(id.append(raw[:0]))
}

// hexDigits returns the four lower-case hexadecimal digits of v as text, the first one in the lowest byte.
func hexDigits(v uint16) uint32 {
	x := uint32(v)
	nibbles := x>>12 | x>>8&15<<8 | x>>4&15<<16 | x&15<<24
	letters := (nibbles + 0x06060606) >> 4 & 0x01010101 // 1 in each byte above 9
	return nibbles + '0'*0x01010101 + letters*('a'-'0'-10)
}

func (id binaryID) append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, id.high), id.low)
}

// readBinaryID is the counterpart of append. It needs binaryIDBytes bytes.
func readBinaryID(b []byte) binaryID {
	return binaryID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// parseBinaryID returns the id that s writes out, if s is of this kind.
func parseBinaryID(s string) (id binaryID, ok bool) {
	if len(s) != 2*binaryIDBytes {
		return id, false
	}
	high, ok1 := parseHex(s[:binaryIDBytes])
	low, ok2 := parseHex(s[binaryIDBytes:])
	return binaryID{high, low}, ok1 && ok2
}

// parseHex is strict where package strconv is not: upper-case digits would come back as lower-case ones.
func parseHex(s string) (v uint64, ok bool) {
	for i := range len(s) {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
