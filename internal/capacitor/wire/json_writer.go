package wire

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"github.com/flux-go/flux/message"
)

// appendName appends the name of a member and the colon. Names need no escapes.
func appendName(dst []byte, name string) []byte {
	return append(append(append(dst, '"'), name...), `":`...)
}

func appendInt(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(dst, name), n, 10)
}

func appendBool(dst []byte, name string, b bool) []byte {
	return strconv.AppendBool(appendName(dst, name), b)
}

func appendText(dst []byte, name, text string) []byte {
	return appendString(appendName(dst, name), text)
}

// appendOptional appends null for an empty text.
func appendOptional(dst []byte, name, text string) []byte {
	if text == "" {
		return append(appendName(dst, name), "null"...)
	}
	return appendText(dst, name, text)
}

// plain has the bytes that stand for themselves in a JSON string.
var plain = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\' && c != 0x7f
	}
	return table
}()

// appendString appends a text in quotes. What is not UTF-8 is replaced, or nobody could read the whole message.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = appendEscape(append(dst, s[start:i]...), c)
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// appendData appends a serialized value.
func appendData(dst []byte, d Data) []byte {
	dst = appendName(append(dst, '{'), "value")
	if d.Value == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(base64.StdEncoding.AppendEncode(append(dst, '"'), d.Value), '"')
	}
	dst = appendOptional(append(dst, ','), "type", d.Type)
	dst = appendInt(append(dst, ','), "revision", int64(d.Revision))
	if d.Format == "" {
		d.Format = jsonFormat
	}
	return append(appendText(append(dst, ','), "format", d.Format), '}')
}

// appendMetadata appends metadata, {} if there is none.
func appendMetadata(dst []byte, metadata map[string]string) []byte {
	dst = append(dst, '{')
	first := true
	for key, value := range metadata {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendString(append(appendString(dst, key), ':'), value)
	}
	return append(dst, '}')
}

// messageForm says what of a message is written as it was published rather than as it is delivered.
type messageForm uint8

const (
	// delivered messages have the segment that decides who handles them, and an index.
	delivered messageForm = iota
	// stored messages have the segment that their publisher gave them, if any.
	stored
	// unindexed messages are stored ones outside a log.
	unindexed
)

// appendMessage appends a message that was read.
func appendMessage(dst []byte, m *message.Message, form messageForm) []byte {
	dst = appendData(append(dst, `{"data":`...), Data{m.Payload, m.Type, m.Revision, m.Format})
	dst = appendMetadata(append(dst, `,"metadata":`...), m.Metadata)
	dst = append(dst, `,"segment":`...)
	switch {
	case form == delivered:
		dst = strconv.AppendInt(dst, int64(m.RoutingSegment()), 10)
	case m.Routed:
		dst = strconv.AppendInt(dst, int64(m.Segment), 10)
	default:
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"index":`...)
	if form == unindexed {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendInt(dst, int64(m.Index), 10)
	}
	dst = appendOptional(append(dst, ','), "source", m.Source)
	dst = appendOptional(append(dst, ','), "target", m.Target)
	dst = append(dst, `,"requestId":`...)
	if m.Request.Valid {
		dst = strconv.AppendInt(dst, int64(m.Request.N), 10)
	} else {
		dst = append(dst, "null"...)
	}
	dst = appendInt(append(dst, ','), "timestamp", m.Timestamp)
	dst = appendText(append(dst, ','), "messageId", m.MessageID())
	dst = appendInt(append(dst, ','), "originalRevision", int64(m.Revision))
	return append(dst, '}')
}
