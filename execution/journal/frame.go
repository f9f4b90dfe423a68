package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/flux-go/flux/execution/record"
)

// Errors of segments that another process has written.
var (
	ErrNotSegment = errors.New("not a segment of a journal")             // returned when a file does not begin as segments do
	ErrNewer      = errors.New("journal of a newer version of Flux")     // returned when a segment came with a later version
	ErrCorrupt    = errors.New("segment of a journal with a bad header") // returned when the header is damaged or incomplete
)

// A segment is a file of frames after a header:
//
//	0       8         9      12       16          32
//	┌───────┬─────────┬──────┬────────┬───────────┬──────────┐
//	│ magic │ version │ zero │ number │ writer id │ checksum │
//	│ 8     │ 1       │ 3    │ 4      │ 16        │ 4        │
//	└───────┴─────────┴──────┴────────┴───────────┴──────────┘
//
// and a frame is:
//
//	0        4      5
//	┌────────┬──────┬──────────────┬──────────┐
//	│ length │ kind │ payload      │ checksum │
//	│ 4      │ 1    │ length bytes │ 4        │
//	└────────┴──────┴──────────────┴──────────┘
//
// Numbers are little-endian; checksums are the CRC-32C of all before them, in the header and in the frame. See
// docs/format/journal.md.
const (
	segmentVersion = 1
	segmentMagic   = "\x89fluxjnl"

	headerBytes    = 36
	frameHeadBytes = 5
	checksumBytes  = 4
	frameBytes     = frameHeadBytes + checksumBytes // beside the payload

	maxPayloadBytes = record.MaxBytes + 1<<20 // of a frame: an encoded execution
)

// kind says what the payload of a frame is.
type kind byte

const (
	kindExecution   kind = 1 + iota // an execution that ended, encoded
	kindBegin                       // id, then the execution as it began
	kindIntent                      // id, then a checkpoint that is about to be done
	kindOutcome                     // id, then a checkpoint with its outcome
	kindEnd                         // id, then the execution as it ended
	kindAcknowledge                 // number of a segment and offset in it: executions up to there are at the server
	kindClosed                      // nothing: the process closed the journal
	kindLost                        // nothing: frames before this one may be missing, because the disk failed
	kindProgress                    // id, then an execution with what its sources gave and what it said since the one before
	afterKinds
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendChecksum(dst []byte, start int) []byte {
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func isSound(data []byte) bool {
	end := len(data) - checksumBytes
	return crc32.Checksum(data[:end], castagnoli) == binary.LittleEndian.Uint32(data[end:])
}

func appendHeader(dst []byte, writer [16]byte, number uint32) []byte {
	start := len(dst)
	dst = append(dst, segmentMagic...)
	dst = append(dst, segmentVersion, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, number)
	dst = append(dst, writer[:]...)
	return appendChecksum(dst, start)
}

func checkHeader(data []byte) error {
	switch {
	case len(data) < len(segmentMagic) || string(data[:len(segmentMagic)]) != segmentMagic:
		return ErrNotSegment
	case len(data) < headerBytes:
		return fmt.Errorf("%w: %d bytes", ErrCorrupt, len(data))
	case data[len(segmentMagic)] > segmentVersion:
		return fmt.Errorf("%w: version %d, this program reads %d", ErrNewer, data[len(segmentMagic)], segmentVersion)
	case !isSound(data[:headerBytes]):
		return fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	return nil
}

func appendFrame(dst []byte, k kind, id record.ID, payload []byte) []byte {
	start := len(dst)
	length := len(payload)
	if k.hasID() {
		length += len(id)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(length))
	dst = append(dst, byte(k))
	if k.hasID() {
		dst = append(dst, id[:]...)
	}
	dst = append(dst, payload...)
	return appendChecksum(dst, start)
}

func (k kind) hasID() bool {
	switch k {
	case kindBegin, kindIntent, kindOutcome, kindEnd, kindProgress:
		return true
	}
	return false
}

// parsedFrame is a frame that was found sound.
type parsedFrame struct {
	kind    kind
	id      record.ID
	payload []byte // after the id
	at, end int64  // where it is in its file
}

// parseFrame returns the frame at the beginning of data, which lies at the given place in its file; false when there is none,
// or it is not sound.
func parseFrame(data []byte, at int64) (parsedFrame, bool) {
	if len(data) < frameBytes {
		return parsedFrame{}, false
	}
	length := int64(binary.LittleEndian.Uint32(data))
	f := parsedFrame{kind: kind(data[4]), at: at, end: at + length + frameBytes}
	if f.kind == 0 || f.kind >= afterKinds || length > maxPayloadBytes || length > int64(len(data)-frameBytes) ||
		!isSound(data[:length+frameBytes]) {
		return parsedFrame{}, false
	}
	f.payload = data[frameHeadBytes:][:length]
	if f.kind.hasID() {
		if len(f.payload) < len(f.id) {
			return parsedFrame{}, false
		}
		f.payload = f.payload[copy(f.id[:], f.payload):]
	}
	return f, true
}

// readFrames calls visit with every sound frame of a segment. The segment is torn when there is something else in it, and
// damaged when a sound frame comes after that: so it is no tail that was not written completely.
func readFrames(data []byte, visit func(parsedFrame)) (torn, damaged bool) {
	for at := headerBytes; at < len(data); {
		f, ok := parseFrame(data[at:], int64(at))
		if !ok {
			torn = true
			at++
			continue
		}
		damaged = damaged || torn
		visit(f)
		at = int(f.end)
	}
	return torn, damaged
}

// position is a place in the segments of a writer.
type position struct {
	segment uint32
	end     int64
}

func (p position) payload() []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(nil, p.segment), uint64(p.end))
}

func parsePosition(payload []byte) (position, bool) {
	if len(payload) != 12 {
		return position{}, false
	}
	return position{binary.LittleEndian.Uint32(payload), int64(binary.LittleEndian.Uint64(payload[4:]))}, true
}

// covers says that what ends at the given place is at or before p.
func (p position) covers(segment uint32, end int64) bool {
	return segment < p.segment || segment == p.segment && end <= p.end
}
