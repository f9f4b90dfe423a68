package wire

import (
	"encoding/binary"
	"math"
	"strings"
)

// appendHead appends the first bytes of a value of CBOR, as short as they can be.
func appendHead(dst []byte, major byte, argument uint64) []byte {
	first := major << 5
	switch {
	case argument < cborUint8:
		return append(dst, first|byte(argument))
	case argument <= math.MaxUint8:
		return append(dst, first|cborUint8, byte(argument))
	case argument <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, first|(cborUint8+1)), uint16(argument))
	case argument <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, first|(cborUint8+2)), uint32(argument))
	}
	return binary.BigEndian.AppendUint64(append(dst, first|cborUint64), argument)
}

// appendCBORText appends a text. What is not UTF-8 is replaced, or nobody could read the whole message.
func appendCBORText(dst []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return append(appendHead(dst, cborText, uint64(len(s))), s...)
}
