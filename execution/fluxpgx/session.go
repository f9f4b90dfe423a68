package fluxpgx

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/internal/sqltext"
	"github.com/flux-go/flux/execution/record"
)

// session is what a connection knows of the conversation.
type session struct {
	statements map[string]*statement
	portals    map[string]*portal
	queue      []item       // what the server is to answer, in order
	base       []item       // memory of queue
	group      []*operation // that were answered, until the server is ready again
	unit       unit
	status     byte // of the transaction, as the client was told last; 0 before
	refused    error
	off        bool // nobody records what is sent now
	skipping   bool // an answer from the record failed: nothing more is answered until Sync
	held       []byte
	copying    *operation // COPY FROM STDIN that the client sends data for

	setup    []*exchange // what was done to set the connection up
	setupFor record.ID   // execution whose record has it, when brought
	brought  bool
}

// A statement is one that was prepared.
type statement struct {
	sql       string
	oids      []uint32 // of parameters
	fields    []pgproto3.FieldDescription
	described bool
}

// A portal is a statement with its arguments.
type portal struct {
	*statement
	args          []value
	resultFormats []int16
	described     bool                        // the client asked for the columns of this portal
	fields        []pgproto3.FieldDescription // that it was told
}

// columns returns the columns of the rows that come from the portal.
func (p *portal) columns() []pgproto3.FieldDescription {
	if p.described {
		return p.fields
	}
	if p.statement.fields == nil {
		return nil
	}
	fields := append([]pgproto3.FieldDescription{}, p.statement.fields...)
	for i := range fields {
		fields[i].Format = p.format(i)
	}
	return fields
}

// format returns the format that the client wants for a column.
func (p *portal) format(i int) int16 {
	switch {
	case len(p.resultFormats) == 1:
		return p.resultFormats[0]
	case i < len(p.resultFormats):
		return p.resultFormats[i]
	}
	return formatText
}

// unit is the transaction that is open.
type unit struct {
	name     string
	of       *execution.Execution
	implicit bool // of a batch, without BEGIN
	wrote    bool
}

// An item is a message that the server is to answer. Its kind is the type of the message: P, B, D for statements, d for portals,
// E, C, S, Q, F.
type item struct {
	kind      byte
	op        *operation
	statement *statement
	portal    *portal
	local     bool // reply is the answer
	reply     []byte
}

// An operation is a statement under way. It has no call when it only sets the connection up.
type operation struct {
	call     *execution.Call
	ctx      context.Context
	request  *request
	response *response
	describe *statement // that is described, nil for operations that execute
	err      error
	commit   bool
}

// An exchange is a statement by which a connection was set up.
type exchange struct {
	Request   *request          `json:"request"`
	Response  *response         `json:"response,omitempty"`
	Statement *describeResponse `json:"statement,omitempty"`
}

var errSkipped = errors.New("not done: an earlier statement of the batch failed")

// clientMessage takes a message of the client and says whether the server is to get it.
func (w *wire) clientMessage(kind byte, body []byte) (forward bool) {
	if w.off && len(w.queue) == 0 && !w.virtual && kind != 'P' && kind != 'D' {
		w.stray(kind)
		return true
	}
	switch kind {
	case 'P':
		return w.parse(body)
	case 'B':
		return w.bindPortal(body)
	case 'D':
		return w.describe(body)
	case 'E':
		return w.execute(body)
	case 'S':
		return w.sync()
	case 'Q':
		return w.query(cString(body))
	case 'C':
		return w.closeStatement(body)
	case 'd', 'c', 'f':
		return w.copyData(kind, body)
	case 'F':
		w.expect(item{kind: 'F'})
	case 'X':
		w.fail(io.EOF)
	}
	return !w.virtual
}

// stray counts statements that belong to no execution.
func (w *wire) stray(kind byte) {
	if kind == 'E' || kind == 'Q' {
		w.a.rec.Start(w.ctx, execution.Op{})
	}
}

// expect queues what the server, or the record, is to answer.
func (w *wire) expect(it item) {
	if len(w.queue) == 0 {
		w.queue = w.base[:0]
	}
	if w.queue = append(w.queue, it); len(w.queue) == 1 {
		w.base = w.queue[:0]
	}
	w.advance()
}

// advance gives the client the answers of the record that it is their turn for.
func (w *wire) advance() {
	for len(w.queue) > 0 && w.queue[0].local {
		w.out = append(w.out, w.queue[0].reply...)
		w.dequeue()
	}
}

func (w *wire) dequeue() {
	w.queue[0] = item{}
	if w.queue = w.queue[1:]; len(w.queue) == 0 {
		w.queue = w.base[:0]
	}
}

// reply answers from the record, in its turn.
func (w *wire) reply(data []byte) {
	if len(data) > 0 && w.err == nil {
		w.expect(item{local: true, reply: data})
	}
}

func cString(body []byte) string {
	text, _, _ := bytes.Cut(body, []byte{0})
	return string(text)
}

func (w *wire) parse(body []byte) bool {
	var m pgproto3.Parse
	if m.Decode(body) != nil {
		return !w.virtual
	}
	w.statements[m.Name] = &statement{sql: m.Query, oids: append([]uint32(nil), m.ParameterOIDs...)}
	if w.virtual {
		w.hold(&pgproto3.ParseComplete{})
		return false
	}
	w.expect(item{kind: 'P'})
	return true
}

func (w *wire) bindPortal(body []byte) bool {
	var m pgproto3.Bind
	st := (*statement)(nil)
	if m.Decode(body) == nil {
		st = w.statements[m.PreparedStatement]
	}
	if st == nil {
		st = &statement{} // of a connection that somebody else prepared it on
	}
	w.portals[m.DestinationPortal] = newPortal(st, &m)
	if w.virtual {
		w.hold(&pgproto3.BindComplete{})
		return false
	}
	w.expect(item{kind: 'B'})
	return true
}

// newPortal copies the arguments of a message.
func newPortal(st *statement, m *pgproto3.Bind) *portal {
	p := &portal{statement: st, resultFormats: append([]int16(nil), m.ResultFormatCodes...)}
	if len(m.Parameters) > 0 {
		p.args = make([]value, len(m.Parameters))
	}
	for i, data := range m.Parameters {
		v := &p.args[i]
		v.data = bytes.Clone(data)
		if i < len(st.oids) {
			v.oid = st.oids[i]
		}
		switch {
		case len(m.ParameterFormatCodes) == 1:
			v.format = m.ParameterFormatCodes[0]
		case i < len(m.ParameterFormatCodes):
			v.format = m.ParameterFormatCodes[i]
		}
	}
	return p
}

func (w *wire) describe(body []byte) bool {
	if len(body) == 0 {
		return !w.virtual
	}
	name := cString(body[1:])
	if body[0] == 'P' {
		p := w.portals[name]
		if p == nil {
			p = &portal{statement: &statement{}}
		}
		p.described = true
		if !w.virtual {
			w.expect(item{kind: 'd', portal: p})
		}
		return !w.virtual
	}
	st := w.statements[name]
	if st == nil {
		st = &statement{}
	}
	if w.virtual {
		w.answerDescribe(st)
		return false
	}
	w.expect(item{kind: 'D', statement: st, op: w.startDescribe(st)})
	return true
}

func (w *wire) execute(body []byte) bool {
	p := w.portals[cString(body)]
	if p == nil {
		p = &portal{statement: &statement{}}
	}
	op := w.start(&request{sql: p.sql, args: p.args})
	if w.virtual || op.isAnswered() {
		w.answerExecute(op, p)
		return false
	}
	w.expect(item{kind: 'E', op: op, portal: p})
	return true
}

func (w *wire) query(sql string) bool {
	if w.virtual && w.copiesIn(sql) {
		return false
	}
	req := &request{sql: sql}
	if !w.virtual && isCopyIn(w.a.statements.Parse(sql)) {
		req.copy = record.NewBodyWriter(max(w.a.rec.ExecutionIn(w.ctx).BodyLimit(), 1))
	}
	op := w.start(req)
	if w.virtual || op.isAnswered() {
		w.answerQuery(op)
		return false
	}
	if req.copy != nil {
		w.copying = op
	}
	w.expect(item{kind: 'Q', op: op})
	return true
}

// isCopyIn says that the client is going to send data.
func isCopyIn(st *sqltext.Statement) bool {
	return st.Verb == "COPY" && st.Effect.Writes() && strings.Contains(strings.ToUpper(st.Text), "STDIN")
}

func (w *wire) copyData(kind byte, body []byte) bool {
	op := w.copying
	if op != nil && kind == 'd' {
		_, _ = op.request.copy.Write(body)
	}
	if op != nil && kind != 'd' {
		w.copying = nil
		if w.virtual {
			w.finishCopyIn(op)
		}
	}
	return !w.virtual
}

func (w *wire) closeStatement(body []byte) bool {
	if len(body) > 0 && body[0] == 'S' {
		delete(w.statements, cString(body[1:]))
	}
	if w.virtual {
		w.hold(&pgproto3.CloseComplete{})
		return false
	}
	w.expect(item{kind: 'C'})
	return true
}

func (w *wire) sync() bool {
	var commit *operation
	if w.unit.implicit {
		commit = w.startOp(record.ShapeCommit, effectOfCommit(w.unit), &request{sql: record.ShapeCommit}, nil)
		w.unit = unit{}
	}
	if commit != nil {
		commit.commit = true
	}
	if w.virtual {
		w.answerSync()
		return false
	}
	w.skipping = false
	w.expect(item{kind: 'S', op: commit})
	return true
}

// expectPipeline makes the statements of a batch a transaction when one of them writes: the server undoes all when one fails.
func (w *wire) expectPipeline(data []byte) {
	if w.off || w.unit.name != "" || bytes.IndexByte(data, 'E') < 0 {
		return
	}
	prepared, executed, writes := map[string]string{}, 0, false
	for len(data) >= 5 && messageLength(data) <= len(data) {
		n := messageLength(data)
		switch data[0] {
		case 'P':
			name, rest, _ := bytes.Cut(data[5:n], []byte{0})
			prepared[string(name)] = cString(rest)
		case 'B':
			_, rest, _ := bytes.Cut(data[5:n], []byte{0})
			writes = writes || w.writes(cString(rest), prepared)
		case 'E':
			executed++
		case 'S':
			if executed > 1 && writes {
				w.enter(true)
			}
			return
		}
		data = data[n:]
	}
}

func (w *wire) writes(name string, prepared map[string]string) bool {
	sql, ok := prepared[name]
	if st := w.statements[name]; !ok && st != nil {
		sql = st.sql
	}
	st := w.a.statements.Parse(sql)
	return st.Effect.Writes() && st.Shape != record.ShapeCommit
}

func (w *wire) enter(implicit bool) {
	if x := w.a.rec.ExecutionIn(w.ctx); x != nil {
		w.unit = unit{name: x.NewTransaction(), of: x, implicit: implicit}
	}
}

// start begins a statement. It returns nil when nobody records it, and for what only asks whether the connection is alive.
func (w *wire) start(req *request) *operation {
	st := w.a.statements.Parse(req.sql)
	if st.Verb == "" {
		return nil
	}
	if w.unit.name != "" && w.unit.of != w.a.rec.ExecutionIn(w.ctx) {
		w.unit = unit{}
	}
	if st.Shape == record.ShapeBegin && w.unit.name == "" && !isSetup(w.ctx) {
		w.enter(false)
	}
	effect := st.Effect
	if st.Shape == record.ShapeCommit {
		effect = effectOfCommit(w.unit)
	}
	op := w.startOp(st.Shape, effect, req, identity{req, st.Text})
	w.unit.wrote = w.unit.wrote || effect.Writes()
	if st.Shape == record.ShapeCommit || st.Shape == record.ShapeRollback {
		w.unit = unit{}
		if op != nil {
			op.commit = st.Shape == record.ShapeCommit
		}
	}
	return op
}

// effectOfCommit returns the effect of a commit: none when nothing wrote.
func effectOfCommit(u unit) record.Effect {
	if u.name != "" && !u.wrote {
		return record.EffectNone
	}
	return record.EffectWrite
}

func (w *wire) startDescribe(st *statement) *operation {
	parsed := w.a.statements.Parse(st.sql)
	if parsed.Verb == "" {
		return nil
	}
	req := &request{sql: st.sql}
	op := w.startOp(shapePrepare+parsed.Shape, record.EffectNone, req, identity{req, parsed.Text})
	if op != nil {
		op.describe = st
	}
	return op
}

func (w *wire) startOp(shape string, effect record.Effect, req *request, same any) *operation {
	op := &operation{ctx: w.ctx, request: req, response: &response{}}
	if isSetup(w.ctx) {
		return op
	}
	op.call = w.a.rec.Start(w.ctx, execution.Op{
		Boundary: boundary, Target: w.a.targetIn(w.a.rec.ExecutionIn(w.ctx)), Shape: shape, Effect: effect,
		Request: req, Identity: same, Transaction: w.unit.name,
	})
	if op.call == nil {
		return nil
	}
	if err := op.call.Err(); err != nil {
		w.refused = err
	}
	return op
}

// isAnswered says that the record has the outcome.
func (o *operation) isAnswered() bool { return o != nil && o.call.Recorded() != nil }

// finish tells the outcome of an operation, now that the server said how the transaction stands.
func (w *wire) finish(o *operation) {
	if o.call == nil {
		w.keepSetup(o)
		return
	}
	var response any = o.response
	if o.describe != nil {
		response = describeOf(o.describe)
		if !o.describe.described {
			response = nil
		}
	}
	switch {
	case o.err != nil:
		f := fault.Of(o.err, ErrorKind())
		if o.err == errSkipped {
			f.Class = record.ClassDriver
		}
		o.call.FinishFault(response, f)
		return
	case o.commit && o.response.tag() == "ROLLBACK":
		o.call.Fail()
	}
	o.call.Finish(response, nil)
}

func describeOf(st *statement) *describeResponse {
	d := &describeResponse{Parameters: make([]string, len(st.oids))}
	for i, oid := range st.oids {
		d.Parameters[i] = typeName(oid)
	}
	if st.fields != nil {
		d.Columns = make([]columnJSON, len(st.fields))
		for i, f := range st.fields {
			d.Columns[i] = columnOf(f)
		}
	}
	return d
}

// keepSetup keeps a statement that set the connection up.
func (w *wire) keepSetup(o *operation) {
	e := &exchange{Request: o.request}
	if o.describe != nil {
		e.Statement = describeOf(o.describe)
	} else {
		e.Response = o.response
	}
	w.setup = append(w.setup, e)
}

// bringSetup makes the set-up of the connection part of the record of an execution that uses it, so that a replay can answer it.
func (w *wire) bringSetup() {
	x := w.a.rec.ExecutionIn(w.ctx)
	if len(w.setup) == 0 || w.virtual || isSetup(w.ctx) || !w.records() || w.brought && w.setupFor == x.ID() {
		return
	}
	w.setupFor, w.brought = x.ID(), true
	call := w.a.rec.Start(w.ctx, execution.Op{Boundary: boundary, Target: w.a.target, Shape: shapeSetup, Effect: record.EffectNone})
	call.Finish(map[string]any{"setup": w.setup}, nil)
}

// broke ends what is under way with an error of the connection.
func (w *wire) broke(err error) {
	for _, it := range w.queue {
		if it.op != nil {
			w.group = append(w.group, it.op)
		}
	}
	for _, o := range w.group {
		if o.err == nil && !o.response.isEnded() {
			o.err = err
			if o.ctx.Err() != nil {
				o.err = o.ctx.Err()
			}
		}
		w.finish(o)
	}
	w.queue, w.group = nil, nil
}
