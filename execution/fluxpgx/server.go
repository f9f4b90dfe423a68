package fluxpgx

import (
	"bytes"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// serverMessage takes a message of the server and hands it on to the client.
func (w *wire) serverMessage(kind byte, message []byte) {
	body := message[5:]
	switch {
	case !w.started:
		w.startUpMessage(kind, body)
	case kind == 'A':
		w.recordNotification(body)
	case kind == 'N' || kind == 'S':
		w.aside(kind, body)
	case len(w.queue) > 0:
		message = w.answered(&w.queue[0], kind, message)
	}
	w.out = append(w.out, message...)
	w.advance()
}

func (w *wire) startUpMessage(kind byte, body []byte) {
	switch kind {
	case 'S':
		var m pgproto3.ParameterStatus
		if m.Decode(body) == nil {
			w.parameters[m.Name] = m.Value
		}
	case 'Z':
		w.started = true
	}
}

// aside records what the server says beside the answers.
func (w *wire) aside(kind byte, body []byte) {
	var op *operation
	for _, it := range w.queue {
		if op = it.op; op != nil {
			break
		}
	}
	if op == nil && len(w.group) > 0 {
		op = w.group[len(w.group)-1]
	}
	if op != nil {
		op.response.aside(kind, body)
	}
}

func (r *response) aside(kind byte, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind == 'N' {
		var m pgproto3.NoticeResponse
		if m.Decode(body) == nil {
			r.notices = append(r.notices, m)
		}
		return
	}
	var m pgproto3.ParameterStatus
	if m.Decode(body) == nil {
		r.settings = append(r.settings, [2]string{m.Name, m.Value})
	}
}

// answered takes an answer to the first message of the queue. It returns what the client is to get.
func (w *wire) answered(it *item, kind byte, message []byte) []byte {
	body := message[5:]
	switch {
	case kind == 'E':
		w.serverFailed(it, body)
	case kind == 'Z' && len(body) > 0:
		return w.serverReady(it, message)
	case it.kind == 'D' || it.kind == 'd':
		w.described(it, kind, body)
	case it.kind == 'E':
		it.op.begin(it.portal)
		if it.op.take(kind, body); kind == 'C' || kind == 'I' || kind == 's' {
			w.done(it)
		}
	case it.kind == 'Q':
		it.op.take(kind, body)
	case it.kind == 'P' && kind == '1', it.kind == 'B' && kind == '2', it.kind == 'C' && kind == '3':
		w.done(it)
	}
	return message
}

// done takes the first item off the queue.
func (w *wire) done(it *item) {
	if it.op != nil {
		w.group = append(w.group, it.op)
	}
	w.dequeue()
}

func (w *wire) described(it *item, kind byte, body []byte) {
	switch kind {
	case 't':
		var m pgproto3.ParameterDescription
		if m.Decode(body) == nil && it.statement != nil {
			it.statement.oids = append([]uint32(nil), m.ParameterOIDs...)
		}
		return
	case 'T', 'n':
		fields := fieldsOf(kind, body)
		if it.statement != nil {
			it.statement.fields, it.statement.described = fields, true
		} else {
			it.portal.fields = fields
		}
		w.done(it)
	}
}

// fieldsOf reads a RowDescription. It returns nil for NoData.
func fieldsOf(kind byte, body []byte) []pgproto3.FieldDescription {
	var m pgproto3.RowDescription
	if kind == 'n' || m.Decode(body) != nil {
		return nil
	}
	fields := make([]pgproto3.FieldDescription, len(m.Fields))
	for i, f := range m.Fields {
		fields[i] = f
		fields[i].Name = bytes.Clone(f.Name)
	}
	return fields
}

// serverFailed takes an error. It answers a query, or the rest of the messages until Sync.
func (w *wire) serverFailed(it *item, body []byte) {
	var m pgproto3.ErrorResponse
	_ = m.Decode(body)
	var failed error = pgconn.ErrorResponseToPgError(&m)
	if it.kind == 'Q' {
		if it.op != nil {
			it.op.err = failed
			it.op.dropUnsent(w)
		}
		return
	}
	for len(w.queue) > 0 && w.queue[0].kind != 'S' {
		it := &w.queue[0]
		if it.op != nil {
			it.op.err, failed = failed, errSkipped
		}
		w.done(it)
	}
}

// dropUnsent forgets the data of a COPY that the server refused before it wanted any: how much was sent by then is chance.
func (o *operation) dropUnsent(w *wire) {
	o.response.mu.Lock()
	wanted := o.response.copying
	o.response.mu.Unlock()
	if o.request.copy != nil && !wanted {
		o.request.copy = nil
		w.copying = nil
	}
}

// serverReady ends a group. After an answer from the record, the client is told the status that goes with it.
func (w *wire) serverReady(it *item, message []byte) []byte {
	failed := false
	for _, o := range w.group {
		failed = failed || o.err != nil
	}
	if it.kind == 'Q' || it.kind == 'S' || it.kind == 'F' {
		if it.op != nil && it.kind == 'S' && failed {
			it.op.response.sets = []*set{{tag: "ROLLBACK", ended: true}}
		}
		w.done(it)
	}
	for _, o := range w.group {
		o.response.setStatus(message[5])
		w.finish(o)
	}
	w.group = w.group[:0]
	if w.status != 0 {
		message = append(append([]byte(nil), message[:5]...), w.status)
	}
	return message
}

// begin begins the result of a portal, whose columns were told before. It works on nil.
func (o *operation) begin(p *portal) {
	if o == nil {
		return
	}
	o.response.mu.Lock()
	defer o.response.mu.Unlock()
	if len(o.response.sets) == 0 {
		o.response.next().fields = p.columns()
	}
}

// take takes a part of the answer to a statement. It works on nil.
func (o *operation) take(kind byte, body []byte) {
	if o == nil {
		return
	}
	r := o.response
	r.mu.Lock()
	defer r.mu.Unlock()
	switch kind {
	case 'T':
		r.next().fields = fieldsOf(kind, body)
	case 'D':
		r.row(o, body)
	case 'C':
		s := r.last()
		s.tag, s.ended = cString(body), true
	case 'I':
		r.last().ended = true
	case 'G':
		r.copying = true
	case 'H':
		r.copy = record.NewBodyWriter(max(o.execution().BodyLimit(), 1))
		r.binary = len(body) > 0 && body[0] == formatBinary
	case 'd':
		if r.copy != nil && o.execution().Reserve(len(body)) {
			_, _ = r.copy.Write(body)
		}
	}
}

// execution returns the one that an operation belongs to, nil for the set-up of a connection.
func (o *operation) execution() *execution.Execution { return o.call.Execution() }

// next begins a result.
func (r *response) next() *set {
	r.sets = append(r.sets, &set{})
	return r.sets[len(r.sets)-1]
}

// last returns the result under way.
func (r *response) last() *set {
	if n := len(r.sets); n > 0 && !r.sets[n-1].ended {
		return r.sets[n-1]
	}
	return r.next()
}

// row keeps a row unless there is no room for it.
func (r *response) row(o *operation, body []byte) {
	s := r.last()
	if s.truncated {
		return
	}
	if x := o.execution(); x != nil && (r.size+len(body) > x.BodyLimit() || !x.Reserve(len(body))) {
		s.truncated = true
		x.Shortened("a result of PostgreSQL", len(body))
		return
	}
	r.size += len(body)
	s.data = append(s.data, body...)
	s.ends = append(s.ends, len(s.data))
}

func (r *response) tag() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sets) == 0 {
		return ""
	}
	return r.sets[len(r.sets)-1].tag
}

// isEnded says that the whole answer came.
func (r *response) isEnded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sets) > 0 && r.sets[len(r.sets)-1].ended
}

func (r *response) setStatus(status byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// notification is one that was listened for.
type notification struct {
	PID     uint32 `json:"pid"`
	Channel string `json:"channel"`
	Payload string `json:"payload"`
}

func (w *wire) recordNotification(body []byte) {
	var m pgproto3.NotificationResponse
	if m.Decode(body) != nil {
		return
	}
	call := w.a.rec.Start(w.ctx, execution.Op{
		Boundary: boundary, Target: w.a.target, Shape: shapeNotification, Effect: record.EffectNone,
	})
	call.Finish(notification{m.PID, m.Channel, m.Payload}, nil)
}
