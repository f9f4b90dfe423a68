package wire

import (
	"slices"
	"strings"
)

// Format is how the objects of a socket are written, in both directions.
type Format uint8

// The formats. JSON is that of every client, the others are offered by Fluxzero clients.
const (
	JSON Format = iota
	// CBOR has the same objects in CBOR, RFC 8949, and bytes as they are where JSON has base64.
	CBOR
	// BINARY is CBOR but for appends, reads and their results, which have a compact form.
	BINARY
	numFormats
)

var formatNames = [numFormats]string{"JSON", "CBOR", "BINARY"}

func (f Format) String() string { return formatNames[f] }

// ParseFormat returns the format of that name, in upper case as the protocol has it.
func ParseFormat(name string) (Format, bool) {
	i := slices.Index(formatNames[:], name)
	return Format(max(i, 0)), i >= 0
}

// MaxResultBatch is the largest number of results in a batch.
const MaxResultBatch = 1024

// Joins reports whether a result may be in a batch with others. One in compact form is a message of its own.
func (f Format) Joins(result []byte) bool {
	return f != BINARY || !strings.HasPrefix(string(result[:min(len(result), len(compactMagic))]), compactMagic)
}

// AppendBatch appends a batch of results that may be in one.
func (f Format) AppendBatch(dst []byte, results [][]byte) []byte {
	dst = f.text(f.member(f.either(dst, '{', cborMap<<5|cborIndefinite), typeMember), "resultBatch")
	dst = f.array(f.member(dst, "results"))
	for _, result := range results {
		dst = f.written(dst, result)
	}
	return f.endObject(f.endArray(dst))
}
