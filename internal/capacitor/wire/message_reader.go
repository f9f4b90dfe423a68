package wire

import (
	"github.com/flux-go/flux/message"
)

// messages reads an array of messages.
func (r *reader) messages() []message.Message {
	var all []message.Message
	for a := r.array(); a.next(); {
		all = append(all, message.Message{})
		if !r.message(&all[len(all)-1]) {
			r.reject("message %d has no data", len(all)-1)
		}
	}
	return all
}

// message reads a message and reports whether it has data. Its index is the server's to give and is not read, nor is what
// clients derive from other members.
func (r *reader) message(m *message.Message) (complete bool) {
	for o := r.object(); o.next(); {
		switch string(o.name) {
		case "data":
			var data Data
			data, complete = r.serialized()
			m.Payload, m.Type, m.Revision, m.Format = data.Value, data.Type, data.Revision, data.Format
		case "metadata":
			m.Metadata = r.metadata()
		case "segment":
			var n int64
			n, m.Routed = r.integer(32)
			m.Segment = int32(n)
		case "source":
			m.Source = r.name()
		case "target":
			m.Target = r.name()
		case "requestId":
			n, ok := r.integer(32)
			m.Request = message.RequestID{N: int32(n), Valid: ok}
		case "timestamp":
			m.Timestamp = r.int64()
		case "messageId":
			m.ID = r.text()
		default:
			r.skip()
		}
	}
	r.ids.add(m.ID)
	return complete
}

// jsonFormat is the format of a value that names none.
const jsonFormat = "application/json"

// serialized reads a serialized value, and reports whether there is one.
func (r *reader) serialized() (d Data, ok bool) {
	if r.null() {
		return d, false
	}
	for o := r.object(); o.next(); {
		switch string(o.name) {
		case "value":
			d.Value = r.blob()
		case "type":
			d.Type = r.name()
		case "revision":
			d.Revision = r.int32()
		case "format":
			d.Format = r.name()
		default:
			r.skip()
		}
	}
	d.Format = shortFormat(d.Format)
	return d, true
}

// shortFormat returns a format as it is kept, which is empty for JSON.
func shortFormat(format string) string {
	if format == "json" || format == jsonFormat {
		return ""
	}
	return format
}

// metadata reads metadata. Values that are no text become their JSON text, and null ones are left out.
func (r *reader) metadata() map[string]string {
	var metadata map[string]string
	for o := r.object(); o.next(); {
		key := r.names.intern(o.name)
		value, ok := r.anything()
		if !ok {
			continue
		}
		if metadata == nil {
			metadata = make(map[string]string, 8)
		}
		metadata[key] = validText(value)
	}
	return metadata
}
