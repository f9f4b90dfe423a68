package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/flux-go/flux/message"
)

// The compact form of appends, reads and results of reads, all integers big-endian:
//
//	| "FZTW" | version 1 | kind | elements, 4 bytes | shared | element | element …
//
// Texts and bytes have their length before them, 4 bytes, which is -1 for null. What may be absent has a byte before it
// that is 0, or 1 if it is there. With messages, shared is a byte of flags for what all of them have in common, and those
// texts; the messages then leave them out.
const (
	compactMagic   = "FZTW"
	compactVersion = 1

	compactAppend      = 1
	compactAppendBatch = 2
	compactRead        = 3
	compactReadBatch   = 4
	compactReadResult  = 5

	sharedType   = 1
	sharedFormat = 2
	sharedSource = 4
	sharedTarget = 8
	sharedKnown  = sharedType | sharedFormat | sharedSource | sharedTarget

	readFilterTarget     = 1
	readIgnoreSegment    = 2
	readSingle           = 4
	readClientControlled = 8
)

const (
	// The shortest that elements, messages and entries of metadata can be.
	minCompactElement = 8
	minCompactMessage = 16
	minCompactEntry   = 2 * lengthBytes
	// maxPrepared is how many of them get memory before they were read.
	maxPrepared = 1024
)

// compactReader reads a message in compact form.
type compactReader struct {
	input
	names names
	ids   idPrint
	// shared is what all messages have in common, and flags which of it.
	shared message.Message
	flags  byte
}

// requests reads all of them. What cannot be read makes the whole message unreadable, as nothing tells where its next
// element would be.
func (r *compactReader) requests() []Request {
	r.at = len(compactMagic)
	if version := r.uint8(); version != compactVersion {
		r.fail("unknown version of the compact form")
	}
	kind, n := r.uint8(), r.count(minCompactElement)
	if n > MaxBatch {
		r.fail("too many requests")
	}
	var element func() Request
	switch kind {
	case compactAppend, compactAppendBatch:
		r.descriptor()
		element = r.append
	case compactRead, compactReadBatch:
		element = r.read
	default:
		r.fail("unknown kind of compact request")
		return nil
	}
	all := make([]Request, 0, min(n, maxPrepared))
	for ; n > 0 && r.err == nil; n-- {
		all = append(all, element())
	}
	if r.at < len(r.data) && r.err == nil {
		r.fail("bytes after the end")
	}
	return all
}

func (r *compactReader) descriptor() {
	if r.flags = r.uint8(); r.flags&^sharedKnown != 0 {
		r.fail("unknown shared members")
	}
	r.attributes(&r.shared, r.flags)
}

// attributes reads the texts that the flags name. Between them messages have others, see message.
func (r *compactReader) attributes(m *message.Message, flags byte) {
	if flags&sharedType != 0 {
		m.Type = r.name()
	}
	if flags&sharedFormat != 0 {
		m.Format = shortFormat(r.name())
	}
	if flags&sharedSource != 0 {
		m.Source = r.name()
	}
	if flags&sharedTarget != 0 {
		m.Target = r.name()
	}
}

func (r *compactReader) append() Request {
	start := r.at
	a := &Append{Base: command}
	a.Type, a.ID, a.hasID = "append", r.int64(), true
	_ = r.uint8() // the type of message is that of the endpoint
	r.ids.reset()
	guarantee := r.uint8()
	if a.Guarantee = message.Guarantee(guarantee); guarantee > byte(message.Stored) {
		// Nobody says what other numbers mean; the client may be waiting.
		a.Guarantee, a.Err = message.Stored, fmt.Errorf("%w: guarantee %d", ErrMalformed, guarantee)
	}
	n := r.count(minCompactMessage)
	a.Messages = make([]message.Message, 0, min(n, maxPrepared))
	for ; n > 0 && r.err == nil; n-- {
		a.Messages = append(a.Messages, r.message())
	}
	if r.err == nil {
		r.ids.set(&a.Base, r.data[start:r.at])
	}
	return a
}

// message reads a message. Its index is the server's to give.
func (r *compactReader) message() message.Message {
	m := r.shared
	own := sharedKnown &^ r.flags
	m.Payload = r.blob()
	r.attributes(&m, own&sharedType)
	m.Revision = r.int32()
	r.attributes(&m, own&sharedFormat)
	m.Metadata = r.metadata()
	if m.Routed = r.present(); m.Routed {
		m.Segment = r.int32()
	}
	if r.present() {
		r.int64()
	}
	r.attributes(&m, own&(sharedSource|sharedTarget))
	if r.present() {
		m.Request = message.RequestID{N: r.int32(), Valid: true}
	}
	if r.present() {
		m.Timestamp = r.int64()
	}
	m.ID = validText(r.blob())
	r.ids.add(m.ID)
	return m
}

// metadata reads a number of names and texts.
func (r *compactReader) metadata() map[string]string {
	n := r.count(minCompactEntry)
	if n == 0 {
		return nil
	}
	metadata := make(map[string]string, min(n, maxPrepared))
	for ; n > 0 && r.err == nil; n-- {
		name := r.name()
		if value := r.blob(); value != nil {
			metadata[name] = validText(value)
		}
	}
	return metadata
}

func (r *compactReader) read() Request {
	read := &Read{Base: Base{Type: "read", ID: r.int64(), hasID: true}}
	_ = r.uint8() // the type of message is that of the endpoint
	read.Consumer, read.TrackerID = r.name(), r.name()
	read.MaxSize, read.MaxBytes, read.MaxTimeout = r.int32(), r.int64(), r.int64()
	read.TypeFilter = r.name()
	flags := r.uint8()
	read.FilterMessageTarget, read.IgnoreSegment = flags&readFilterTarget != 0, flags&readIgnoreSegment != 0
	read.SingleTracker, read.ClientControlledIndex = flags&readSingle != 0, flags&readClientControlled != 0
	read.LastIndex = (*message.Index)(r.optionalInt64())
	read.PurgeTimeout = r.optionalInt64()
	return read
}

// take takes n bytes, nil if there are fewer.
func (r *compactReader) take(n int) []byte {
	if n < 0 || n > len(r.data)-r.at {
		r.fail("a value does not end")
		return nil
	}
	start := r.at
	r.at += n
	return r.data[start:r.at:r.at]
}

func (r *compactReader) uint8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *compactReader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *compactReader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *compactReader) present() bool {
	switch r.uint8() {
	case 0:
		return false
	case 1:
		return true
	}
	r.fail("neither absent nor there")
	return false
}

func (r *compactReader) optionalInt64() *int64 {
	if !r.present() {
		return nil
	}
	n := r.int64()
	return &n
}

// count takes how many of something follow, each of minBytes at least. Null is none.
func (r *compactReader) count(minBytes int) int {
	n := int(r.int32())
	if n < -1 || n > (len(r.data)-r.at)/minBytes {
		r.fail("more is announced than is there")
		return 0
	}
	return max(n, 0)
}

// blob takes bytes, which alias the input. Null is nil, and no bytes are not.
func (r *compactReader) blob() []byte {
	n := int(r.int32())
	if n == -1 || r.err != nil {
		return nil
	}
	return r.take(n)
}

func (r *compactReader) name() string { return r.names.intern(r.blob()) }
